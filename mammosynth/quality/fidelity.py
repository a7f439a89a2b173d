"""Fidelity: distances of synthetic from real images in feature space, and what other patients' real images reach.

All of it depends on the number of images, so it is measured at one size. The training part is halved by patients, again
and again (``HALVINGS`` times). One half is the reference; the other takes the place of a generator and gives the
*floor*, what other patients' real images reach; and of each generator as many images of each class are drawn. Value:
the mean over the halvings. Interval: their 2.5 and 97.5 percentiles. Halves drawn without replacement vary a statistic
about as much as new samples of full size would (half-sampling), and unlike a bootstrap they repeat no image, which a
distance would take for want of variety. floor/FD is the ratio of the means: 1 is as near as other patients. All
generators of a fold meet the same halves.

The time that this takes grows with the square of a half. So a half has ``LARGEST`` images at most: a training part of
more than twice as many costs no more, all of it takes its turn over the halvings, and intervals are those of smaller
sets than there are, too wide rather than too narrow.

A translation of a real image is drawn only for halvings whose reference half does not hold its source's patient, as the
floor's two halves share none. Where fewer are left than the floor has images, all of them are drawn: n is then the
fewest of any halving, and floor/FD takes a floor of as few, since a distance rises as n falls.

The generators were trained on these very images, reference halves included, and the floor's images are of patients
whom its reference does not hold. So these distances reward copying: floor/FD above 1 can be memorising.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammosynth.classifiers.statistics import interval
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.distances import frechet_distance, frechet_infinity, kernel_distance, prdc
from mammosynth.quality.features import EXTRACTORS, features
from mammosynth.quality.reference import HALVINGS, Reference, halves

ALL = "all"
EXTRAPOLATED = 20  # halvings that FD∞ is taken of, as it costs several distances each

Parameters = dict[str, str | Path]  # paths of parameter files by name
Draws = dict[str, Sequence[np.ndarray]]  # by class, for each halving the positions of the images drawn


def make_reference(
    train: ImageSet,
    extractors: list[str],
    parameters: Parameters,
    rng: np.random.Generator,
    device: torch.device | str,
    halvings: int = HALVINGS,
) -> tuple[list[tuple[Any, ...]], Reference]:
    """Rows of the floor, and the `Reference`; arguments as for `assess_real`."""
    reference = Reference(halves=halves(train, rng, halvings))
    others = {pathology: positions[:, 1] for pathology, positions in reference.halves.items()}
    rows = []
    for extractor in extractors:
        real = reference.features[extractor] = features(train.images, extractor, parameters[extractor], device)
        for pathology in (*CLASSES, ALL):
            values = _fidelity(extractor, pathology, reference, real, others)
            reference.floors[extractor, pathology] = values[EXTRACTORS[extractor].measure("FD")]
            size = _size(others, pathology)
            rows += _fidelity_rows("floor", pathology, values, size, size)
    return rows, reference


def measure_fidelity(
    generator: str,
    synthetic: ImageSet,
    found: dict[str, np.ndarray],
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> list[tuple[Any, ...]]:
    """Rows of distances, precision, recall and floor/FD; found: features of *synthetic* by extractor."""
    draws = _draws(generator, synthetic, units_of(generator, synthetic, train), train, reference, rng)
    rows = []
    for extractor, of_synthetic in found.items():
        for pathology in (*CLASSES, ALL):
            values = _fidelity(extractor, pathology, reference, of_synthetic, draws)
            sizes = _size(draws, pathology), sum(reference.halves[name].shape[2] for name in classes_in(pathology))
            rows += _fidelity_rows(generator, pathology, values, *sizes)
            floor = _floor(extractor, pathology, reference, draws)
            rows.append(_ratio_row(generator, extractor, pathology, floor, values, *sizes))
    return rows


def _draws(
    generator: str,
    synthetic: ImageSet,
    units: np.ndarray,
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> Draws:
    """By class and halving, as many images as the floor has, or all if there are fewer, of no patient of the reference.

    units: what each image belongs to, see `units_of`.
    """
    draws: Draws = {pathology: [] for pathology in CLASSES}
    for halving in range(reference.halvings):
        half = np.concatenate([positions[halving, 0] for positions in reference.halves.values()])
        free = ~np.isin(units, train.patients[half])
        for label, pathology in enumerate(CLASSES):
            drawn = rng.permutation(np.flatnonzero(free & (synthetic.labels == label)))
            if len(drawn) < 2:
                raise InputError(
                    f"{generator} has {len(drawn)} {pathology} images of patients outside a half of the training part, "
                    "and fidelity needs 2: synthesise more, or add more patients to the study"
                )
            draws[pathology].append(drawn[: reference.halves[pathology].shape[2]])
    return draws


def units_of(generator: str, synthetic: ImageSet, train: ImageSet) -> np.ndarray:
    """What each synthetic image belongs to: the patient of the real image that it translates, else itself."""
    patients = dict(zip(train.ids.tolist(), train.patients.tolist()))
    unknown = sorted(set(synthetic.sources.tolist()) - {"", *patients})
    if unknown:
        raise InputError(
            f"{generator} has translations of {unknown[0]}, which is not in the training part: synthesise again"
        )
    pairs = zip(synthetic.sources.tolist(), synthetic.ids.tolist())
    return np.array([patients.get(source, f"synthetic {name}") for source, name in pairs])


def classes_in(pathology: str) -> tuple[str, ...]:
    """The classes that a pathology is made of: both, if it is "all"."""
    return CLASSES if pathology == ALL else (pathology,)


def _size(draws: Draws, pathology: str) -> int:
    """How many images are drawn: the fewest of any halving."""
    return min(sum(map(len, of_classes)) for of_classes in zip(*(draws[name] for name in classes_in(pathology))))


def _fidelity(
    extractor: str, pathology: str, reference: Reference, other: np.ndarray, draws: Draws
) -> dict[str, np.ndarray]:
    """By measure, the values [H] of other features [N, d] against the reference halves.

    draws: positions in *other*.
    """
    real, values = reference.features[extractor], []
    for halving in range(reference.halvings):
        x = real[np.concatenate([reference.halves[name][halving, 0] for name in classes_in(pathology)])]
        y = other[np.concatenate([draws[name][halving] for name in classes_in(pathology)])]
        extrapolate = halving < EXTRAPOLATED and min(len(x), len(y)) >= 4
        infinity = frechet_infinity(x, y, np.random.default_rng(halving)) if extrapolate else np.nan
        distance = {"FD": frechet_distance(x, y), "FD∞": infinity, "KD": kernel_distance(x, y)}
        values.append(distance | prdc(x, y))
    return {EXTRACTORS[extractor].measure(name): np.array([value[name] for value in values]) for name in values[0]}


def _floor(extractor: str, pathology: str, reference: Reference, draws: Draws) -> np.ndarray:
    """The floor's Fréchet distances [H], with as many images in each halving as were drawn of the generator."""
    others = {name: positions[:, 1] for name, positions in reference.halves.items()}
    if _size(draws, pathology) == _size(others, pathology):
        return reference.floors[extractor, pathology]
    fewer = {name: [half[: len(drawn)] for half, drawn in zip(others[name], draws[name])] for name in others}
    values = _fidelity(extractor, pathology, reference, reference.features[extractor], fewer)
    return values[EXTRACTORS[extractor].measure("FD")]


def _fidelity_rows(
    generator: str, pathology: str, values: dict[str, np.ndarray], n: int, n_reference: int
) -> list[tuple[Any, ...]]:
    return [
        (generator, pathology, measure, _mean(value), *interval(value), n, n_reference, 0)
        for measure, value in values.items()
    ]


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are numbers."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _ratio_row(
    generator: str,
    extractor: str,
    pathology: str,
    floor: np.ndarray,
    values: dict[str, np.ndarray],
    n: int,
    n_reference: int,
) -> tuple[Any, ...]:
    distance, measure = values[EXTRACTORS[extractor].measure("FD")], EXTRACTORS[extractor].measure("floor/FD")
    ratio = floor.mean() / distance.mean()
    return (generator, pathology, measure, ratio, *interval(floor / distance), n, n_reference, 0)
