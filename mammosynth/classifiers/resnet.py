"""ResNets (He et al. 2016) with one input channel and one logit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mammosynth.classifiers.network import NetworkClassifier
from mammosynth.errors import InputError
from mammosynth.networks.resnet import ResidualNetwork
from mammosynth.paths import IMAGENET
from mammosynth.weights import read_weights


class ResNet(NetworkClassifier):
    """A ResNet, from a random start or from torchvision's ImageNet weights.

    Of these the first convolution is summed over the colour channels: what a grey image in all three would see.
    """

    architecture: str  # a name of `mammosynth.networks.resnet.LAYOUTS`

    def make_network(self) -> nn.Module:
        return ResidualNetwork(self.architecture, width=self.settings["width"])

    def start(self) -> None:
        weights = self.settings["weights"]
        if weights is None:
            return
        if weights == IMAGENET:
            weights = self.parameters[self.architecture]
        mend = "name a file of torchvision's, download it again, or set null to start at random"
        state = read_weights(weights, "a file of weights", mend)
        state = {name: value for name, value in state.items() if not name.startswith("fc.")}
        if "conv1.weight" in state:
            state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
        if _shapes(state) != _shapes(self.network.state_dict()):
            raise InputError(f"weights: {weights} holds no torchvision {self.architecture}; take the file made for it")
        self.network.load_state_dict(state, strict=False)


def _shapes(state: Mapping[str, Any]) -> dict[str, torch.Size | None]:
    """Shapes by name of what weights must bring: not the last layer, nor counts of batches, which older files lack."""
    kept = (name for name in state if not name.startswith("fc.") and not name.endswith("num_batches_tracked"))
    return {name: getattr(state[name], "shape", None) for name in kept}
