"""What synthetic images are worth, as tidy rows: each measure per class and pooled, beside what real images reach.

**Fidelity** is measured on halves of the training part: see ``fidelity``.

**The other measures** are means over images, or over pairs of images, of one class, with an interval by bootstrap of
the units that the images belong to: patients for real images and translations of real images, else the image itself.
Of a generator as many images of a class are taken as the training part has, if there are as many. Nearest and random
real images are of the image's own class and of other patients than its own. So what a translation owes to the image
that it was made from shows only in its similarity with that source (`SOURCE`), which is of the other class: 1 would be
a copy. The source may have been mirrored before, hence the larger of two: with it, and with its mirror image.

**Labels**: a classifier of the fold's real training ROIs judges whether a synthetic ROI looks like the class that it
was made to be. Of the real ROIs it has seen all but those of the validation part, so these are the mark (`HELD_OUT`).
Its step and its threshold were chosen by them: no other real ROIs may be looked at, and the mark is a little high.
It has also seen the sources of translations, under the other label, and may recognise them: their value is a low one.

**Novelty** is of the nearest training ROI of either class, of other patients than the image's own or its source's: see
``novelty``. Held-out real ROIs are the mark there too.

**Pooled** (pathology "all") is in the class proportions of the training part.

Only the training part is looked at, and the validation part as real ROIs that no generator was trained on. What all
generators of a fold share is made once: a `Reference`. Beside the rows, a table has one line an image.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mammosynth.arrays.distances import blocks, distances_to_others
from mammosynth.arrays.statistics import interval, youden_threshold
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks.features import features
from mammosynth.quality import AS_INTENDED, AUTHENTIC, HELD_OUT, NEAR_COPY
from mammosynth.quality.fidelity import (
    ALL,
    Parameters,
    classes_in,
    make_reference,
    measure_fidelity,
    units_of,
)
from mammosynth.quality.naturalness import NiqeModel, fit_niqe, naturalness
from mammosynth.quality.novelty import (
    Nearest,
    authentic,
    distance_ratio,
    find_nearest,
    limits,
    near_copies,
    nearest_columns,
)
from mammosynth.quality.reference import Reference
from mammosynth.quality.rows import COLUMNS
from mammosynth.quality.similarity import ms_ssim, random_others, random_pairs, ssim, ssim_and_ms_ssim

PAIRS = 150  # of a class, for MS-SSIM within a set
WITHIN, SOURCE = "MS-SSIM, within set", "SSIM, source"
NEAREST_TRAINING = {  # by measure, the percentile of distances
    "nearest training ROI, median to held-out's": 50,
    "nearest training ROI, 5th percentile to held-out's": 5,
}

Classify = Callable[[np.ndarray], np.ndarray]  # uint8 [N, H, W] -> probability of malignancy [N]


def assess_real(
    train: ImageSet,
    held_out: ImageSet,
    classify: Classify,
    extractors: list[str],
    parameters: Parameters,
    resamples: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[pd.DataFrame, pd.DataFrame, Reference]:
    """Rows ``real`` (the training ROIs' own values), ``floor`` (real against real) and ``held_out`` (real ROIs that no
    generator was trained on), a line for each ROI, and the fold's `Reference`.

    train: the training part; held_out: the validation part; classify: a classifier of the training ROIs; extractors:
    names of ``NETWORKS``, the first of which says which images are nearest; parameters: files of the extractors and
    of the naturalness measures; resamples: of the bootstrap.

    Raises InputError if a class has too few patients for halves.
    """
    rng = np.random.default_rng(seed)
    rows, reference = make_reference(train, extractors, parameters, rng, device)
    samples = _samples(train, train.patients, reference.features[extractors[0]], train, reference, extractors[0], rng)
    reference.niqe = fit_niqe(train.images)._asdict()
    scores = _naturalness(train.images, parameters, device, reference)
    samples |= _means_of(scores, train, train.patients)
    rows += _mean_rows("real", samples, train, resamples, rng)

    near, known = extractors[0], reference.features[extractors[0]]
    reference.limits |= asdict(limits(find_nearest(*(train.images, known, train.patients) * 2)))
    probability = classify(held_out.images)
    reference.limits["label"] = youden_threshold(held_out.labels, probability)
    found = features(held_out.images, near, parameters[near], device)
    nearest = find_nearest(held_out.images, found, held_out.patients, train.images, known, train.patients)
    values = _naturalness(held_out.images, parameters, device, reference)
    values |= _novelty(nearest, known, reference) | _as_intended(held_out, probability, reference)
    rows += _mean_rows(HELD_OUT, _means_of(values, held_out, held_out.patients), train, resamples, rng)
    reference.held_out = {"distance": nearest.distance, "label": held_out.labels, "patient": held_out.patients}

    single = {"probability": probability, **nearest_columns(nearest, train), **values}
    tables = [_table("real", train, scores), _table(HELD_OUT, held_out, single)]
    return pd.DataFrame(rows, columns=COLUMNS), pd.concat(tables, ignore_index=True), reference


def assess(
    generator: str,
    synthetic: ImageSet,
    train: ImageSet,
    reference: Reference,
    classify: Classify,
    extractors: list[str],
    parameters: Parameters,
    resamples: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of one generator (every measure, per class and pooled), and a line for each of its images.

    generator: its name; synthetic: its images; the others as for `assess_real`, which gave *reference*.

    Raises InputError if it has fewer images of a class than a reference half, if a source is not in the training part,
    or if too few of its translations are of patients outside a reference half.
    """
    rng = np.random.default_rng(seed)
    units = units_of(generator, synthetic, train)
    kept = _as_many(generator, synthetic, train, reference, rng)
    found = {name: features(synthetic.images, name, parameters[name], device) for name in extractors}
    rows = measure_fidelity(generator, synthetic, found, train, reference, rng)

    near, known = found[extractors[0]], reference.features[extractors[0]]
    probability = classify(synthetic.images)
    nearest = find_nearest(synthetic.images, near, units, train.images, known, train.patients)
    values = _naturalness(synthetic.images, parameters, device, reference)
    values |= _novelty(nearest, known, reference) | _as_intended(synthetic, probability, reference)
    single = {"probability": probability, **nearest_columns(nearest, train), **values}
    table = _table(generator, synthetic, single)

    synthetic, units, near, distance = synthetic[kept], units[kept], near[kept], nearest.distance[kept]
    rows += _distance_rows(generator, synthetic, units, distance, reference, resamples, rng)
    samples = _samples(synthetic, units, near, train, reference, extractors[0], rng)
    if (synthetic.sources != "").any():
        samples[SOURCE] = _source_samples(synthetic, units, train)
    samples |= _means_of({measure: value[kept] for measure, value in values.items()}, synthetic, units)
    rows += _mean_rows(generator, samples, train, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS), table


