"""Features of images by networks trained on ImageNet, in which distances between sets of images are measured.

Adding an extractor is one function and one line of ``EXTRACTORS``, and its weights one entry of
``resources/parameters.yaml`` under the same name.

Images are enlarged to the side that a network was trained on (224; Inception: 299), as for FID. At 128 px, as they are,
EfficientNet-Lite0's last layer has 4×4 positions instead of 7×7 and features unlike those that it learned: the distance
between two halves of one set of mammography masses (n = 262, CBIS-DDSM) is 52 at 128 px and 11.0 at 224.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from mammosynth.errors import InputError
from mammosynth.progress import track
from mammosynth.quality import TITLES
from mammosynth.quality.squeezenet import squeezenet
from mammosynth.weights import read_weights

BATCH = 8  # the quickest on CPUs
SIDE = 224
DAMAGED = (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, pickle.UnpicklingError)  # of a file

Module = TypeVar("Module", bound=torch.nn.Module)
Network = Callable[[torch.Tensor], torch.Tensor]  # uint8 [B, 3, H, W] -> float32 [B, d]


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features.

    title: how measures spell it; dimension: length of its features; load: from (weights file, device) to the network.
    """

    title: str
    dimension: int
    load: Callable[[Path, torch.device], Network]

    def measure(self, name: str) -> str:
        """The name of a measure on these features, e.g. "FD (SqueezeNet 1.1)"."""
        return f"{name} ({self.title})"


class _Inception(Extractor):
    """FID and KID are names that only Inception's features earn."""

    def measure(self, name: str) -> str:
        name = name.replace("FD", "FID").replace("KD", "KID")
        return name if "ID" in name else super().measure(name)


def features(images: np.ndarray, extractor: str, weights: str | Path, device: torch.device | str = "cpu") -> np.ndarray:
    """Features float32 [N, d] of grey images uint8 [N, H, W], in their order.

    extractor: a name of ``EXTRACTORS``; weights: its parameter file. Single precision on every device (bfloat16 shifts
    a Fréchet distance by 0.5); a row depends on its own image only.

    Raises ValueError if *images* is anything else.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"images must be uint8 [N, H, W], not {images.dtype} {list(images.shape)}")
    chosen = EXTRACTORS[extractor]
    network = _loaded(extractor, Path(weights), torch.device(device))
    result = np.empty((len(images), chosen.dimension), np.float32)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in track(range(0, len(images), BATCH), f"features by {chosen.title}"):
            batch = torch.from_numpy(images[start : start + BATCH]).to(device)
            result[start : start + BATCH] = network(batch[:, None].expand(-1, 3, -1, -1)).cpu().numpy()
    return result


@cache
def _loaded(extractor: str, weights: Path, device: torch.device) -> Network:
    """A training that looks at its images again and again loads the network once."""
    try:
        return EXTRACTORS[extractor].load(weights, device)
    except (InputError, torch.OutOfMemoryError):
        raise
    except (*DAMAGED, RuntimeError) as error:
        raise InputError(
            f"{weights} is not a file of {EXTRACTORS[extractor].title}'s weights, or not whole: delete it and run again"
        ) from error


def _enlarged(images: torch.Tensor) -> torch.Tensor:
    """float32 [B, 3, 224, 224] in 0…255, channels last."""
    size = (SIDE, SIDE)
    enlarged = F.interpolate(images.float(), size, mode="bilinear", align_corners=False)
    return enlarged.contiguous(memory_format=torch.channels_last)


def _efficientnet_lite0(weights: Path, device: torch.device) -> Network:
    """The averages over space of the 1280 channels before the classifier; input (x − 127) / 128."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(read_weights(weights, "a file of EfficientNet-Lite0's weights", "delete it and run again"))
    network = _without_copies(folded(network.eval())).to(device, memory_format=torch.channels_last)
    return lambda images: network.extract_features((_enlarged(images) - 127) / 128).mean((2, 3))


