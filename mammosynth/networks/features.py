"""Features of images by the networks of ``NETWORKS``, in which distances between sets of images are measured."""

import pickle
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from mammosynth.errors import InputError
from mammosynth.networks import NETWORKS
from mammosynth.progress import track

BATCH = 8  # the quickest on CPUs
DAMAGED = (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, pickle.UnpicklingError)  # of a file


def features(images: np.ndarray, network: str, weights: str | Path, device: torch.device | str = "cpu") -> np.ndarray:
    """Features float32 [N, d] of grey images uint8 [N, H, W], in their order.

    network: a name of ``NETWORKS``; weights: its parameter file. Single precision on every device (bfloat16 shifts a
    Fréchet distance by 0.5); a row depends on its own image only.

    Raises ValueError if *images* is anything else.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"images must be uint8 [N, H, W], not {images.dtype} {list(images.shape)}")
    chosen = NETWORKS[network]
    extract = _loaded(network, Path(weights), torch.device(device))
    result = np.empty((len(images), chosen.dimension), np.float32)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in track(range(0, len(images), BATCH), f"features by {chosen.title}"):
            batch = torch.from_numpy(images[start : start + BATCH]).to(device)
            result[start : start + BATCH] = extract(batch[:, None].expand(-1, 3, -1, -1)).cpu().numpy()
    return result


@cache
def _loaded(network: str, weights: Path, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """A training that looks at its images again and again loads the network once."""
    chosen = NETWORKS[network]
    try:
        return import_module(chosen.module).load(weights, device)
    except (InputError, torch.OutOfMemoryError):
        raise
    except (*DAMAGED, RuntimeError) as error:
        raise InputError(
            f"{weights} is not a file of {chosen.title}'s weights, or not whole: delete it and run again"
        ) from error
