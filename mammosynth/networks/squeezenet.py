"""SqueezeNet 1.1 (Iandola et al. 2016) up to its classifier, with the weights of caffe's model.

torchvision has the same network, and takes as long to import as torch itself (benchmarks/README.md, Start-up).
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mammosynth.networks.frozen import enlarged

# Channels in, squeezed and out of the fire modules, and None where maps are halved.
FIRES = {
    "fire2": (64, 16, 128),
    "fire3": (128, 16, 128),
    "pool3": None,
    "fire4": (128, 32, 256),
    "fire5": (256, 32, 256),
    "pool5": None,
    "fire6": (256, 48, 384),
    "fire7": (384, 48, 384),
    "fire8": (384, 64, 512),
    "fire9": (512, 64, 512),
}


class Fire(nn.Module):
    """Fewer channels by 1×1, then more by 1×1 and 3×3 side by side."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, outputs // 2, 1)
        self.expand3x3 = nn.Conv2d(squeezed, outputs // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze1x1(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def load(weights: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The averages over space of the 512 channels before the classifier; input x minus caffe's means, in order BGR."""
    network = squeezenet(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.tensor([104.0, 117.0, 123.0], device=device)[:, None, None]
    return lambda images: network(enlarged(images) - mean).mean((2, 3))


def squeezenet(weights: Path) -> nn.Module:
    """The network, from images float [N, 3, H, W] to maps of 512 features, with the weights of caffe's file."""
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(3, 64, 3, stride=2))
    network.add_module("relu1", nn.ReLU())
    network.add_module("pool1", nn.MaxPool2d(3, 2, ceil_mode=True))
    for name, channels in FIRES.items():
        network.add_module(name, Fire(*channels) if channels else nn.MaxPool2d(3, 2, ceil_mode=True))
    network.load_state_dict(_state(read_arrays(weights), network))
    return network.eval()


def _state(arrays: dict[str, list], network: nn.Module) -> dict[str, Tensor]:
    """torch's layout of caffe's layers (kernels as height, width, in, out)."""
    state = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            kernel, bias = arrays[name.replace(".", "/")]
            state[f"{name}.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1)
            state[f"{name}.bias"] = torch.from_numpy(bias).flatten()
    return state


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays in lists and dictionaries; anything else that a pickle could run is refused."""

    allowed = {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:
        if (module.removeprefix("numpy.core."), name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a numpy array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_arrays(path: Path) -> Any:
    """Arrays in lists and dictionaries from a pickle.  Raises UnpicklingError if anything else is in it."""
    with path.open("rb") as file:
        return _ArrayUnpickler(file).load()
