"""Our quick training steps compute what the plain textbook implementations of the benchmark do."""

import pytest
import torch
from torch import nn

from benchmarks import gan_step
from benchmarks.gan_step import CASES, FlopCounter, our_step, pair, textbook_step

CPU = torch.device("cpu")


@torch.no_grad()
def settle(critics: nn.Module) -> None:
    """Set the vectors of spectral normalisation's power iterations to where they end.

    The textbook makes one more iteration a step, as it sees real and fake images apart.
    """
    for layer in critics.modules():
        if hasattr(layer, "parametrizations"):
            left, _, right = torch.linalg.svd(layer.parametrizations.weight.original.flatten(1), full_matrices=False)
            layer.parametrizations.weight[0]._u.copy_(left[:, 0])
            layer.parametrizations.weight[0]._v.copy_(right[0])


def settled_pair(method: str, learning_rate: float):
    gan, _, reals = pair(method, 4, 2, CPU, "float32", learning_rate)
    settle(gan.critics)
    return gan, CASES[method].textbook(gan), reals


def gradients_at_updates(gan) -> dict[str, list[torch.Tensor]]:
    """Filled, while *gan* trains, with the gradients that its optimisers take."""
    found = {"generators": [], "critics": []}
    for name, adam in (("generators", gan.generator_adam), ("critics", gan.critic_adam)):
        weights = [weight for weight in getattr(gan, name).parameters() if weight.requires_grad]

        def step(taken=found[name], weights=weights, update=adam.step):
            taken.extend(weight.grad.clone() for weight in weights)
            update()

        adam.step = step
    return found


def losses_of(steps: int, work) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.tensor(
        [[float(v) for _, of in sorted(work().items()) for _, v in sorted(of.items())] for _ in range(steps)]
    )


@pytest.mark.parametrize("method", CASES)
def test_networks_are_the_textbooks(method):
    gan, plain, _ = settled_pair(method, learning_rate=0.0)
    name, labels = next(iter(gan.critics)), torch.tensor([0, 1])
    images, latents = torch.randn(2, 1, 128, 128).double(), torch.randn(2, 128).double()
    translates = method == "cyclegan"
    for mine, other, inputs in (
        (gan.generators[name], plain.generators[name], [images] if translates else [latents, labels]),
        (gan.critics[name], plain.critics[name], [images] if translates else [images, labels]),
    ):
        outputs = [network.double()(*inputs) for network in (mine, other)]
        torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
        (weight,) = torch.randn_like(outputs[0][None])
        gradients = [
            torch.autograd.grad((output * weight).sum(), network.parameters(), materialize_grads=True)
            for output, network in zip(outputs, (mine, other))
        ]
        torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", CASES)
def test_losses_and_gradients_are_the_textbooks(method):
    gan, plain, (reals, plain_reals) = settled_pair(method, learning_rate=0.0)
    ours, theirs = gradients_at_updates(gan), gradients_at_updates(plain)
    torch.testing.assert_close(
        losses_of(1, lambda: our_step(gan, reals)),
        losses_of(1, lambda: textbook_step(plain, plain_reals)),
        rtol=1e-4,
        atol=1e-5,
    )
    for name in ours:
        # The gradient of a bias before a normalisation is 0, and what is computed rounding: hence the second term.
        scale = 1e-4 * torch.stack([gradient.norm() for gradient in theirs[name]]).norm()
        assert len(ours[name]) == len(theirs[name]) > 0
        for mine, other in zip(ours[name], theirs[name]):
            assert (mine - other).norm() <= 1e-2 * other.norm() + scale


@pytest.mark.parametrize("method", CASES)
def test_losses_stay_the_textbooks_over_steps(method):
    gan, plain, (reals, plain_reals) = settled_pair(method, learning_rate=1e-5)
    ours = losses_of(4, lambda: our_step(gan, reals))
    theirs = losses_of(4, lambda: textbook_step(plain, plain_reals))
    assert (ours[-1] - ours[0]).abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_operations_are_counted_through_second_derivatives():
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    once = 2 * (2 * 8 * 8) * (4 * 3 * 3 * 3)
    with FlopCounter() as counter:
        y = nn.functional.conv2d(x, weight, padding=1)
    assert counter.total == once
    with FlopCounter() as counter:
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    assert counter.total == once
    with FlopCounter() as counter:
        gradient.square().sum().backward()
    assert counter.total > 2 * once


def test_table_tells_what_was_measured(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [*["--", "--methods", "sngan", "--width", "2", "--batch", "1", "--pairs", "2"]])
    monkeypatch.setattr(gan_step, "ceiling", lambda device, dtype: 1e9)
    gan_step.main()
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sngan")]
    assert row.split()[1:3] == ["2", "1"]
