"""The projected GAN: what is frozen stays so, what learns learns, and the shared pass is two passes in one."""

import copy
import itertools

import numpy as np
import pytest
import torch
from quality_for_tests import parameter_file, textures
from torch import nn

from mammosynth.gans.fast_networks import FastGenerator, PatchScores, SkipExcitation
from mammosynth.gans.gan import Reals
from mammosynth.gans.objectives import hinge_critic, linear_generator
from mammosynth.gans.projected_gan import (
    MIXED,
    ProjectedGan,
    RandomProjections,
    with_spread,
)
from mammosynth.gans.settings import Settings
from mammosynth.imageset import ImageSet
from mammosynth.networks.efficientnet_lite0 import BLOCKS, CHANNELS, load_maps

CPU = torch.device("cpu")


def made(seed: int = 0, **changes) -> ProjectedGan:
    values = {"width": 4, "steps": 3, "batch": 4, "learning_rate": 2e-4, "precision": "float32"} | changes
    torch.manual_seed(seed)
    gan = ProjectedGan(Settings("projected_gan", **values))
    gan.start(CPU, parameter_file("efficientnet_lite0"))
    return gan


@pytest.fixture
def images() -> ImageSet:
    return ImageSet(textures(8), np.arange(8) % 2, [f"roi{i}" for i in range(8)])


def test_generator_has_the_size_worked_out_by_hand():
    width = 5
    channels = [16 * width, 16 * width, 8 * width, 4 * width, 2 * width, width]
    total = (128 + 2) * 2 * channels[0] * 16 + 2 * 2 * channels[0]
    for a, b in itertools.pairwise(channels):
        total += 9 * a * 2 * b + 2 * 2 * b
    for low, high in ((channels[0], channels[4]), (channels[1], channels[5])):
        total += high * (16 * low + 1) + high * (high + 1)
    total += 9 * width + 1 + 2 * (channels[0] * 16 + 1)  # to the image, and its tone
    assert sum(weight.numel() for weight in FastGenerator(width).parameters()) == total


def test_generator_makes_other_images_of_the_other_class():
    torch.manual_seed(0)
    generator = FastGenerator(4)
    nn.init.normal_(generator.classes.weight, 0.0, 0.01)
    benign, malignant = generator(torch.ones(2, 128), torch.tensor([0, 1]))
    assert benign.shape == (1, 128, 128)
    assert benign.abs().max() <= 1
    assert (benign - malignant).abs().max() > 0.01


def test_latents_count_by_their_direction():
    torch.manual_seed(0)
    generator, latents, labels = FastGenerator(4).eval(), torch.randn(2, 128), torch.tensor([0, 1])
    torch.testing.assert_close(generator(3 * latents, labels), generator(latents, labels))


def test_skip_excitation_by_hand():
    """Without a signal the biases open and shut; with one: σ(W₂ · SiLU(W₁ · x)), both W of spectral norm 1."""
    excitation = SkipExcitation(3, 2)
    first, last = excitation.gate[1], excitation.gate[3]
    first.weight = torch.full((2, 3, 4, 4), 96**-0.5)
    last.weight = torch.tensor([[1.0, 0.0], [0.0, 0.5]])[:, :, None, None]
    nn.init.zeros_(first.bias)
    high = torch.randn(1, 2, 16, 16)
    for bias, share in (([0.0, 0.0], [0.5, 0.5]), ([50.0, -50.0], [1.0, 0.0])):
        with torch.no_grad():
            last.bias.copy_(torch.tensor(bias))
        torch.testing.assert_close(excitation(torch.zeros(1, 3, 8, 8), high), high * torch.tensor(share)[:, None, None])
    nn.init.zeros_(last.bias)
    signal = 3 * 4 * 4 * 96**-0.5
    silu = signal / (1 + np.exp(-signal))
    expected = [1 / (1 + np.exp(-factor * silu)) for factor in (1, 0.5)]
    for _ in range(20):  # each pass improves the estimate of the spectral norm
        found = excitation(torch.ones(1, 3, 8, 8), torch.ones(1, 2, 4, 4))[0, :, 0, 0]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_patch_scores_add_the_class_to_what_both_share():
    scores = PatchScores(1, 1)
    maps = torch.tensor([0.6, 0.0, 0.8])[:, None, None, None]  # of unit norm, so spectral normalisation leaves it alone
    scores.conv.weight = maps
    with torch.no_grad():
        scores.conv.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    found = scores(torch.full((2, 1, 1, 2), 10.0), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.tensor([[7.0, 7.0], [16.0, 16.0]]))


