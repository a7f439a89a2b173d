"""The second step of quality: what sets of images are worth, as tidy rows, each measure per class and pooled, beside
what real images reach. Of what ``describe`` found of each image, and of the images, with numpy and scipy alone.

**Fidelity** is measured on halves of the training part: see ``fidelity``.

**The other measures** are means over images, or over pairs of images, of one class, with an interval by bootstrap of
the units that the images belong to: patients for real images and translations of real images, else the image itself.
Of a generator as many images of a class are taken as the training part has, if there are as many. Nearest and random
real images are of the image's own class and of other patients than its own. So what a translation owes to the image
that it was made from shows only in its similarity with that source, which is of the other class: 1 would be a copy.
The source may have been mirrored before, hence the larger of two: with it, and with its mirror image.

**Pooled** (pathology "all") is in the class proportions of the training part.

Only the training part is looked at, and the validation part as real ROIs that no generator was trained on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.arrays.distances import blocks, distances_to_others
from mammosynth.arrays.statistics import interval
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.fidelity import Floor, classes_in, measure_fidelity, measure_floor, pathologies
from mammosynth.quality.measures import HELD_OUT, REAL, OfImages, OfPairs, OverHeldOut, measures_of
from mammosynth.quality.novelty import distance_ratio, units_of
from mammosynth.quality.rows import COLUMNS
from mammosynth.quality.similarity import random_others, random_pairs

PAIRS = 150  # of a class, within a set
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Described:
    """A set of images and what the first step found of them.

    table: a line an image, in their order; features: by network, [N, d]. Of held-out real ROIs none are needed.
    """

    images: ImageSet
    table: pd.DataFrame
    features: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def near(self) -> np.ndarray:
        """The features that say which images are nearest."""
        return next(iter(self.features.values()))


def read(
    generator: str, images: str | Path, table: str | Path, features: dict[str, np.ndarray] | None = None
) -> Described:
    """A generator's images, or real ones by their name in the table, of the files that hold them.

    Raises InputError if *images* is no image set.
    """
    found = ImageSet.load(images)
    lines = pd.read_csv(table, dtype={"id": str})
    lines = lines[lines["generator"] == generator].set_index("id").loc[found.ids.tolist()]
    return Described(found, lines, features or {})


def assess_real(
    train: Described,
    held_out: Described,
    resamples: int = 1000,
    seed: int = 0,
    most: Mapping[str, int] | None = None,
) -> tuple[pd.DataFrame, Floor]:
    """Rows ``real`` (the training ROIs' own values), ``floor`` (real against real) and ``held_out`` (real ROIs that no
    generator was trained on), and the floor.

    train, held_out: the training and the validation part; resamples: of the bootstrap; most: images of a half of the
    floor, by class, if not all.

    Raises InputError if a class has too few patients for halves.
    """
    rng, patients = np.random.default_rng(seed), train.images.patients
    rows, floor = measure_floor(train.images, train.features, rng, most=most)
    samples = _of_pairs(train, patients, train, rng)
    samples |= _of_images(train, patients, (m for m in taken_of(train) if m.reference == REAL))
    rows += _mean_rows(REAL, samples, train.images, resamples, rng)
    samples = _of_images(held_out, held_out.images.patients, taken_of(held_out))
    rows += _mean_rows(HELD_OUT, samples, train.images, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS), floor


def assess(
    generator: str,
    synthetic: Described,
    train: Described,
    held_out: Described,
    floor: Floor,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of one generator: every measure, per class and pooled.

    generator: its name; synthetic: its images; the others as for `assess_real`, which gave *floor*.

    Raises InputError if it has fewer images of a class than a half of the training part, if a source is not in the
    training part, or if too few of its translations are of patients outside a half.
    """
    rng = np.random.default_rng(seed)
    units = units_of(generator, synthetic.images, train.images)
    taken = _as_many(generator, synthetic.images, train.images, floor, rng)
    rows = measure_fidelity(generator, synthetic.images, synthetic.features, train.images, floor, rng)
    features = {name: found[taken] for name, found in synthetic.features.items()}
    some, units = Described(synthetic.images[taken], synthetic.table.iloc[taken], features), units[taken]
    rows += _distance_rows(generator, some, units, held_out, resamples, rng)
    samples = _of_pairs(some, units, train, rng) | _of_images(some, units, taken_of(some))
    rows += _mean_rows(generator, samples, train.images, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS)


