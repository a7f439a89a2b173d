"""The Inception network of 2015-12-05, in whose features FID and KID are defined."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mammosynth.networks.frozen import folded


def load(weights: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """torch-fidelity's network, with its own resizing to 299 px: the 2048 features before the classifier."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity)
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))
    network = folded(network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda images: network(images)[0]
