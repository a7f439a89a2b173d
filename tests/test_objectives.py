"""Losses and what regularises critics, against values worked out by hand, and how GANs use them."""

import pytest
import torch
from gans_for_tests import few_reals, settings, started
from torch import nn

from mammosynth.gans import METHODS, gan_class
from mammosynth.gans.gan import R1_EVERY, Reals
from mammosynth.gans.objectives import (
    LeCam,
    gradient_penalty,
    hinge_critic,
    least_squares_critic,
    least_squares_generator,
    linear_generator,
    r1_penalty,
    wasserstein_critic,
)

WITH_R1 = [name for name, method in METHODS.items() if "r1" in method.takes]


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert hinge_critic(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 2) / 2)
    assert wasserstein_critic(real, fake).item() == pytest.approx(-1 - 1.25)
    assert linear_generator(fake).item() == pytest.approx(1)
    assert least_squares_critic(real, fake).item() == pytest.approx(0.5 * ((1 + 0.25) / 2 + (9 + 1) / 2))
    assert least_squares_generator(fake).item() == pytest.approx((16 + 0) / 2)


def test_gradient_penalty_by_hand():
    real, fake = torch.randn(5, 1, 3, 2), torch.randn(5, 1, 3, 2)
    weight = torch.tensor(0.5, requires_grad=True)
    penalty = gradient_penalty(lambda x: weight * x.sum((1, 2, 3)), real, fake)
    norm = 0.5 * 6**0.5
    assert penalty.item() == pytest.approx((norm - 1) ** 2)
    penalty.backward()
    assert weight.grad.item() == pytest.approx(2 * (norm - 1) * 6**0.5)


def test_gradient_penalty_looks_between_real_and_fake():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    gradient_penalty(critic, torch.zeros(100, 1, 2, 2), torch.ones(100, 1, 2, 2))
    share = seen[0].flatten(1)
    assert torch.all(share == share[:, :1])
    assert share.min() >= 0
    assert share.max() <= 1
    assert share[:, 0].std() > 0.2


class Quadratic(nn.Module):
    """D(x) = w ½ Σ x², whose gradient at x is w x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, images):
        return self.weight * images.square().sum((1, 2, 3)) / 2


def test_r1_by_hand():
    critic, real = Quadratic(), torch.randn(4, 1, 3, 2)
    squares = real.square().sum().item() / 4
    penalty = r1_penalty(critic, real)
    assert penalty.item() == pytest.approx(0.5**2 * squares)
    penalty.backward()
    assert critic.weight.grad.item() == pytest.approx(2 * 0.5 * squares)
    assert real.grad is None


def test_r1_of_several_scores_is_that_of_their_mean():
    real = torch.ones(3, 1, 4, 4)
    penalty = r1_penalty(lambda x: torch.stack([x.sum((1, 2, 3)), 3 * x.sum((1, 2, 3))], 1), real)
    assert penalty.item() == pytest.approx(2**2 * 16)


def test_r1_is_the_mean_of_double_backward_of_each_image():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 1, 3), nn.Softplus(), nn.Flatten())
    real = torch.randn(5, 1, 8, 8)
    weights = list(critic.parameters())
    together = torch.autograd.grad(r1_penalty(critic, real), weights)
    total = 0.0
    for image in real:
        x = image[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).mean(), x, create_graph=True)
        total = total + slope.square().sum() / len(real)
    for one, other in zip(together, torch.autograd.grad(total, weights, allow_unused=True)):
        torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other)


def test_lecam_by_hand():
    lecam = LeCam()
    real, fake = torch.tensor([[1.0, 3.0]], requires_grad=True), torch.tensor([-2.0, 0.0], requires_grad=True)
    # The first scores are the first averages: 2 and −1.
    term = lecam(real, fake, step=0, steps=1)
    assert term.item() == pytest.approx(((1 + 1) ** 2 + (3 + 1) ** 2) / 2 + ((-2 - 2) ** 2 + (0 - 2) ** 2) / 2)
    slopes = torch.autograd.grad(term, (real, fake))
    torch.testing.assert_close(slopes[0], torch.tensor([[2.0, 4.0]]))
    torch.testing.assert_close(slopes[1], torch.tensor([-4.0, -2.0]))
    # Then they move by a hundredth towards the next ones, 102 and 99.
    lecam(real + 100, fake + 100, step=0, steps=1)
    torch.testing.assert_close(lecam.averages, torch.tensor([3.0, 0.0]))
    assert lecam.updates == 2


@pytest.mark.parametrize(("steps", "first"), [(1, 0), (9, 0), (100, 10), (10_000, 1000), (450_000, 1000)])
def test_lecam_enters_after_its_warm_up_in_every_training_however_short(steps, first):
    lecam, scores = LeCam(), torch.tensor([1.0, 2.0])
    on = [step for step in {0, first - 1, first, steps - 1} if 0 <= step < steps and lecam(scores, scores, step, steps)]
    assert set(on) == {first, steps - 1}
    assert lecam.averages[0] == 1.5  # which is known from the first step on, in the warm-up too


def critic_losses(chosen, now: int = 0) -> list[float]:
    """The critics' losses of step *now*, and those of the next."""
    gan = started(chosen)
    gan.set_rate(now)
    return [float(values["d_loss"]) for values in gan.step(Reals(few_reals(), gan.device)).values()]


