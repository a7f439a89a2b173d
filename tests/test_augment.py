"""DiffAugment: each augmentation against its definition, and who sees it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gans_for_tests import few_reals, options, settings, started
from torch import nn

from mammosynth.gans import METHODS
from mammosynth.gans.augment import augment, brightness, contrast, cutout, translation
from mammosynth.gans.gan import Reals

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
OF_GENERATORS = SCHEMA["properties"]["generators"]["additionalProperties"]["properties"]
NAMES = OF_GENERATORS["diffaugment"]["items"]["enum"]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def images(n: int, side: int = 16) -> torch.Tensor:
    return torch.rand(n, 1, side, side) * 2 - 1


def test_nothing_is_done_where_nothing_is_named():
    x = images(2)
    before = torch.get_rng_state()
    assert augment(x, ()) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_brightness_adds_one_number_to_an_image():
    x = images(400)
    added = (brightness(x) - x).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    u = added[:, 0]
    assert -0.5 <= u.min() < -0.45
    assert 0.45 < u.max() <= 0.5
    assert abs(u.mean()) < 0.05
    assert len(u.unique()) > 390


def test_contrast_keeps_the_mean_and_multiplies_what_deviates():
    x = images(400)
    y = contrast(x)
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)))
    factor = (y - y.mean((1, 2, 3), keepdim=True)).flatten(1).norm(dim=1)
    factor /= (x - x.mean((1, 2, 3), keepdim=True)).flatten(1).norm(dim=1)
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(y, mean + (x - mean) * factor[:, None, None, None])
    assert 0.5 <= factor.min() < 0.55
    assert 1.45 < factor.max() <= 1.5


def test_translation_is_a_window_of_the_reflected_image():
    """At 16 px the reach is 2: 25 windows of the padded image, each as likely as the others."""
    x = images(500)
    seen = np.zeros((5, 5), int)
    for before, after in zip(x[:, 0].numpy(), translation(x)[:, 0].numpy()):
        padded = np.pad(before, 2, mode="reflect")
        found = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(padded[row : row + 16, column : column + 16], after)
        ]
        assert len(found) == 1
        seen[found[0]] += 1
    assert seen.sum() == 500
    assert seen.min() > 5
    assert seen.max() < 45


def test_translation_of_an_roi_reaches_16_pixels():
    ramp = torch.arange(128.0).expand(300, 1, 128, 128)
    centre = translation(ramp)[:, 0, 64, 64] - 64
    assert (centre.min(), centre.max()) == (-16, 16)
    rows = translation(ramp.mT)[:, 0, 64, 64] - 64
    assert (rows.min(), rows.max()) == (-16, 16)


def test_cutout_greys_a_square_of_half_the_side_clipped_at_the_border():
    holes = cutout(torch.ones(2000, 1, 128, 128))[:, 0] == 0
    starts, sizes = [], []
    for axis in (1, 2):
        line = holes.any(axis)
        start, size = line.int().argmax(1), line.sum(1)
        end = start + size
        inside = (start > 0) & (end < 128)
        assert torch.all(size[inside] == 64)
        assert torch.all((start == 0) | (end == 128) | (size == 64))
        for border in (start == 0, end == 128):  # a square whose centre is on the border keeps half of itself
            assert size[border].min() == 32
            assert size[border].max() <= 64
        starts.append(start)
        sizes.append(size)
    assert torch.all(holes.sum((1, 2)) == sizes[0] * sizes[1])
    assert len(torch.stack(starts, 1).unique(dim=0)) > 500


def test_outside_of_the_square_nothing_changes():
    x = images(50) + 2
    y = cutout(x)
    assert torch.all((y == x) | (y == 0))
    assert torch.all((y == 0).any((2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_what_was_done(name):
    def once(x):
        torch.manual_seed(3)
        return augment(x, (name,))

    x = (images(3, side=8).double() + 2).requires_grad_()
    assert torch.autograd.gradcheck(once, x)
    (gradient,) = torch.autograd.grad(once(x).sum(), x)
    assert torch.all(gradient.flatten(1).abs().sum(1) > 0)


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_an_images_own_and_repeat_with_the_seed(name):
    x = images(1).expand(8, 1, 16, 16)
    states = []
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(augment(x, (name,)))
        states.append(torch.get_rng_state())
    assert torch.equal(*made)
    assert torch.equal(*states)
    assert len(made[0].unique(dim=0)) >= 6
    assert not torch.equal(augment(x, (name,)), made[0])


def test_augmentations_follow_each_other_in_the_order_given():
    x = torch.ones(1, 1, 16, 16)
    torch.manual_seed(1)
    last = augment(x, ("brightness", "cutout"))
    assert (last == 0).any()
    torch.manual_seed(1)
    first = augment(x, ("cutout", "brightness"))
    assert not (first == 0).any()


def watch_images(gan) -> list[torch.Tensor]:
    """All images that critics see from now on, as the first layer, or the feature network before it, gets them."""
    seen = []
    if gan.feature_network:
        backbone = gan.backbone
        gan.backbone = lambda x: (seen.append(x), backbone(x))[1]
    else:
        for critic in gan.critics.values():
            first = next(module for module in critic.modules() if isinstance(module, nn.Conv2d))
            first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


@pytest.mark.parametrize("method", METHODS)
def test_critics_see_augmented_images_only(method, monkeypatch):
    """An augmentation that moves grey values out of their range marks what went through it, real or made."""
    gan = started(options(method, critic_steps=1))
    calls = []

    def marking(x, names):
        assert names == ("brightness", "contrast", "translation", "cutout")
        calls.append(len(x))
        return x + 10

    monkeypatch.setattr("mammosynth.gans.gan.augment", marking)
    seen = watch_images(gan)
    gan.step(Reals(few_reals(), gan.device))
    assert all(x.min() >= 9 for x in seen)
    critics, batch = len(gan.critics), gan.settings.batch
    through_generator = sum(len(x) for x in seen if x.requires_grad and not x.is_leaf)
    assert through_generator >= critics * batch
    assert sum(calls) >= 2 * critics * batch  # real and made, of each critic


@pytest.mark.parametrize("method", METHODS)
def test_critics_see_plain_images_where_nothing_is_augmented(method):
    gan = started(settings(method))
    seen = watch_images(gan)
    gan.step(Reals(few_reals(), gan.device))
    assert seen
    assert all(x.abs().max() <= 1 for x in seen)
