"""Fidelity: distances of synthetic from real images in feature space, and what other patients' real images reach.

All of it depends on the number of images, so it is measured at one size. The training part is halved by patients, again
and again (``HALVINGS`` times), and so are as many synthetic images of each class as two halves have: one half of these
is compared with one half of the real ones, and the other with the other. Value: the mean over all of it. The *floor* is
what other patients' real images reach: one half of the real ones against the other. All generators of a fold meet the
same halves.

**What an interval is about.** The value that this generator would have, at this number of images, on average over other
patients and other images of its: the chance of which patients the training part holds, and of which images were
synthesised. It does not cover the chance of training; another training is another generator. Two halves that share
no patient and no image give values that are independent of each other, and half their difference varies about as much
as the mean of both does over new samples (half-sampling: McCarthy 1969, Rev. Int. Stat. Inst. 37:239). So the standard
error is the root of the mean of its squares over the halvings, and the interval is the value ± Student's t of these
(of a Fréchet distance, times and divided by, as its logarithm is more nearly normal).
Half-sampling repeats no image, unlike a bootstrap, which a distance would take for want of variety.

A generator may have been asked for any number of images. However many there are, those of two halves are looked at, no
more: intervals of generators with many images and with few are of one meaning and one kind of width. Of one that has
fewer than two halves', all values are of the same images, as many as one half has, and how much these vary is told by
leaving out one quarter of them or another (a delete-d jackknife; Shao and Wu 1989, Ann. Stat. 17:1176). The pipeline
synthesises enough.

Simulated (tests/test_fidelity_intervals.py), intervals hold the truth 93 to 97 times of 100, for one, two and eight
halves' numbers of images alike. Those of kernel distances need a wider t for it: a few patients weigh in all halvings,
so that their error is as uncertain as one of 6 degrees of freedom (with the halvings' they held it 91 to 95 times).
Where a generator is as near as other patients, no single image moves a value much, and intervals are too wide rather
than too narrow: by half for Fréchet and kernel distances, and double for floor/FD.

All images of the floor are in each of its values, so its interval is the range over the halvings, 2.5 to 97.5 %: where
one half of these patients lies from another, and wider than an interval of their mean. floor/FD is the ratio of the
means, 1 being as near as other patients; its interval joins the relative errors of both, the floor's by quarters.

The time that this takes grows with the square of a half. So a half has ``LARGEST`` images at most: a training part of
more than twice as many costs no more, all of it takes its turn over the halvings, and intervals are those of smaller
sets than there are, too wide rather than too narrow.

A translation of a real image is drawn only against halves that do not hold its source's patient, as the floor's two
halves share none. Where fewer are left than the floor has images, all of them are drawn: n is then the fewest of any
halving, and floor/FD takes a floor of as few, since a distance rises as n falls.

The generators were trained on these very images, reference halves included, and the floor's images are of patients
whom its reference does not hold. So these distances reward copying: floor/FD above 1 can be memorising.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammosynth.arrays.distances import frechet_distance, frechet_infinity, kernel_distance, prdc
from mammosynth.arrays.statistics import interval
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.networks.features import features
from mammosynth.partition import HALVINGS, halves
from mammosynth.quality.reference import Reference

ALL = "all"
EXTRAPOLATED = 10  # halvings that a generator's FD∞ is taken of, twice as many for the floor; each costs 5 distances
BOUNDS = {"precision": (0, 1), "recall": (0, 1), "density": (0, np.inf), "coverage": (0, 1)}
DEGREES = {"KD": 6}  # of freedom of a measure's error, where they are fewer than the halvings

Parameters = dict[str, str | Path]  # paths of parameter files by name
Draws = Mapping[str, Sequence[np.ndarray] | np.ndarray]  # by class, for each halving the positions of the images drawn
Values = dict[str, np.ndarray]  # by measure, one a halving, NaN where it was not taken


@dataclass(frozen=True)
class Sides:
    """What is drawn of a generator against the two halves.

    first, second: against the one and the other; fewer: if a class has not enough for both, two sets for either that
    each leave out a quarter of its images, and how many differences between the two are one standard error.
    """

    first: Draws
    second: Draws
    fewer: tuple[Draws, Draws, float] | None = None


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
    sides = _half(reference, 0), _half(reference, 1)
    quarters = _quarters(train, reference, rng)
    rows = []
    for extractor in extractors:
        real = reference.features[extractor] = features(train.images, extractor, parameters[extractor], device)
        for pathology in (*CLASSES, ALL):
            values = _fidelity(pathology, (real, sides[0]), (real, sides[1]), 2 * EXTRAPOLATED)
            key = extractor, pathology
            reference.floors[key] = values["FD"]
            reference.floor_errors[key] = _floor_error(pathology, real, quarters, values["FD"])
            size = _size(pathology, sides[1])
            rows += [
                (
                    "floor",
                    pathology,
                    NETWORKS[extractor].measure(measure),
                    _mean(value),
                    *interval(value),
                    size,
                    size,
                    0,
                )
                for measure, value in values.items()
            ]
    return rows, reference


def _quarters(train: ImageSet, reference: Reference, rng: np.random.Generator) -> list[list[Draws]] | None:
    """Each half of the real images halved by patients again: by half, two quarters; None if they are too few."""
    bare = ImageSet(np.empty((len(train), 0, 0)), train.labels, train.ids, train.patients)  # whose parts cost nothing
    try:
        found = [
            [
                _halved(bare, {name: reference.halves[name][halving, side] for name in CLASSES}, rng)
                for halving in range(reference.halvings)
            ]
            for side in (0, 1)
        ]
    except InputError:
        return None
    return [
        [{name: [quarters[name][quarter] for quarters in side] for name in CLASSES} for quarter in (0, 1)]
        for side in found
    ]


def _halved(train: ImageSet, half: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """By class, positions [2, m] of two quarters in the training part."""
    positions = np.concatenate([half[name] for name in CLASSES])
    return {name: positions[found[0]] for name, found in halves(train[positions], rng, halvings=1).items()}


def _floor_error(pathology: str, real: np.ndarray, quarters: list[list[Draws]] | None, floor: np.ndarray) -> float:
    """The relative standard error of the floor's mean.

    A distance between quarters is larger than one between halves, and varies as much more: its relative error is alike.
    """
    if quarters is None:
        return np.nan
    pair = np.array([_each(frechet_distance, pathology, (real, one), (real, other)) for one, other in quarters])
    # What the mean of both pairs varies by from halving to halving is not of the patients, who are all in it.
    variance = np.maximum(_half_difference(*pair) ** 2 - pair.mean(0).var(ddof=1), 0) / pair.mean() ** 2
    return float(np.sqrt(variance + floor.var(ddof=1) / len(floor) / floor.mean() ** 2))


def measure_fidelity(
    generator: str,
    synthetic: ImageSet,
    found: dict[str, np.ndarray],
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> list[tuple[Any, ...]]:
    """Rows of distances, precision, recall and floor/FD; found: features of *synthetic* by extractor."""
    sides = draw_sides(generator, synthetic, units_of(generator, synthetic, train), train, reference, rng)
    rows = []
    for extractor, of_synthetic in found.items():
        for pathology in (*CLASSES, ALL):
            estimates = estimate(extractor, pathology, of_synthetic, reference, sides)
            size = min(_size(pathology, draws) for draws in (sides.first, sides.second))
            n_reference = _size(pathology, _half(reference, 0))
            for measure, (value, low, high) in estimates.items():
                title = NETWORKS[extractor].measure(measure)
                rows.append((generator, pathology, title, value, low, high, size, n_reference, 0))
    return rows


def draw_sides(
    generator: str,
    synthetic: ImageSet,
    units: np.ndarray,
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> Sides:
    """By halving, of each class as many images as a half has, or all if there are fewer, against each of the halves.

    Of no patient of that half, and none against both if there are enough for that. units: what each image belongs to,
    see `units_of`.

    Raises InputError if fewer than two are of other patients than a half's.
    """
    first, second, less, other = (dict[str, list[np.ndarray]]((name, []) for name in CLASSES) for _ in range(4))
    factor = 0.0
    for label, pathology in enumerate(CLASSES):
        own, size = np.flatnonzero(synthetic.labels == label), reference.halves[pathology].shape[2]
        translated = (synthetic.sources[own] != "").any()
        scarce = len(own) < 2 * size and not translated
        pool = own if translated else rng.permutation(own)[: size if scarce else 2 * size]
        quarter = max(1, len(pool) // 4) if len(pool) > 2 else 0
        if scarce:
            ratio = (len(pool) - quarter) / np.sqrt(2 * quarter * len(pool)) if quarter else np.nan
            factor = np.maximum(factor, ratio)
        for halving in range(reference.halvings):
            order = rng.permutation(pool)
            drawn: list[np.ndarray] = []
            for side in (0, 1):
                half = np.concatenate([positions[halving, side] for positions in reference.halves.values()])
                free = ~np.isin(units[order], train.patients[half])
                if drawn and not scarce:
                    free &= ~np.isin(order, drawn[0])
                drawn.append(order[free][:size])
                if len(drawn[side]) < 2:
                    raise InputError(
                        f"{generator} has {len(drawn[side])} {pathology} images of patients outside a half of the "
                        "training part, and fidelity needs 2: synthesise more, or add more patients to the study"
                    )
            first[pathology].append(drawn[0])
            second[pathology].append(drawn[1])
            less[pathology].append(order[quarter:] if scarce else drawn[0])
            other[pathology].append(np.delete(order, slice(quarter, 2 * quarter)) if scarce else drawn[0])
    return Sides(first, second, (less, other, factor) if factor else None)


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


def _half(reference: Reference, side: int) -> Draws:
    return {name: positions[:, side] for name, positions in reference.halves.items()}


def _size(pathology: str, draws: Draws) -> int:
    """How many images are drawn: the fewest of any halving."""
    return min(sum(map(len, of_classes)) for of_classes in zip(*(draws[name] for name in classes_in(pathology))))


def _fidelity(pathology: str, real: tuple[np.ndarray, Draws], other: tuple[np.ndarray, Draws], infinite: int) -> Values:
    """By measure, the values [H] of other features [N, d] against real ones, each with the positions drawn of them.

    infinite: how many halvings FD∞ is taken of.
    """
    values = []
    for halving, (x, y) in enumerate(_pairs(pathology, real, other)):
        extrapolate = halving < infinite and min(len(x), len(y)) >= 4
        infinity = frechet_infinity(x, y, np.random.default_rng(halving)) if extrapolate else np.nan
        distance = {"FD": frechet_distance(x, y), "FD∞": infinity, "KD": kernel_distance(x, y)}
        values.append(distance | prdc(x, y))
    return {name: np.array([value[name] for value in values]) for name in values[0]}


def _pairs(
    pathology: str, real: tuple[np.ndarray, Draws], other: tuple[np.ndarray, Draws]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The features that are compared in each halving."""
    for halving in range(len(real[1][CLASSES[0]])):
        yield tuple(
            found[np.concatenate([draws[name][halving] for name in classes_in(pathology)])]
            for found, draws in (real, other)
        )