def folded(network: Module) -> Module:
    """Each batch normalisation folded into the convolution before it: the same features, in 4/5 of the time."""
    for module in network.modules():
        children = list(module.named_children())
        for (name, layer), (next_name, norm) in pairwise(children):
            if isinstance(layer, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.utils.fuse_conv_bn_eval(layer, norm))
                setattr(module, next_name, torch.nn.Identity())
    return network


def _without_copies(network: Module) -> Module:
    """Convolutions that pad by themselves, and activations in place: the same features, in half of the time.

    TensorFlow pads even sides by one pixel more on the right and below, which takes a copy. Zeros on the left of the
    kernel and above it make that the same on all sides.
    """
    layer: Any  # a convolution of that network pads by an attribute that torch's have not
    for layer in network.modules():
        if isinstance(layer, torch.nn.ReLU6):
            layer.inplace = True
        elif isinstance(getattr(layer, "static_padding", None), torch.nn.ZeroPad2d):
            left, right, top, bottom = layer.static_padding.padding
            layer.weight = torch.nn.Parameter(F.pad(layer.weight, (right - left, 0, bottom - top, 0)))
            layer.padding, layer.static_padding = (bottom, right), torch.nn.Identity()
    return network


def _squeezenet(weights: Path, device: torch.device) -> Network:
    """The averages over space of the 512 channels before the classifier; input x minus caffe's means, in order BGR."""
    network = squeezenet(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.tensor([104.0, 117.0, 123.0], device=device)[:, None, None]
    return lambda images: network(_enlarged(images) - mean).mean((2, 3))


def _inception(weights: Path, device: torch.device) -> Network:
    """torch-fidelity's network, with its own resizing to 299 px: the features that FID and KID are defined on."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity)
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))
    network = folded(network).to(device, memory_format=torch.channels_last)
    return lambda images: network(images)[0]


def _dinov2(weights: Path, device: torch.device) -> Network:
    """The class token of DINOv2's ViT-S/14 (Oquab et al. 2023); images enlarged and scaled as by torch-fidelity.

    torch-fidelity has DINOv2 from the network's hub alone; timm builds the same from a file.
    """
    import mammosynth.vision  # noqa: F401  isort: skip  (before timm and torch_fidelity)
    import timm
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    state = read_weights(weights, "a file of DINOv2's weights", "delete it and run again")
    del state["mask_token"]  # which only its training needs
    state["pos_embed"] = _dinov2_positions(state["pos_embed"])
    network = timm.create_model("vit_small_patch14_dinov2", img_size=SIDE, num_classes=0)
    network.load_state_dict(state)
    network.eval().to(device)
    mean, deviation = (
        255 * torch.tensor(colours, device=device)[:, None, None]
        for colours in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def extract(images: torch.Tensor) -> torch.Tensor:
        enlarged = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIDE, SIDE), align_corners=False)
        return network((enlarged - mean) / deviation)

    return extract


def _dinov2_positions(embedding: torch.Tensor) -> torch.Tensor:
    """Its 37×37 positions [1, 1 + 37², d] at 16×16, resampled as by its own code: by (16 + 0.1) / 37."""
    kept, grid = embedding[:, :1], embedding[:, 1:]
    side, length = round(grid.shape[1] ** 0.5), SIDE // 14
    grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=(length + 0.1) / side, mode="bicubic")
    return torch.cat([kept, grid.flatten(2).transpose(1, 2)], dim=1)


EXTRACTORS = {
    "efficientnet_lite0": Extractor(TITLES["efficientnet_lite0"], 1280, _efficientnet_lite0),
    "squeezenet": Extractor(TITLES["squeezenet"], 512, _squeezenet),
    "dinov2": Extractor(TITLES["dinov2"], 384, _dinov2),
    "inception": _Inception(TITLES["inception"], 2048, _inception),
}
