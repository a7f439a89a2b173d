"""What all generators of a fold are judged against: made once, of the fold's real ROIs."""

import zipfile
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES
from mammosynth.quality.novelty import Limits


@dataclass
class Reference:
    """What all generators of a fold are judged against.

    features: by extractor, float32 [N, d] of the training ROIs in their order.
    halves: by class, positions [H, 2, m] of training ROIs: the reference half and the half that gives the floor.
    floors: by extractor and pathology, the Fréchet distances [H] between the two.
    floor_errors: by the same, the standard error of their mean, as a share of it; NaN where it cannot be told.
    niqe: the natural-scene model refitted to the training ROIs, by the names of its arrays.
    held_out: what novelty needs of the validation part's ROIs, by name, one value a ROI.
    limits: ``label``, the probability from which the fold's classifier calls a ROI malignant; ``correlation`` and
        ``relative_distance``, beyond which an image is a near copy.
    """

    features: dict[str, np.ndarray] = field(default_factory=dict)
    halves: dict[str, np.ndarray] = field(default_factory=dict)
    floors: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    floor_errors: dict[tuple[str, str], float] = field(default_factory=dict)
    niqe: dict[str, Any] = field(default_factory=dict)
    held_out: dict[str, np.ndarray] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def halvings(self) -> int:
        """How often the training part was halved."""
        return len(self.halves[CLASSES[0]])

    @property
    def near_copy_limits(self) -> Limits:
        """Beyond which an image of the fold is a near copy."""
        return Limits(*(float(self.limits[name]) for name in ("correlation", "relative_distance")))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``."""
        arrays = {
            "/".join((part.name, *((key,) if isinstance(key, str) else key))): value
            for part in fields(self)
            for key, value in getattr(self, part.name).items()
        }
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: str | Path) -> "Reference":
        """Read what `save` wrote.  Raises InputError if *path* is no such file, or not whole."""
        reference = Reference()
        try:
            with np.load(path) as file:
                for key in file.files:
                    part, *name = key.split("/")
                    getattr(reference, part)[name[0] if len(name) == 1 else tuple(name)] = file[key]
        except (OSError, ValueError, EOFError, AttributeError, IndexError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"{path} is no whole reference of a fold ({type(error).__name__}): delete it and run again"
            ) from error
        if any(not getattr(reference, part.name) for part in fields(reference)):
            raise InputError(f"{path} is a reference of another version of mammosynth: delete it and run again")
        return reference