def estimate(
    extractor: str, pathology: str, found: np.ndarray, reference: Reference, sides: Sides
) -> dict[str, tuple[float, float, float]]:
    """By measure, floor/FD included, value, low, high of a generator with features found [N, d] on an extractor."""
    real = reference.features[extractor]
    one, other = ((real, _half(reference, side)) for side in (0, 1))
    pair = [
        _fidelity(pathology, half, (found, draws), EXTRAPOLATED)
        for half, draws in ((one, sides.first), (other, sides.second))
    ]
    errors = {measure: _half_difference(pair[0][measure], pair[1][measure]) for measure in pair[0]}
    if sides.fewer:
        *fewer, factor = sides.fewer
        left = [[_fidelity(pathology, half, (found, draws), EXTRAPOLATED) for half in (one, other)] for draws in fewer]
        for measure in errors:
            means = [(by_one[measure] + by_other[measure]) / 2 for by_one, by_other in left]
            errors[measure] = np.hypot(errors[measure], 2 * factor * _half_difference(*means))
    values = {measure: _mean(np.concatenate([one[measure] for one in pair])) for measure in errors}
    degrees = {measure: min(np.isfinite(pair[0][measure]).sum(), DEGREES.get(measure, np.inf)) for measure in errors}
    result = {}
    for measure, value in values.items():
        reach = _reach(errors[measure], degrees[measure])
        least, most = BOUNDS.get(measure, (-np.inf, np.inf))
        result[measure] = value, max(value - reach, least), min(value + reach, most)
    distance, floor = values["FD"], _floor(extractor, pathology, reference, sides)
    error = errors["FD"] / distance if distance > 0 else np.nan
    errors = {"FD": error, "floor/FD": np.hypot(error, reference.floor_errors[extractor, pathology])}
    for measure, value in (("FD", distance), ("floor/FD", floor / distance)):
        factor = np.exp(_reach(errors[measure], degrees["FD"]))
        result[measure] = value, value / factor, value * factor
    return result


