"""EfficientNet-Lite0 (Tan & Le 2019; TensorFlow's mobile release): features of whole images, and maps at four scales.

Its input is (grey − 127) / 128 on three channels.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammosynth.networks.frozen import enlarged, folded
from mammosynth.weights import read_weights

# Blocks whose results are maps at strides 4, 8, 16 and 32, and the channels of these.
BLOCKS = (2, 4, 10, 15)
CHANNELS = (24, 40, 112, 320)


def untrained() -> nn.Module:
    """The network as its package builds it, its weights drawn at random, and no block dropped in training."""
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0).eval()


def published(weights: Path) -> nn.Module:
    """The same with its published weights.  Raises InputError if *weights* are not its."""
    network = untrained()
    network.load_state_dict(read_weights(weights, "a file of EfficientNet-Lite0's weights", "delete it and run again"))
    return network


def lean(network: nn.Module) -> nn.Module:
    """The same function in a third of the time; its weights can go on learning, normalisations being among them."""
    return without_copies(folded(network))


def frozen(weights: Path) -> nn.Module:
    """The same with the published weights, without gradients."""
    return lean(published(weights)).requires_grad_(False)


def without_copies(network: nn.Module) -> nn.Module:
    """Convolutions that pad by themselves, and activations in place: the same features, in half of the time.

    TensorFlow pads even sides by one pixel more on the right and below, which takes a copy. Zeros on the left of the
    kernel and above it make that the same on all sides.
    """
    layer: Any  # a convolution of that network pads by an attribute that torch's have not
    for layer in network.modules():
        if isinstance(layer, nn.ReLU6):
            layer.inplace = True
        elif isinstance(getattr(layer, "static_padding", None), nn.ZeroPad2d):
            left, right, top, bottom = layer.static_padding.padding
            layer.weight = nn.Parameter(F.pad(layer.weight, (right - left, 0, bottom - top, 0)))
            layer.padding, layer.static_padding = (bottom, right), nn.Identity()
    return network


def load(weights: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The averages over space of the 1280 channels before the classifier, of enlarged images."""
    network = frozen(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda images: network.extract_features((enlarged(images) - 127) / 128).mean((2, 3))


def load_maps(weights: Path, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], list[Tensor]]:
    """From images [N, 1, H, W] in [−1, 1], as they are, to maps of ``CHANNELS``, fine to coarse, in *dtype*.

    Gradients flow to the images.  Not to be called under autocast.
    """
    network = frozen(weights).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu":
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2 and layer.groups > 1:
                _in_float32(layer)

    def maps(images: Tensor) -> list[Tensor]:
        x = (images * (127.5 / 128) + 0.5 / 128).to(dtype)
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        x = network._swish(network._bn0(network._conv_stem(x)))
        found = []
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in BLOCKS:
                found.append(x)
        return found

    return maps


def _in_float32(conv: nn.Conv2d) -> None:
    """The gradient of strided depthwise convolutions takes CPUs 5 to 20 times as long in bfloat16."""
    dtype = conv.weight.dtype
    conv.float().register_forward_pre_hook(lambda _, inputs: inputs[0].float())
    conv.register_forward_hook(lambda _, inputs, output: output.to(dtype))
