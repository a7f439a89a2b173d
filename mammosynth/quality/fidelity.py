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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mammosynth.arrays.statistics import interval
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.partition import HALVINGS, halves
from mammosynth.quality.measures import FLOOR, OfFloor, OfSets, measures_of
from mammosynth.quality.novelty import units_of

ALL = "all"

Draws = Mapping[str, Sequence[np.ndarray] | np.ndarray]  # by class, for each halving the positions of the images drawn
Values = dict[str, np.ndarray]  # by measure, one a halving, NaN where it was not taken


@dataclass(frozen=True)
class Floor:
    """What all generators of a split are compared with.

    features: by network, float32 [N, d] of the training ROIs in their order.
    halves: by class, positions [H, 2, m] of training ROIs: the reference half and the half that gives the floor.
    values: by network, pathology and measure, values [H] of the one half against the other.
    errors: by the same, for measures whose floor is compared with a generator's, the standard error of the mean, as a
        share of it; NaN where it cannot be told.
    """

    features: Mapping[str, np.ndarray]
    halves: Mapping[str, np.ndarray]
    values: dict[tuple[str, str, str], np.ndarray]
    errors: dict[tuple[str, str, str], float]

    @property
    def halvings(self) -> int:
        """How often the training part was halved."""
        return len(next(iter(self.halves.values())))

    @property
    def pathologies(self) -> list[str]:
        """What values are of: each class of the training part, and all of it."""
        return pathologies(self.halves)


@dataclass(frozen=True)
class Sides:
    """What is drawn of a generator against the two halves.

    first, second: against the one and the other; fewer: if a class has not enough for both, two sets for either that
    each leave out a quarter of its images, and how many differences between the two are one standard error.
    """

    first: Draws
    second: Draws
    fewer: tuple[Draws, Draws, float] | None = None


def measure_floor(
    train: ImageSet,
    features: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    halvings: int = HALVINGS,
    most: Mapping[str, int] | None = None,
) -> tuple[list[tuple[Any, ...]], Floor]:
    """Rows of the floor, and the `Floor`.  features: by network, [N, d] of the training ROIs *train*; most: images of
    a half, by class, if not all.

    Raises InputError if a class has too few patients for halves.
    """
    floor = Floor(features, halves(train, rng, halvings, most), {}, {})
    one, other = _half(floor, 0), _half(floor, 1)
    quarters = _quarters(train, floor, rng)
    rows = []
    for network, real in features.items():
        for pathology in floor.pathologies:
            size = _size(pathology, other)
            for name, values in _fidelity(pathology, (real, one), (real, other), 2).items():
                floor.values[network, pathology, name] = values
                title = NETWORKS[network].measure(name)
                rows.append((FLOOR, pathology, title, _mean(values), *interval(values), size, size, 0))
            for measure in _over_floor():
                key = network, pathology, measure.name
                floor.errors[key] = _floor_error(measure, pathology, real, quarters, floor.values[key])
    return rows, floor


def _over_floor() -> list[OfSets]:
    """The measures whose floor is compared with a generator's value."""
    names = [ratio.of for ratio in measures_of(OfFloor)]
    return [measure for measure in measures_of(OfSets) if measure.name in names]


def _quarters(train: ImageSet, floor: Floor, rng: np.random.Generator) -> list[list[Draws]] | None:
    """Each half of the real images halved by patients again: by half, two quarters; None if they are too few."""
    bare = ImageSet(np.empty((len(train), 0, 0)), train.labels, train.ids, train.patients)  # whose parts cost nothing
    try:
        found = [
            [
                _halved(bare, {name: half[halving, side] for name, half in floor.halves.items()}, rng)
                for halving in range(floor.halvings)
            ]
            for side in (0, 1)
        ]
    except InputError:
        return None
    return [
        [{name: [quarters[name][quarter] for quarters in side] for name in floor.halves} for quarter in (0, 1)]
        for side in found
    ]


