"""A step on a device that is not the CPU, without one: on torch's "meta" device tensors have shapes, and no values.

Where a step asks for a value, on a GPU the host would wait for it; where it mixes devices, it fails there as here.
"""

import contextlib

import pytest
import torch
from gans_for_tests import few_reals, options, random_lite0, settings

from mammosynth.gans import METHODS, cyclegan, gan_class
from mammosynth.gans.gan import Gan, Reals

META = torch.device("meta")


def copied(tensor: torch.Tensor, *args, move=torch.Tensor.to, **kwargs) -> torch.Tensor:
    """``Tensor.to``, which by default makes the host wait until all that the GPU has to do, and the copy, are done."""
    moved = move(tensor, *args, **kwargs)
    if tensor.device.type == "cpu" and moved.device == META and not kwargs.get("non_blocking"):
        raise AssertionError("the host would wait for this copy: non_blocking=True")
    return moved


def trained(gan: Gan, monkeypatch, steps: int = 2) -> None:
    """*steps* steps on the meta device, which autocast does not know."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    gan.start(META, random_lite0() if gan.feature_network else None)
    reals = Reals(few_reals(), META, gan.settings.flips)
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "to", copied)
        for step in range(steps):
            gan.set_rate(step)
            losses = gan.step(reals)
            gan.update_average(step)
    assert {value.device for values in losses.values() for value in values.values()} == {META}


@pytest.mark.parametrize("method", METHODS)
def test_a_step_stays_on_its_device_and_waits_for_no_value(method, monkeypatch):
    monkeypatch.setattr(cyclegan, "POOL", 3)  # full in the second step
    trained(gan_class(method)(options(method)), monkeypatch)


def test_so_does_one_that_is_told_the_class_beside_its_input(monkeypatch):
    trained(gan_class("cgan")(settings("cgan", conditioning="concat")), monkeypatch)


@pytest.mark.parametrize(
    ("named", "what", "error"),
    [
        ("linear_generator", lambda scores: -scores.mean() * float(scores.detach().max()), RuntimeError),
        ("linear_generator", lambda scores: -(scores * torch.ones(len(scores))).mean(), RuntimeError),
        ("linear_generator", lambda scores: -(scores * torch.ones(len(scores)).to(META)).mean(), AssertionError),
    ],
    ids=["a value", "another device", "a copy"],
)
def test_a_step_that_would_wait_is_found(named, what, error, monkeypatch):
    monkeypatch.setattr(f"mammosynth.gans.noise.{named}", what)
    with pytest.raises(error):
        trained(gan_class("sngan")(settings("sngan")), monkeypatch)