def _as_many(
    generator: str, synthetic: ImageSet, train: ImageSet, floor: Floor, rng: np.random.Generator
) -> np.ndarray:
    """Positions of as many images of each class as the training part has, or all if there are fewer; at random."""
    chosen = []
    for pathology in floor.halves:
        label = CLASSES.index(pathology)
        positions = np.flatnonzero(synthetic.labels == label)
        needed = floor.halves[pathology].shape[2]
        if len(positions) < needed:
            raise InputError(
                f"{generator} has {len(positions)} {pathology} images, and fidelity needs {needed}, as many as a "
                "half of the training part: synthesise more"
            )
        chosen.append(rng.permutation(positions)[: np.sum(train.labels == label)])
    return np.sort(np.concatenate(chosen))


@dataclass
class _Sample:
    """Values [K] of images or pairs of one class, NaN where one has none; units [K, 1 or 2] that they belong to."""

    values: np.ndarray
    units: np.ndarray
    n: int
    n_reference: int

    def mean(self) -> float:
        return float(np.nanmean(self.values)) if np.isfinite(self.values).any() else np.nan

    def replicates(self, resamples: int, rng: np.random.Generator) -> np.ndarray:
        """Means [resamples] over units drawn with replacement; a pair counts as often as both its units together."""
        valid = np.isfinite(self.values)
        names, codes = np.unique(self.units, return_inverse=True)
        codes = codes.reshape(self.units.shape)[valid]
        if not valid.any():
            return np.full(resamples, np.nan)
        means, chances = [], np.full(len(names), 1 / len(names))
        for some in blocks(resamples, codes.size):
            drawn = rng.multinomial(len(names), chances, some.stop - some.start)
            weights = drawn[:, codes].prod(axis=2)
            with np.errstate(invalid="ignore"):  # a resample that holds no valid value has no mean
                means.append(weights @ self.values[valid] / weights.sum(axis=1))
        return np.concatenate(means)


Samples = dict[str, dict[str, _Sample]]  # by measure and class


@dataclass
class _Pairs:
    """Pairs of images of one class: first[i] of *images* and second[i] of *others*; units [K, 1 or 2]."""

    first: np.ndarray
    others: list[np.ndarray]  # one array of images, or several alike of which the most similar counts
    second: np.ndarray
    units: np.ndarray
    n: int
    n_reference: int


def _of_pairs(given: Described, units: np.ndarray, train: Described, rng: np.random.Generator) -> Samples:
    """Similarity of pairs; units: what each image belongs to."""
    samples: Samples = {measure.name: {} for measure in measures_of(OfPairs)}
    for pathology in given.images.classes:
        label = CLASSES.index(pathology)
        shared: dict[tuple[str, str], np.ndarray] = {}
        pairs = dict(_pairs(given, units, train, label, rng))
        for measure in measures_of(OfPairs):
            if (chosen := pairs.get(measure.others)) is None:
                continue
            key = measure.function, measure.others
            if key not in shared:
                shared[key] = _similarity(measure.compute, given.images.images, chosen)
            values = shared[key] if measure.part is None else shared[key][measure.part]
            samples[measure.name][pathology] = _Sample(values, chosen.units, chosen.n, chosen.n_reference)
    return {name: of_class for name, of_class in samples.items() if of_class}


