"""FastGAN's critic: its size, what its decoders must give back, and that the label counts."""

import numpy as np
import pytest
import torch
from quality_for_tests import textures
from torch import nn

from mammosynth.gans.fastgan import FastCritic, FastGan
from mammosynth.gans.gan import Reals
from mammosynth.gans.settings import Settings
from mammosynth.imageset import ImageSet

CPU = torch.device("cpu")


def made(**changes) -> FastGan:
    values = {"width": 4, "steps": 3, "batch": 4, "learning_rate": 2e-4, "precision": "float32"} | changes
    torch.manual_seed(0)
    gan = FastGan(Settings("fastgan", **values))
    gan.start(CPU)
    return gan


@pytest.fixture
def images() -> ImageSet:
    return ImageSet(textures(8), np.arange(8) % 2, [f"roi{i}" for i in range(8)])


def test_critic_has_the_size_worked_out_by_hand():
    w = 3
    total = 2 * w * (16 + 1)
    for a in (2 * w, 4 * w, 8 * w):
        b = 2 * a
        total += 16 * a * b + 9 * b * b + a * b + 3 * 2 * b
    total += 16 * w * 16 * w + 2 * 16 * w
    total += 3 * (16 * 16 * w + 1)
    for channels in (16 * w, 8 * w):
        for a, b in ((channels, 4 * w), (4 * w, 2 * w), (2 * w, w)):
            total += 9 * a * 2 * b + 2 * 2 * b
        total += 9 * w + 1
    assert sum(weight.numel() for weight in FastCritic(w).parameters()) == total


def test_critic_judges_25_parts_and_sees_the_label():
    torch.manual_seed(0)
    critic, x = FastCritic(4).eval(), torch.randn(1, 1, 128, 128)
    with torch.no_grad():
        benign, malignant = (critic(x, torch.tensor([label])) for label in (0, 1))
    assert benign.shape == (1, 25)
    assert not torch.equal(benign, malignant)


def test_features_that_hold_the_image_reconstruct_it_and_other_ones_do_not():
    """Decoders that enlarge, and images that their features hold without loss."""
    torch.manual_seed(0)
    critic = FastCritic(4)
    critic.whole = critic.quarter = nn.UpsamplingNearest2d(scale_factor=8)
    coarse = torch.rand(2, 1, 8, 8)
    images, fine = (nn.functional.interpolate(coarse, scale_factor=factor) for factor in (16, 2))
    drawn = [critic.reconstruction(images, fine, coarse).item() for _ in range(12)]
    assert drawn == pytest.approx([0.0] * 12, abs=1e-6)
    whole = (coarse - coarse.flip(3)).abs().mean().item()
    assert critic.reconstruction(images, fine, coarse.flip(3)).item() == pytest.approx(whole, rel=1e-4)
    mirrored = {round(critic.reconstruction(images, fine.flip(3), coarse).item(), 5) for _ in range(12)}
    assert len(mirrored) > 1  # another quarter each time
    assert min(mirrored) > 0.1


def test_one_step_moves_every_weight(images):
    gan = made(diffaugment=("brightness", "contrast", "translation", "cutout"), lecam=0.3, r1=1.0)
    gan.set_rate(0)
    weights = {name: value.clone() for name, value in gan.named_parameters()}
    reals = Reals(images, CPU)
    for _ in range(2):
        losses = gan.step(reals)["all"]
    assert all(torch.isfinite(loss) for loss in losses.values())
    for name, value in gan.named_parameters():
        assert torch.equal(value, weights[name]) == name.startswith("average."), name


def test_critic_loss_is_the_hinge_and_the_reconstruction(images):
    gan = made()
    critic, labels = gan.critics["all"], torch.tensor([0, 1])
    real, fake = (torch.from_numpy(images.images[i : i + 2])[:, None] / 127.5 - 1 for i in (0, 2))
    critic.judge = lambda features, labels: torch.tensor([[0.5, 2.0], [1.0, -3.0]])
    critic.reconstruction = lambda images, fine, coarse: torch.tensor(0.7) if images is real else None
    # Real: (½ + 0 + 0 + 4) / 4; synthetic, with the same scores: (1½ + 3 + 2 + 0) / 4.
    assert gan.critic_loss("all", real, fake, labels).item() == pytest.approx(4.5 / 4 + 6.5 / 4 + 0.7)


def test_same_seed_same_images(images):
    def once() -> np.ndarray:
        gan = made(precision="auto")
        gan.step(Reals(images, CPU))
        gan.update_average(0)
        return gan.synthesise(3, images, seed=0).images

    assert np.array_equal(once(), once())
