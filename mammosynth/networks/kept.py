"""Features of images, kept for whoever needs them again: quality, or a classifier of features."""

from pathlib import Path

import numpy as np
import torch

from mammosynth import code
from mammosynth.kept import kept
from mammosynth.networks import NETWORKS, features


def kept_features(
    images: np.ndarray, network: str, weights: str | Path, folder: str | Path, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Features float32 [N, d] of grey images uint8 [N, H, W], as `features.features` computes them.

    network: a name of ``NETWORKS``; weights: its parameter file; folder: see `mammosynth.kept`.
    """
    inputs = network, code.digest(code.module(features.__name__)), Path(weights), images

    def compute() -> dict[str, np.ndarray]:
        return {"features": features.features(images, network, weights, device)}

    return kept(folder, f"{NETWORKS[network].module}:load", inputs, compute)["features"]