def _pairs(
    given: Described, units: np.ndarray, train: Described, label: int, rng: np.random.Generator
) -> Iterator[tuple[str, _Pairs]]:
    """Which images of a class are paired, by what measures call the others: ``within`` the set, with the ``nearest
    real`` image of another patient and with a ``random real`` one, and translations with their ``source``.
    """
    images, reals = given.images, train.images
    own, real = np.flatnonzero(images.labels == label), np.flatnonzero(reals.labels == label)
    pairs = own[random_pairs(units[own], PAIRS, rng)]
    yield "within", _Pairs(pairs[:, 0], [images.images], pairs[:, 1], units[pairs], len(own), 0)
    away = distances_to_others(given.near[own], units[own], train.near[real], reals.patients[real])
    for name, other in (
        ("nearest real", np.concatenate([some.argmin(axis=1) for some in away])),
        ("random real", random_others(units[own], reals.patients[real], rng)),
    ):
        yield name, _Pairs(own, [reals.images], real[other], units[own][:, None], len(own), len(real))
    if (images.sources != "").any():
        own = own[images.sources[own] != ""]
        position = {name: i for i, name in enumerate(reals.ids.tolist())}
        source = np.array([position[name] for name in images.sources[own].tolist()], int)
        both = [reals.images, reals.images[:, :, ::-1]]
        yield "source", _Pairs(own, both, source, units[own][:, None], len(own), len(set(source.tolist())))


def _similarity(function: Callable[..., np.ndarray], images: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """A measure [..., K] of pairs: some at a time, as this copies them."""
    found = []
    for others in pairs.others:
        parts = blocks(len(pairs.first), images[0].size)
        values = [function(images[pairs.first[some]], others[pairs.second[some]]) for some in parts]
        found.append(np.concatenate(values, axis=-1))
    return np.maximum.reduce(found)


def taken_of(given: Described) -> list[OfImages]:
    """The measures of single images that the first step has taken."""
    return [measure for measure in measures_of(OfImages) if measure.name in given.table]


def _of_images(given: Described, units: np.ndarray, measures: Iterable[OfImages]) -> Samples:
    """Measures that have one value an image."""
    own = {name: np.flatnonzero(given.images.labels == CLASSES.index(name)) for name in given.images.classes}
    return {
        measure.name: {
            pathology: _Sample(given.table[measure.name].to_numpy()[i], units[i][:, None], len(i), 0)
            for pathology, i in own.items()
        }
        for measure in measures
    }


def _distance_rows(
    generator: str, given: Described, units: np.ndarray, held_out: Described, resamples: int, rng: np.random.Generator
) -> Rows:
    """Rows of the distance to the nearest training ROI over that of held-out real ROIs."""
    rows, real = [], held_out.images
    distance, real_distance = (described.table["distance"].to_numpy() for described in (given, held_out))
    for pathology in pathologies(given.images.classes):
        labels = [CLASSES.index(name) for name in classes_in(pathology, given.images.classes)]
        own, other = np.isin(given.images.labels, labels), np.isin(real.labels, labels)
        for measure in measures_of(OverHeldOut):
            sides = (distance[own], real_distance[other], units[own], real.patients[other])
            found = distance_ratio(*sides, measure.percentile, resamples, rng)
            rows.append((generator, pathology, measure.name, *found, own.sum(), other.sum(), 0))
    return rows


def _mean_rows(generator: str, samples: Samples, train: ImageSet, resamples: int, rng: np.random.Generator) -> Rows:
    """Rows of means per class, and pooled with the training part's class proportions."""
    shares = {pathology: np.mean(train.labels == label) for label, pathology in enumerate(CLASSES)}
    rows = []
    for measure, of_class in samples.items():
        replicates = {name: sample.replicates(resamples, rng) for name, sample in of_class.items()}
        for pathology in pathologies(of_class):
            names = classes_in(pathology, of_class)
            weight = {name: shares[name] / sum(shares[k] for k in names) for name in names}
            rows.append(
                (
                    generator,
                    pathology,
                    measure,
                    sum(weight[name] * of_class[name].mean() for name in names),
                    *interval(sum(weight[name] * replicates[name] for name in names)),
                    sum(of_class[name].n for name in names),
                    sum(of_class[name].n_reference for name in names),
                    sum(int(np.sum(~np.isfinite(of_class[name].values))) for name in names),
                )
            )
    return rows