def test_spread_of_a_group_by_hand():
    """Two groups of two images, two channels, two positions; the second group's images are the same."""
    one, other = torch.tensor([[0.0, 2.0], [4.0, 6.0]]), torch.tensor([[2.0, 2.0], [0.0, 0.0]])
    x = torch.stack([one, other, one, one])[:, :, None]
    found = with_spread(x.requires_grad_(), 2)
    torch.testing.assert_close(found[:, :2], x)
    expected = torch.tensor([(1 + 0 + 2 + 3) / 4, (1 + 0 + 2 + 3) / 4, 0, 0])
    torch.testing.assert_close(found[:, 2, 0], expected[:, None].expand(-1, 2), atol=2e-4, rtol=0)
    found.sum().backward()
    assert x.grad.isfinite().all()
    assert not with_spread(x, 1)[:, 2].allclose(found[:, 2])


@pytest.mark.parametrize("batch", [1, 3, 6])
def test_real_and_synthetic_images_are_of_no_group(batch, images):
    """Scores of one kind do not hang on the other, whatever the batch."""
    critic = made(batch=batch).critics["all"].eval()
    labels, pictures = torch.arange(batch) % 2, torch.randn(2, batch, 1, 128, 128)
    features = [torch.randn(2, batch, c, s, s) for c, s in zip(CHANNELS, (32, 16, 8, 4))]
    seen = critic.see([f.flatten(0, 1) for f in features], pictures.flatten(0, 1))
    alone = critic.see([f[1] for f in features], pictures[1])
    torch.testing.assert_close(critic(seen, labels.repeat(2))[batch:], critic(alone, labels), rtol=1e-4, atol=1e-4)


def test_backbone_gives_the_librarys_features():
    from efficientnet_lite_pytorch import EfficientNet

    weights = parameter_file("efficientnet_lite0")
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    grey = torch.from_numpy(textures(2))[:, None].float()
    with torch.no_grad():
        x = network._swish(network._bn0(network._conv_stem((grey.expand(-1, 3, -1, -1) - 127) / 128)))
        expected = []
        for block in network._blocks:
            x = block(x)
            expected.append(x)
        expected = [expected[index] for index in BLOCKS]
        found = load_maps(weights, CPU, torch.float32)(grey / 127.5 - 1)
        rounded = load_maps(weights, CPU, torch.bfloat16)(grey / 127.5 - 1)
    assert [f.shape[1] for f in found] == list(CHANNELS)
    assert [f.shape[2] for f in found] == [32, 16, 8, 4]
    for a, b, c in zip(expected, found, rounded):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        assert (a - c.float()).std() < 0.1 * a.std()


def test_projections_mix_channels_and_coarser_scales():
    torch.manual_seed(0)
    project = RandomProjections()
    features = [torch.randn(1, c, s, s) for c, s in zip(CHANNELS, (32, 16, 8, 4))]
    before = project(features)
    assert [f.shape[1] for f in before] == list(MIXED)
    for changed in range(4):
        other = [f + (index == changed) for index, f in enumerate(features)]
        moved = [not torch.equal(a, b) for a, b in zip(before, project(other))]
        assert moved == [index <= changed for index in range(4)]


def test_backbone_and_projections_never_change_and_the_rest_does(images):
    gan = made()
    weights = {name: value.clone() for name, value in gan.named_parameters()}
    x = torch.from_numpy(images.images[:2])[:, None] / 127.5 - 1
    seen = [f.clone() for f in gan.backbone(x)]
    reals = Reals(images, CPU)
    for _ in range(2):
        gan.step(reals)
    assert all(torch.equal(a, b) for a, b in zip(seen, gan.backbone(x)))
    for name, value in gan.named_parameters():
        kept = ".project." in name or name.startswith("average.")
        assert torch.equal(value, weights[name]) == kept, name


def test_backbone_is_not_saved_and_projections_are():
    gan = made(seed=0)
    known = ("generators.all", "critics.all.project", "critics.all.heads", "average.all")
    assert {next(k for k in known if name.startswith(k)) for name in gan.state_dict()} == set(known)
    without = ProjectedGan(gan.settings)
    without.start(CPU)
    without.load_state(gan.state())
    x = [torch.randn(1, c, s, s) for c, s in zip(CHANNELS, (32, 16, 8, 4))]
    ours, theirs = (g.critics["all"].project(x) for g in (gan, without))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))
    other = made(seed=1).critics["all"].project(x)
    assert not torch.equal(ours[0], other[0])


def test_the_critics_gradient_reaches_all_of_the_generator(images):
    gan = made(diffaugment=("brightness", "contrast", "translation", "cutout"))
    gan.step(Reals(images, CPU))
    for name, weight in gan.generators.named_parameters():
        assert weight.grad.abs().sum() > 0, name


