"""Our Adam is torch's, to the bit, also after it was saved and taken up."""

import pytest
import torch

from mammosynth.adam import Adam


def weights(seed: int = 0) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(7, 5, requires_grad=True), torch.randn(3, 2, 4, 4, requires_grad=True)]


def set_gradients(of: list[torch.Tensor], step: int) -> None:
    """Those of one step; the second weight has none in the first two."""
    torch.manual_seed(100 + step)
    for i, weight in enumerate(of):
        gradient = torch.randn(weight.shape)
        weight.grad = None if i == 1 and step < 2 else gradient


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_is_torchs(decay):
    ours, theirs = weights(), weights()
    adam = Adam(ours, 1e-2, (0.5, 0.99), decay)
    expected = torch.optim.AdamW(theirs, 1e-2, (0.5, 0.99), weight_decay=decay, fused=True)
    for step in range(6):
        adam.rate = expected.param_groups[0]["lr"] = 1e-2 / (step + 1)
        for optimiser, own in ((adam, ours), (expected, theirs)):
            set_gradients(own, step)
            optimiser.step()
            optimiser.zero_grad()
            assert all(weight.grad is None for weight in own)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs))
    if not decay:
        plain = weights()
        expected = torch.optim.Adam(plain, 1e-2, (0.5, 0.99), fused=True)
        for step in range(6):
            expected.param_groups[0]["lr"] = 1e-2 / (step + 1)
            set_gradients(plain, step)
            expected.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, plain))


def test_it_goes_on_where_it_was(tmp_path):
    whole, cut = weights(), weights()
    first = [Adam(of, 1e-2) for of in (whole, cut)]
    for step in range(3):
        for adam, of in zip(first, (whole, cut)):
            set_gradients(of, step)
            adam.step()
    torch.save(first[1].state(), tmp_path / "state.pt")
    again = Adam(cut, 1e-2)
    again.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(3, 6):
        for adam, of in zip((first[0], again), (whole, cut)):
            set_gradients(of, step)
            adam.step()
    assert all(torch.equal(a, b) for a, b in zip(whole, cut))
