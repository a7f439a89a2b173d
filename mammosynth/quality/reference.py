"""What the images of all generators of a split are described beside: made once, of the split's real ROIs."""

import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from mammosynth.errors import InputError
from mammosynth.quality.novelty import Limits

PARTS = ("features", "niqe")


@dataclass
class Reference:
    """What images are described beside.

    features: by network, float32 [N, d] of the training ROIs in their order.
    niqe: mean and covariance of the natural-scene model refitted to the training ROIs.
    limits: beyond which an image is a near copy.
    threshold: the probability from which the split's classifier calls a ROI malignant.
    """

    features: dict[str, np.ndarray]
    niqe: dict[str, np.ndarray]
    limits: Limits
    threshold: float

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``."""
        arrays = {f"{part}/{name}": found for part in PARTS for name, found in getattr(self, part).items()}
        with open(path, "wb") as file:
            np.savez(file, **arrays, **asdict(self.limits), threshold=self.threshold)

    @staticmethod
    def load(path: str | Path) -> "Reference":
        """Read what `save` wrote.  Raises InputError if *path* is no such file, or not whole."""
        arrays = load_arrays(path)
        try:
            limits = Limits(*(float(arrays[field.name]) for field in fields(Limits)))
            return Reference(_part(arrays, "features"), _part(arrays, "niqe"), limits, float(arrays["threshold"]))
        except KeyError as error:
            raise InputError(f"{path} is of another version of mammosynth: delete it and run again") from error


def _part(arrays: dict[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{part}/"): found for name, found in arrays.items() if name.startswith(f"{part}/")}


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, by name.  Raises InputError if *path* is no such file, or not whole."""
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is no whole file of arrays ({type(error).__name__}): delete it and run again"
        ) from error
