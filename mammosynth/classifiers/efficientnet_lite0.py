"""EfficientNet-Lite0 (Tan & Le 2019) that goes on learning from its ImageNet weights.

Batch normalisation keeps ImageNet's statistics, folded into the convolutions: on few images no worse as far as could be
told (benchmarks/README.md, Classifiers), in 4/5 of the time.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mammosynth.classifiers.network import NetworkClassifier
from mammosynth.networks import NETWORKS
from mammosynth.networks.efficientnet_lite0 import lean, published, untrained

HEAD = 10  # times as fast: it starts from nothing


class _Network(nn.Module):
    """From images float [N, 1, H, W] to log-odds [N, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.body: Any = _for_autocast(lean(untrained()))
        self.body._fc = nn.Identity()  # for ImageNet's classes
        self.head = nn.Linear(NETWORKS["efficientnet_lite0"].dimension, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.requires_grad_()  # folding leaves offsets without

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body.extract_features(images.expand(-1, 3, -1, -1)).float().mean((2, 3)))


class EfficientNetLite0(NetworkClassifier):
    """The network up to its features, and one logit of their averages over space."""

    def make_network(self) -> nn.Module:
        return _Network()

    def start(self) -> None:
        state = lean(published(Path(self.parameters["efficientnet_lite0"]))).state_dict()
        body = self.network.body
        body.load_state_dict({name: state[name] for name in body.state_dict()})

    def rates(self) -> list[tuple[Iterable[Tensor], float]]:
        rate = self.settings["learning_rate"]
        return [(self.network.body.parameters(), rate), (self.network.head.parameters(), HEAD * rate)]

    def normalise(self, images: Tensor) -> Tensor:
        return (images * 255 - 127) / 128


def _for_autocast(network: nn.Module) -> nn.Module:
    """Depthwise convolutions in float32 on CPUs, whose gradients take 5 to 10 times as long in bfloat16."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = _in_float32_on_cpus(layer.forward)  # type: ignore[method-assign,assignment]
    return network


def _in_float32_on_cpus(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def in_float32(x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return forward(x)
        with torch.autocast("cpu", enabled=False):
            return forward(x.float())

    return in_float32