def test_critic_sees_the_label():
    critic = made(batch=1).critics["all"].eval()
    x = [torch.randn(1, c, s, s) for c, s in zip((*MIXED, 1), (32, 16, 8, 4, 16))]
    with torch.no_grad():
        assert not torch.equal(critic(x, torch.tensor([0])), critic(x, torch.tensor([1])))
        assert critic(x, torch.tensor([0])).shape == (1, 5 * 4 * 4)


def test_critic_sees_grey_level_and_contrast_as_they_are(images):
    """Not by features alone, which hardly tell them."""
    gan = made(diffaugment=())
    grey = torch.full((1, 1, 128, 128), 0.25)
    grey[:, :, :64] = -0.75
    *_, small = gan.projected(grey)
    assert small.shape == (1, 1, 16, 16)
    assert (small[:, :, :8] == -0.75).all()
    assert (small[:, :, 8:] == 0.25).all()


def test_one_shared_pass_is_two_separate_ones(images):
    """Gradients of critic and generator against a textbook step, which makes and judges the synthetic images twice."""
    gan = made()
    textbook = copy.deepcopy(gan)
    for one in (gan, textbook):
        one.critic_adam = torch.optim.SGD(one.critics["all"].heads.parameters(), lr=0.05)
        one.generator_adam = torch.optim.SGD(one.generators.parameters(), lr=0.0)

    torch.manual_seed(3)
    found = gan.step(Reals(images, CPU))["all"]

    torch.manual_seed(3)
    labels = torch.tensor([0, 1, 0, 1])
    real, latents = Reals(images, CPU).draw(labels), torch.randn(4, 128)
    generator, critic = textbook.generators["all"], textbook.critics["all"]
    with torch.no_grad():
        fake = copy.deepcopy(generator)(latents, labels)  # a copy, as a pass improves the spectral norms' estimates

    def score(images, labels):
        return critic(critic.see(textbook.backbone(images), images), labels)

    scores = score(torch.cat([real, fake]), labels.repeat(2))
    critic_loss = hinge_critic(scores[:4], scores[4:])
    critic_loss.backward()
    textbook.critic_adam.step()
    generator_loss = linear_generator(score(generator(latents, labels), labels))
    generator_loss.backward(inputs=list(generator.parameters()))

    assert found["d_loss"].item() == pytest.approx(critic_loss.item(), rel=1e-4)
    assert found["g_loss"].item() == pytest.approx(generator_loss.item(), rel=1e-4)
    for ours, theirs in ((gan.critics["all"].heads, critic.heads), (gan.generators["all"], generator)):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
            assert (a.grad - b.grad).norm() <= 1e-3 * b.grad.norm() + 1e-7, name


def test_same_seed_same_images(images):
    def images_of(seed: int) -> np.ndarray:
        gan = made(seed, precision="auto", flips=True, diffaugment=("translation",))
        reals = Reals(images, CPU, flips=True)
        for step in range(2):
            gan.step(reals)
            gan.update_average(step)
        return gan.synthesise(3, images, seed=0).images

    first, again, other = (images_of(seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_new_generator_makes_outside_training_what_it_makes_in_training():
    """Running statistics that began at 0 and 1 would leave grey squares for the first hundred steps."""
    torch.manual_seed(0)
    generator, latents = FastGenerator(4), torch.randn(64, 128)
    labels = torch.arange(64) % 2
    with torch.no_grad():
        after = copy.deepcopy(generator).eval()(latents, labels)
        training = generator(latents, labels)
    for spread in (lambda x: x.std((2, 3)).mean(), lambda x: x.mean((2, 3)).std()):
        assert float(spread(after)) == pytest.approx(float(spread(training)), rel=0.3)


def test_grey_level_and_contrast_are_each_images_own():
    torch.manual_seed(0)
    generator = FastGenerator(4).eval()
    latents, labels = torch.randn(8, 128), torch.zeros(8, dtype=torch.long)
    with torch.no_grad():
        before = generator(latents, labels).atanh()
        generator.tone.weight.zero_()
        generator.tone.bias.copy_(torch.tensor([0.25, 0.0]))
        plain = generator(latents, labels).atanh() - 0.25
    gain = (before.std((1, 2, 3)) / plain.std((1, 2, 3)))[:, None, None, None]
    level = (before - gain * plain).mean((1, 2, 3), keepdim=True)
    assert torch.allclose(before, gain * plain + level, atol=1e-4)
    assert level.std() > 0.05
    assert gain.std() > 0.05