def _as_many(
    generator: str, synthetic: ImageSet, train: ImageSet, reference: Reference, rng: np.random.Generator
) -> np.ndarray:
    """Positions of as many images of each class as the training part has, or all if there are fewer; at random."""
    chosen = []
    for label, pathology in enumerate(CLASSES):
        positions = np.flatnonzero(synthetic.labels == label)
        needed = reference.halves[pathology].shape[2]
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


def _samples(
    images: ImageSet,
    units: np.ndarray,
    found: np.ndarray,
    train: ImageSet,
    reference: Reference,
    extractor: str,
    rng: np.random.Generator,
) -> Samples:
    """Similarity within the set, and to real images of the class, of other patients: the nearest and a random one."""
    samples: Samples = {WITHIN: {}}
    for label, pathology in enumerate(CLASSES):
        own, real = np.flatnonzero(images.labels == label), np.flatnonzero(train.labels == label)
        pairs = own[random_pairs(units[own], PAIRS, rng)]
        values = ms_ssim(images.images[pairs[:, 0]], images.images[pairs[:, 1]])
        samples[WITHIN][pathology] = _Sample(values, units[pairs], len(own), 0)
        patients, known = train.patients[real], reference.features[extractor][real]
        away = distances_to_others(found[own], units[own], known, patients)
        chosen = {
            "nearest real": np.concatenate([some.argmin(axis=1) for some in away]),
            "random real": random_others(units[own], patients, rng),
        }
        for measure, other in chosen.items():
            both = _of_pairs(ssim_and_ms_ssim, images.images, own, train.images, real[other])
            for name, values in zip(("SSIM", "MS-SSIM"), both):
                sample = _Sample(values, units[own][:, None], len(own), len(real))
                samples.setdefault(f"{name}, {measure}", {})[pathology] = sample
    return samples