@pytest.mark.parametrize("method", METHODS)
def test_lecam_is_part_of_every_critics_loss(method, monkeypatch):
    monkeypatch.setattr(LeCam, "forward", lambda *_: torch.tensor(7.0))
    without, with_it = (critic_losses(settings(method, lecam=weight)) for weight in (0.0, 0.5))
    critics = len(started(settings(method)).critics) / len(without)
    assert with_it == pytest.approx([loss + 0.5 * 7 * critics for loss in without], rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_lecams_averages_are_in_the_checkpoint(method):
    gan = started(settings(method, lecam=0.3))
    gan.step(Reals(few_reals(), gan.device))
    networks = gan.state()["networks"]
    for name in gan.critics:
        assert networks[f"anchors.{name}.updates"] == 1
        assert networks[f"anchors.{name}.averages"].abs().min() > 0


@pytest.mark.parametrize("method", WITH_R1)
def test_r1_is_part_of_every_critics_loss_at_every_sixteenth_step_with_sixteen_times_the_weight(method, monkeypatch):
    monkeypatch.setattr("mammosynth.gans.gan.r1_penalty", lambda *_: torch.tensor(7.0))
    without, with_it = (critic_losses(settings(method, r1=gamma), now=0) for gamma in (0.0, 0.2))
    critics = len(started(settings(method)).critics) / len(without)
    assert with_it == pytest.approx([loss + 0.2 / 2 * 16 * 7 * critics for loss in without], rel=1e-5)
    assert critic_losses(settings(method, r1=0.2, steps=9), now=1) == critic_losses(settings(method, steps=9), now=1)


def test_r1_comes_every_sixteenth_update_of_the_critic(monkeypatch):
    monkeypatch.setattr("mammosynth.gans.gan.r1_penalty", lambda *_: 1.0)
    gan = gan_class("sngan")(settings("sngan", r1=10.0))
    terms = []
    for gan.update in range(64):
        terms.append(gan.r1(None, None))
    assert [step for step, term in enumerate(terms) if term] == [0, 16, 32, 48]
    assert sum(terms) / 64 == pytest.approx(10 / 2)
    assert R1_EVERY == 16
    gan = started(settings("sngan", r1=0.2, critic_steps=5))
    gan.set_rate(3)
    gan.step(Reals(few_reals(), gan.device))
    assert gan.update == 20


@pytest.mark.parametrize("method", WITH_R1)
def test_r1_reaches_the_critics_weights_and_looks_at_augmented_reals(method, monkeypatch):
    """With a slope of the penalty that outweighs all else, the critics' gradients grow with γ."""
    looked = []

    def watching(critic, real):
        looked.append(real)
        return r1_penalty(critic, real)

    monkeypatch.setattr("mammosynth.gans.gan.r1_penalty", watching)
    monkeypatch.setattr("mammosynth.gans.gan.augment", lambda x, names: x + 10)
    norms = []
    for gamma in (0.0, 1e8):
        gan = started(settings(method, r1=gamma))
        gan.step(Reals(few_reals(), gan.device))
        norms.append(min(sum(w.grad.norm().item() for w in c.parameters()) for c in gan.critics.values()))
    assert norms[1] > 10 * norms[0]
    assert len(looked) == len(gan.critics)
    assert all(x.min() >= 9 and x.max() <= 11 and not x.requires_grad for x in looked)
