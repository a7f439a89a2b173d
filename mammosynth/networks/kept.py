"""Features of images, kept for whoever needs them again: quality, or a classifier of features."""

import hashlib
from collections.abc import Iterable
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


def kept_features_of(
    images: np.ndarray,
    sets: Iterable[np.ndarray],
    network: str,
    weights: str | Path,
    folder: str | Path,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """The same, of images most of which lie in *sets* of images: each set's features are kept, and looked up.

    So a choice of a set's images, or several sets in one, costs nothing once the sets are known.  Features of other
    images are not kept.
    """
    known: dict[bytes, np.ndarray] = {}
    for images_of_set in sets:
        known |= zip(map(_digest, images_of_set), kept_features(images_of_set, network, weights, folder, device))
    digests = [_digest(image) for image in images]
    others = np.array([digest not in known for digest in digests], bool)
    if others.any():
        known |= zip(
            (digest for digest, other in zip(digests, others) if other),
            features.features(images[others], network, weights, device),
        )
    return np.stack([known[digest] for digest in digests])


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).digest()
