"""Our ResNets are torchvision's."""

import pytest
import torch

from mammosynth.networks.resnet import LAYOUTS, ResidualNetwork


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_resnet_is_torchvisions(name):
    from mammosynth.vision import torchvision

    torch.manual_seed(0)
    theirs, ours = getattr(torchvision.models, name)(num_classes=3).eval(), ResidualNetwork(name, 3, 3).eval()
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    x = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", LAYOUTS)
def test_random_weights_spread_as_torchvisions(name):
    from mammosynth.vision import torchvision

    torch.manual_seed(0)
    theirs, ours = getattr(torchvision.models, name)().state_dict(), ResidualNetwork(name, 3, 1000).state_dict()
    for part, weight in theirs.items():
        if weight.numel() > 1000:
            assert ours[part].std().item() == pytest.approx(weight.std().item(), rel=0.1, abs=1e-12), part
