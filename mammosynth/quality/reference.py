"""What all generators of a fold are judged against: made once, of the fold's real ROIs."""

import zipfile
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.novelty import Limits

HALVINGS = 30  # each gives two values, one against each half
ATTEMPTS = 300  # at one of them
LARGEST = 2500  # images of a half: a larger database costs no more


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


def halves(train: ImageSet, rng: np.random.Generator, halvings: int = HALVINGS) -> dict[str, np.ndarray]:
    """By class, positions [halvings, 2, m] of ROIs: two halves that share no patient, all of one size m.

    Patients go in random order to the half that keeps the classes more even; what a half has over m is left out. So is
    what halves have over ``LARGEST`` images of both classes together, in proportion: each halving leaves out others.
    Of a few patients with many images some halvings leave a half with fewer than two images of a class: these are
    drawn again.

    Raises InputError if a class has too few patients for halves of two images.
    """
    names, patient = np.unique(train.patients, return_inverse=True)
    counts = np.stack([np.bincount(patient[train.labels == c], minlength=len(names)) for c in range(len(CLASSES))], 1)
    split: list[np.ndarray] = []
    failures = 0
    while len(split) < halvings and failures < ATTEMPTS:
        side, excess = np.zeros(len(names), int), np.zeros(len(CLASSES), int)
        for p in rng.permutation(len(names)):
            uneven = [np.abs(excess + counts[p]).sum(), np.abs(excess - counts[p]).sum()]
            side[p] = rng.integers(2) if uneven[0] == uneven[1] else np.argmin(uneven)
            excess += counts[p] * (1 - 2 * side[p])
        of_sides = np.stack([counts[side == k].sum(0) for k in (0, 1)])
        if of_sides.min() >= 2:
            split.append(side[patient])
        failures = 0 if of_sides.min() >= 2 else failures + 1
    if len(split) < halvings:
        label = of_sides.min(0).argmin()
        raise InputError(
            f"the training part's {CLASSES[label]} ROIs ({counts[:, label].sum()} of {np.sum(counts[:, label] > 0)} "
            "patients) are too few to halve by patients, with two in each half: add more to the study"
        )
    parts, sizes = {}, {}
    for label, pathology in enumerate(CLASSES):
        parts[pathology] = [
            [rng.permutation(np.flatnonzero((train.labels == label) & (s == k))) for k in (0, 1)] for s in split
        ]
        sizes[pathology] = min(len(part) for pair in parts[pathology] for part in pair)
    share = min(1, LARGEST / sum(sizes.values()))
    taken = {pathology: max(2, int(share * size)) for pathology, size in sizes.items()}
    return {name: np.array([[part[: taken[name]] for part in pair] for pair in parts[name]]) for name in parts}