def _halved(train: ImageSet, half: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """By class, positions [2, m] of two quarters in the training part."""
    positions = np.concatenate(list(half.values()))
    return {name: positions[found[0]] for name, found in halves(train[positions], rng, halvings=1).items()}


def _floor_error(
    measure: OfSets, pathology: str, real: np.ndarray, quarters: list[list[Draws]] | None, floor: np.ndarray
) -> float:
    """The relative standard error of the floor's mean.

    A distance between quarters is larger than one between halves, and varies as much more: its relative error is alike.
    """
    if quarters is None:
        return np.nan
    pair = np.array([_each(measure, pathology, (real, one), (real, other)) for one, other in quarters])
    # What the mean of both pairs varies by from halving to halving is not of the patients, who are all in it.
    variance = np.maximum(_half_difference(*pair) ** 2 - pair.mean(0).var(ddof=1), 0) / pair.mean() ** 2
    return float(np.sqrt(variance + floor.var(ddof=1) / len(floor) / floor.mean() ** 2))


def measure_fidelity(
    generator: str,
    synthetic: ImageSet,
    features: Mapping[str, np.ndarray],
    train: ImageSet,
    floor: Floor,
    rng: np.random.Generator,
) -> list[tuple[Any, ...]]:
    """Rows of all measures of two sets, and of them over the floor's; features: of *synthetic* by network."""
    sides = draw_sides(generator, synthetic, units_of(generator, synthetic, train), train, floor, rng)
    rows = []
    for network, found in features.items():
        for pathology in floor.pathologies:
            estimates = estimate(network, pathology, found, floor, sides)
            size = min(_size(pathology, draws) for draws in (sides.first, sides.second))
            n_reference = _size(pathology, _half(floor, 0))
            for measure, (value, low, high) in estimates.items():
                title = NETWORKS[network].measure(measure)
                rows.append((generator, pathology, title, value, low, high, size, n_reference, 0))
    return rows


def draw_sides(
    generator: str,
    synthetic: ImageSet,
    units: np.ndarray,
    train: ImageSet,
    floor: Floor,
    rng: np.random.Generator,
) -> Sides:
    """By halving, of each class as many images as a half has, or all if there are fewer, against each of the halves.

    Of no patient of that half, and none against both if there are enough for that. units: what each image belongs to,
    see `units_of`.

    Raises InputError if fewer than two are of other patients than a half's.
    """
    first, second, less, other = (dict[str, list[np.ndarray]]((name, []) for name in floor.halves) for _ in range(4))
    factor = 0.0
    for pathology in floor.halves:
        own = np.flatnonzero(synthetic.labels == CLASSES.index(pathology))
        size = floor.halves[pathology].shape[2]
        translated = (synthetic.sources[own] != "").any()
        scarce = len(own) < 2 * size and not translated
        pool = own if translated else rng.permutation(own)[: size if scarce else 2 * size]
        quarter = max(1, len(pool) // 4) if len(pool) > 2 else 0
        if scarce:
            ratio = (len(pool) - quarter) / np.sqrt(2 * quarter * len(pool)) if quarter else np.nan
            factor = np.maximum(factor, ratio)
        for halving in range(floor.halvings):
            order = rng.permutation(pool)
            drawn: list[np.ndarray] = []
            for side in (0, 1):
                half = np.concatenate([positions[halving, side] for positions in floor.halves.values()])
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


def pathologies(classes: Iterable[str]) -> list[str]:
    """What values are of: each of *classes*, and all of them; of one class all is that class."""
    return [*classes, ALL] if len(list(classes)) > 1 else [ALL]


def classes_in(pathology: str, classes: Iterable[str]) -> list[str]:
    """Those of *classes* that a pathology is made of: all, if it is "all"."""
    return [name for name in classes if pathology in (ALL, name)]


def _half(floor: Floor, side: int) -> Draws:
    return {name: positions[:, side] for name, positions in floor.halves.items()}


def _size(pathology: str, draws: Draws) -> int:
    """How many images are drawn: the fewest of any halving."""
    return min(sum(map(len, of_classes)) for of_classes in zip(*(draws[name] for name in classes_in(pathology, draws))))


def _fidelity(
    pathology: str, real: tuple[np.ndarray, Draws], other: tuple[np.ndarray, Draws], times: int = 1
) -> Values:
    """By measure, the values [H] of other features [N, d] against real ones, each with the positions drawn of them.

    times: how often as many halvings as usual measures are taken of that are not taken of all.
    """
    values = []
    for halving, (x, y) in enumerate(_pairs(pathology, real, other)):
        shared: dict[str, Any] = {}
        values.append([_value(measure, x, y, halving, times, shared) for measure in measures_of(OfSets)])
    return {measure.name: np.array(found) for measure, found in zip(measures_of(OfSets), zip(*values))}


def _value(measure: OfSets, x: np.ndarray, y: np.ndarray, halving: int, times: int, shared: dict[str, Any]) -> float:
    """One measure in one halving; shared: what functions of several measures returned."""
    if min(len(x), len(y)) < measure.least or (measure.halvings and halving >= times * measure.halvings):
        return np.nan
    if measure.function not in shared:
        drawing = [np.random.default_rng(halving)] if measure.halvings else []
        shared[measure.function] = measure.compute(x, y, *drawing)
    found = shared[measure.function]
    return found if measure.part is None else found[measure.part]


def _pairs(
    pathology: str, real: tuple[np.ndarray, Draws], other: tuple[np.ndarray, Draws]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The features that are compared in each halving."""
    for halving in range(len(next(iter(real[1].values())))):
        yield tuple(
            found[np.concatenate([draws[name][halving] for name in classes_in(pathology, draws)])]
            for found, draws in (real, other)
        )


def estimate(
    network: str, pathology: str, found: np.ndarray, floor: Floor, sides: Sides
) -> dict[str, tuple[float, float, float]]:
    """By measure, those over the floor's included, value, low, high of a generator with features found [N, d]."""
    real = floor.features[network]
    one, other = ((real, _half(floor, side)) for side in (0, 1))
    pair = [_fidelity(pathology, half, (found, draws)) for half, draws in ((one, sides.first), (other, sides.second))]
    errors = {name: _half_difference(pair[0][name], pair[1][name]) for name in pair[0]}
    if sides.fewer:
        *fewer, factor = sides.fewer
        left = [[_fidelity(pathology, half, (found, draws)) for half in (one, other)] for draws in fewer]
        for name in errors:
            means = [(by_one[name] + by_other[name]) / 2 for by_one, by_other in left]
            errors[name] = np.hypot(errors[name], 2 * factor * _half_difference(*means))
    values = {name: _mean(np.concatenate([one[name] for one in pair])) for name in errors}
    degrees = {m.name: min(np.isfinite(pair[0][m.name]).sum(), m.degrees) for m in measures_of(OfSets)}
    result = {}
    for measure in measures_of(OfSets):
        value, error = values[measure.name], errors[measure.name]
        if measure.logarithmic:
            result[measure.name] = _times_and_divided(value, _relative(error, value), degrees[measure.name])
        else:
            reach, (least, most) = _reach(error, degrees[measure.name]), measure.bounds
            result[measure.name] = value, max(value - reach, least), min(value + reach, most)
    of_floor = {measure.name: measure for measure in _over_floor()}
    for ratio in measures_of(OfFloor):
        value = values[ratio.of]
        error = np.hypot(_relative(errors[ratio.of], value), floor.errors[network, pathology, ratio.of])
        reached = _floor(of_floor[ratio.of], network, pathology, floor, sides)
        result[ratio.name] = _times_and_divided(reached / value, error, degrees[ratio.of])
    return result


def _half_difference(first: np.ndarray, second: np.ndarray) -> float:
    """The root mean square of half the differences: the standard error of the mean of both halves' values."""
    squares = (first - second) ** 2
    return float(np.sqrt(np.nanmean(squares)) / 2) if np.isfinite(squares).any() else np.nan


def _relative(error: float, value: float) -> float:
    return error / value if value > 0 else np.nan


def _times_and_divided(value: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Value, low, high of a relative error."""
    factor = np.exp(_reach(error, degrees))
    return value, value / factor, value * factor


def _reach(error: float, degrees: float) -> float:
    """How far a 95 % interval reaches; NaN where all values agree, which is no certainty."""
    from scipy.stats import t

    return t.ppf(0.975, degrees) * error if error > 1e-12 else np.nan


def _floor(measure: OfSets, network: str, pathology: str, floor: Floor, sides: Sides) -> float:
    """The floor's mean of a measure, with as many images in each halving as were drawn of the generator."""
    one, other = _half(floor, 0), _half(floor, 1)
    if _size(pathology, sides.first) == _size(pathology, other):
        return float(floor.values[network, pathology, measure.name].mean())
    fewer = {name: [half[: len(drawn)] for half, drawn in zip(other[name], sides.first[name])] for name in other}
    real = floor.features[network]
    return float(np.mean(_each(measure, pathology, (real, one), (real, fewer))))


def _each(
    measure: OfSets, pathology: str, real: tuple[np.ndarray, Draws], other: tuple[np.ndarray, Draws]
) -> np.ndarray:
    return np.array([measure.compute(x, y) for x, y in _pairs(pathology, real, other)])


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are numbers."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