def _half_difference(first: np.ndarray, second: np.ndarray) -> float:
    """The root mean square of half the differences: the standard error of the mean of both halves' values."""
    squares = (first - second) ** 2
    return float(np.sqrt(np.nanmean(squares)) / 2) if np.isfinite(squares).any() else np.nan


def _reach(error: float, degrees: float) -> float:
    """How far a 95 % interval reaches; NaN where all values agree, which is no certainty."""
    from scipy.stats import t

    return t.ppf(0.975, degrees) * error if error > 1e-12 else np.nan


def _floor(extractor: str, pathology: str, reference: Reference, sides: Sides) -> float:
    """The floor's Fréchet distance, with as many images in each halving as were drawn of the generator."""
    one, other = _half(reference, 0), _half(reference, 1)
    if _size(pathology, sides.first) == _size(pathology, other):
        return float(reference.floors[extractor, pathology].mean())
    fewer = {name: [half[: len(drawn)] for half, drawn in zip(other[name], sides.first[name])] for name in other}
    real = reference.features[extractor]
    return float(np.mean(_each(frechet_distance, pathology, (real, one), (real, fewer))))


def _each(
    measure: Callable[[np.ndarray, np.ndarray], float],
    pathology: str,
    real: tuple[np.ndarray, Draws],
    other: tuple[np.ndarray, Draws],
) -> np.ndarray:
    return np.array([measure(x, y) for x, y in _pairs(pathology, real, other)])


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are numbers."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