def _of_pairs(
    measure: Callable[..., np.ndarray], x: np.ndarray, first: np.ndarray, y: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """A measure [..., P] of pairs of images, x[first] and y[second]: some at a time, as this copies them."""
    parts = (measure(x[first[some]], y[second[some]]) for some in blocks(len(first), x[0].size))
    return np.concatenate([*parts], axis=-1)


def _source_samples(images: ImageSet, units: np.ndarray, train: ImageSet) -> dict[str, _Sample]:
    """By class, similarity of translations with the real images that they were made from, or with their mirrors."""
    position, result = {name: i for i, name in enumerate(train.ids.tolist())}, {}
    for label, pathology in enumerate(CLASSES):
        own = np.flatnonzero((images.labels == label) & (images.sources != ""))
        source = np.array([position[name] for name in images.sources[own].tolist()], int)
        values = np.maximum(
            *(_of_pairs(ssim, images.images, own, y, source) for y in (train.images, train.images[:, :, ::-1]))
        )
        result[pathology] = _Sample(values, units[own][:, None], len(own), len(set(source.tolist())))
    return result


def _naturalness(
    images: np.ndarray, parameters: Parameters, device: torch.device | str, reference: Reference
) -> dict[str, np.ndarray]:
    return naturalness(images, parameters, device, NiqeModel(**reference.niqe))


def _as_intended(images: ImageSet, probability: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    """Whether each image is taken for the class that it was made to be: 1 or 0."""
    malignant = probability >= reference.limits["label"]
    return {AS_INTENDED: (malignant == images.labels).astype(float)}


def _novelty(nearest: Nearest, known: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    """Whether each image is a near copy (1 or 0), and whether it is authentic (100 or 0, so that means are AuthPct)."""
    copies = near_copies(nearest, reference.near_copy_limits)
    return {NEAR_COPY: copies.astype(float), AUTHENTIC: 100.0 * authentic(nearest, known)}


def _distance_rows(
    generator: str,
    images: ImageSet,
    units: np.ndarray,
    distance: np.ndarray,
    reference: Reference,
    resamples: int,
    rng: np.random.Generator,
) -> list[tuple[Any, ...]]:
    """Rows of the distance to the nearest training ROI over that of held-out real ROIs, at two percentiles."""
    rows, real = [], reference.held_out
    for pathology in (*CLASSES, ALL):
        labels = [CLASSES.index(name) for name in classes_in(pathology)]
        own, other = np.isin(images.labels, labels), np.isin(real["label"], labels)
        for measure, percentile in NEAREST_TRAINING.items():
            sides = (distance[own], real["distance"][other], units[own], real["patient"][other])
            found = distance_ratio(*sides, percentile, resamples, rng)
            rows.append((generator, pathology, measure, *found, own.sum(), other.sum(), 0))
    return rows


def _means_of(values: dict[str, np.ndarray], images: ImageSet, units: np.ndarray) -> Samples:
    """Samples of measures that have one value an image."""
    own = {pathology: np.flatnonzero(images.labels == label) for label, pathology in enumerate(CLASSES)}
    return {
        measure: {name: _Sample(value[i], units[i][:, None], len(i), 0) for name, i in own.items()}
        for measure, value in values.items()
    }


def _table(generator: str, images: ImageSet, values: dict[str, np.ndarray]) -> pd.DataFrame:
    """A line an image: what it is, and its values."""
    pathology = np.array(CLASSES)[images.labels]
    table = pd.DataFrame({"generator": generator, "id": images.ids, "pathology": pathology, "source": images.sources})
    return table.assign(**values)


def _mean_rows(
    generator: str, samples: Samples, train: ImageSet, resamples: int, rng: np.random.Generator
) -> list[tuple[Any, ...]]:
    """Rows of means per class, and pooled with the training part's class proportions."""
    shares = {pathology: np.mean(train.labels == label) for label, pathology in enumerate(CLASSES)}
    rows = []
    for measure, of_class in samples.items():
        replicates = {name: sample.replicates(resamples, rng) for name, sample in of_class.items()}
        for pathology in (*CLASSES, ALL):
            names = classes_in(pathology)
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
