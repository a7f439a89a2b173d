"""What synthetic images are worth, as tidy rows: each measure per class and pooled, beside what real images reach.

**Fidelity** (distances, precision, recall) depends on the number of images, so all of it is measured at one size. The
training part is halved by patients, again and again (``HALVINGS`` times). One half is the reference; the other takes
the place of a generator and gives the *floor*, what other patients' real images reach; and of each generator as many
images of each class are drawn. Value: the mean over the halvings. Interval: their 2.5 and 97.5 percentiles. Halves
drawn without replacement vary a statistic about as much as new samples of full size would (half-sampling), and unlike a
bootstrap they repeat no image, which a distance would take for want of variety. floor/FD is the ratio of the means: 1
is as near as other patients. All generators of a fold meet the same halves.

A translation of a real image is drawn only for halvings whose reference half does not hold its source's patient, as the
floor's two halves share none. Where fewer are left than the floor has images, all of them are drawn: n is then the
fewest of any halving, and floor/FD takes a floor of as few, since a distance rises as n falls.

The generators were trained on these very images, reference halves included, and the floor's images are of patients
whom its reference does not hold. So these distances reward copying: floor/FD above 1 can be memorising.

**The other measures** are means over images, or over pairs of images, of one class, with an interval by bootstrap of
the units that the images belong to: patients for real images and translations of real images, else the image itself.
Of a generator as many images of a class are taken as the training part has, if there are as many. Nearest and random
real images are of the image's own class and of other patients than its own. So what a translation owes to the image
that it was made from shows only in its similarity with that source (`SOURCE`), which is of the other class: 1 would be
a copy. The source may have been mirrored before, hence the larger of two: with it, and with its mirror image.

**Pooled** (pathology "all") is in the class proportions of the training part.

Only the training part is looked at. What all generators of a fold share is made once: a `Reference`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.distances import NEIGHBOURS, distances, frechet_distance, kernel_distance, precision_recall
from mammosynth.quality.features import EXTRACTORS, features
from mammosynth.quality.naturalness import naturalness
from mammosynth.quality.similarity import ms_ssim, random_pairs, ssim

HALVINGS = 40
PAIRS = 150  # of a class, for MS-SSIM within a set
ALL = "all"
WITHIN, NEAREST, RANDOM = "MS-SSIM, within set", "SSIM, nearest real", "SSIM, random real"
SOURCE = "SSIM, source"
COLUMNS = ["generator", "pathology", "measure", "value", "low", "high", "n", "n_reference", "failures"]

Parameters = dict[str, str | Path]  # paths of parameter files by name
Draws = dict[str, Sequence[np.ndarray]]  # by class, for each halving the positions of the images drawn


@dataclass
class Reference:
    """What all generators of a fold are judged against.

    features: by extractor, float32 [N, d] of the training ROIs in their order.
    halves: by class, positions [HALVINGS, 2, m] of training ROIs: the reference half and the half that gives the floor.
    floors: by extractor and pathology, the Fréchet distances [HALVINGS] between the two.
    """

    features: dict[str, np.ndarray] = field(default_factory=dict)
    halves: dict[str, np.ndarray] = field(default_factory=dict)
    floors: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``."""
        arrays = {f"features/{extractor}": value for extractor, value in self.features.items()}
        arrays |= {f"halves/{pathology}": value for pathology, value in self.halves.items()}
        arrays |= {f"floors/{extractor}/{pathology}": value for (extractor, pathology), value in self.floors.items()}
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: str | Path) -> "Reference":
        """Read what `save` wrote."""
        reference = Reference()
        with np.load(path) as file:
            for key in file.files:
                part, *name = key.split("/")
                getattr(reference, part)[tuple(name) if part == "floors" else name[0]] = file[key]
        return reference


def assess_real(
    train: ImageSet,
    extractors: list[str],
    parameters: Parameters,
    resamples: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[pd.DataFrame, Reference]:
    """Rows ``real`` (the training ROIs' own values) and ``floor`` (real against real), and the fold's `Reference`.

    train: the training part; extractors: names of ``EXTRACTORS``, the first of which says which images are nearest;
    parameters: files of the extractors and of the naturalness measures; resamples: of the bootstrap.

    Raises InputError if a class has too few patients for halves.
    """
    rng = np.random.default_rng(seed)
    rows, reference = make_reference(train, extractors, parameters, rng, device)
    samples = _samples(train, train.patients, reference.features[extractors[0]], train, reference, extractors[0], rng)
    samples |= _naturalness_samples(train, train.patients, parameters, device)
    rows += _mean_rows("real", samples, train, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS), reference


def make_reference(
    train: ImageSet, extractors: list[str], parameters: Parameters, rng: np.random.Generator, device: torch.device | str
) -> tuple[list[tuple[Any, ...]], Reference]:
    """Rows of the floor, and the `Reference`; arguments as for `assess_real`."""
    reference = Reference(halves=halves(train, rng))
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


def assess(
    generator: str,
    synthetic: ImageSet,
    train: ImageSet,
    reference: Reference,
    extractors: list[str],
    parameters: Parameters,
    resamples: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Rows of one generator: every measure, per class and pooled.

    generator: its name; synthetic: its images; the others as for `assess_real`, which gave *reference*.

    Raises InputError if it has fewer images of a class than half of the training part, if a source is not in that, or
    if too few of its translations are of patients outside a reference half.
    """
    rng = np.random.default_rng(seed)
    units = _units(generator, synthetic, train)
    kept = _as_many(generator, synthetic, train, reference, rng)
    found = {name: features(synthetic.images, name, parameters[name], device) for name in extractors}
    rows = measure_fidelity(generator, synthetic, found, train, reference, rng)
    synthetic, units, near = synthetic[kept], units[kept], found[extractors[0]][kept]
    samples = _samples(synthetic, units, near, train, reference, extractors[0], rng)
    if (synthetic.sources != "").any():
        samples[SOURCE] = _source_samples(synthetic, units, train)
    samples |= _naturalness_samples(synthetic, units, parameters, device)
    rows += _mean_rows(generator, samples, train, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS)


def measure_fidelity(
    generator: str,
    synthetic: ImageSet,
    found: dict[str, np.ndarray],
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> list[tuple[Any, ...]]:
    """Rows of distances, precision, recall and floor/FD; found: features of *synthetic* by extractor."""
    draws = _draws(generator, synthetic, _units(generator, synthetic, train), train, reference, rng)
    rows = []
    for extractor, of_synthetic in found.items():
        for pathology in (*CLASSES, ALL):
            values = _fidelity(extractor, pathology, reference, of_synthetic, draws)
            sizes = _size(draws, pathology), sum(reference.halves[name].shape[2] for name in _classes(pathology))
            rows += _fidelity_rows(generator, pathology, values, *sizes)
            floor = _floor(extractor, pathology, reference, draws)
            rows.append(_ratio_row(generator, extractor, pathology, floor, values, *sizes))
    return rows


def tidy(rows: pd.DataFrame, modality: str, fold: int | str, seed: int | str = "") -> pd.DataFrame:
    """The rows with the columns that say where they are from; real rows have no seed."""
    where = pd.DataFrame({"modality": modality, "fold": fold, "generator": rows["generator"], "seed": seed})
    return pd.concat([where, rows.drop(columns="generator")], axis=1)


def halves(train: ImageSet, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """By class, positions [HALVINGS, 2, m] of ROIs: two halves that share no patient, all of one size m.

    Patients go in random order to the half that keeps the classes more even; what a half has over m is left out.

    Raises InputError if a class has too few patients for halves of two images.
    """
    names, patient = np.unique(train.patients, return_inverse=True)
    counts = np.stack([np.bincount(patient[train.labels == c], minlength=len(names)) for c in range(len(CLASSES))], 1)
    split = []
    for _ in range(HALVINGS):
        side, excess = np.zeros(len(names), int), np.zeros(len(CLASSES), int)
        for p in rng.permutation(len(names)):
            uneven = [np.abs(excess + counts[p]).sum(), np.abs(excess - counts[p]).sum()]
            side[p] = rng.integers(2) if uneven[0] == uneven[1] else np.argmin(uneven)
            excess += counts[p] * (1 - 2 * side[p])
        split.append(side[patient])
    result = {}
    for label, pathology in enumerate(CLASSES):
        parts = [[rng.permutation(np.flatnonzero((train.labels == label) & (s == k))) for k in (0, 1)] for s in split]
        m = min(len(part) for pair in parts for part in pair)
        if m < 2:
            raise InputError(
                f"the training part's {pathology} ROIs ({np.sum(train.labels == label)} of "
                f"{np.sum(counts[:, label] > 0)} patients) are too few to halve by patients: add more to the study"
            )
        result[pathology] = np.array([[part[:m] for part in pair] for pair in parts])
    return result


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
                f"{generator} has {len(positions)} {pathology} images, and fidelity needs {needed}, half as many as "
                "the training part has: synthesise more"
            )
        chosen.append(rng.permutation(positions)[: np.sum(train.labels == label)])
    return np.sort(np.concatenate(chosen))


def _draws(
    generator: str,
    synthetic: ImageSet,
    units: np.ndarray,
    train: ImageSet,
    reference: Reference,
    rng: np.random.Generator,
) -> Draws:
    """By class and halving, as many images as the floor has, or all if there are fewer, of no patient of the reference.

    units: what each image belongs to, see `_units`.
    """
    draws: Draws = {pathology: [] for pathology in CLASSES}
    for halving in range(HALVINGS):
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


def _units(generator: str, synthetic: ImageSet, train: ImageSet) -> np.ndarray:
    """What each synthetic image belongs to: the patient of the real image that it translates, else itself."""
    patients = dict(zip(train.ids.tolist(), train.patients.tolist()))
    unknown = sorted(set(synthetic.sources.tolist()) - {"", *patients})
    if unknown:
        raise InputError(
            f"{generator} has translations of {unknown[0]}, which is not in the training part: synthesise again"
        )
    pairs = zip(synthetic.sources.tolist(), synthetic.ids.tolist())
    return np.array([patients.get(source, f"synthetic {name}") for source, name in pairs])


def _classes(pathology: str) -> tuple[str, ...]:
    return CLASSES if pathology == ALL else (pathology,)


def _size(draws: Draws, pathology: str) -> int:
    """How many images are drawn: the fewest of any halving."""
    return min(sum(map(len, of_classes)) for of_classes in zip(*(draws[name] for name in _classes(pathology))))


def _fidelity(
    extractor: str, pathology: str, reference: Reference, other: np.ndarray, draws: Draws
) -> dict[str, np.ndarray]:
    """By measure, the values [HALVINGS] of other features [N, d] against the reference halves.

    draws: positions in *other*.
    """
    real, values = reference.features[extractor], []
    for halving in range(HALVINGS):
        x = real[np.concatenate([reference.halves[name][halving, 0] for name in _classes(pathology)])]
        y = other[np.concatenate([draws[name][halving] for name in _classes(pathology)])]
        share = precision_recall(x, y) if min(len(x), len(y)) > NEIGHBOURS else (np.nan, np.nan)
        values.append((frechet_distance(x, y), kernel_distance(x, y), *share))
    names = (EXTRACTORS[extractor].measure(name) for name in ("FD", "KD", "precision", "recall"))
    return dict(zip(names, np.array(values).T))


def _floor(extractor: str, pathology: str, reference: Reference, draws: Draws) -> np.ndarray:
    """The floor's Fréchet distances [HALVINGS], with as many images in each halving as were drawn of the generator."""
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
        (generator, pathology, measure, value.mean(), *_interval(value), n, n_reference, 0)
        for measure, value in values.items()
    ]


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
    return (generator, pathology, measure, ratio, *_interval(floor / distance), n, n_reference, 0)


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
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
        weights = drawn[:, codes].prod(axis=2)
        with np.errstate(invalid="ignore"):  # a resample that holds no valid value has no mean
            return weights @ self.values[valid] / weights.sum(axis=1)


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
    samples: Samples = {WITHIN: {}, NEAREST: {}, RANDOM: {}}
    for label, pathology in enumerate(CLASSES):
        own, real = np.flatnonzero(images.labels == label), np.flatnonzero(train.labels == label)
        pairs = own[random_pairs(units[own], PAIRS, rng)]
        values = ms_ssim(images.images[pairs[:, 0]], images.images[pairs[:, 1]])
        samples[WITHIN][pathology] = _Sample(values, units[pairs], len(own), 0)
        apart = units[own][:, None] != train.patients[real][None, :]
        away = np.where(apart, distances(found[own], reference.features[extractor][real]), np.inf)
        chance = np.where(apart, rng.random(apart.shape), np.inf)
        for measure, cost in ((NEAREST, away), (RANDOM, chance)):
            values = ssim(images.images[own], train.images[real[cost.argmin(axis=1)]])
            samples[measure][pathology] = _Sample(values, units[own][:, None], len(own), len(real))
    return samples


def _source_samples(images: ImageSet, units: np.ndarray, train: ImageSet) -> dict[str, _Sample]:
    """By class, similarity of translations with the real images that they were made from, or with their mirrors."""
    position, result = {name: i for i, name in enumerate(train.ids.tolist())}, {}
    for label, pathology in enumerate(CLASSES):
        own = np.flatnonzero((images.labels == label) & (images.sources != ""))
        source = np.array([position[name] for name in images.sources[own].tolist()], int)
        plain, mirrored = train.images[source], train.images[source][:, :, ::-1]
        values = np.maximum(ssim(images.images[own], plain), ssim(images.images[own], mirrored))
        result[pathology] = _Sample(values, units[own][:, None], len(own), len(set(source.tolist())))
    return result


def _naturalness_samples(
    images: ImageSet, units: np.ndarray, parameters: Parameters, device: torch.device | str
) -> Samples:
    scores = naturalness(images.images, parameters, device)
    own = {pathology: np.flatnonzero(images.labels == label) for label, pathology in enumerate(CLASSES)}
    return {
        measure: {name: _Sample(values[i], units[i][:, None], len(i), 0) for name, i in own.items()}
        for measure, values in scores.items()
    }


def _mean_rows(
    generator: str, samples: Samples, train: ImageSet, resamples: int, rng: np.random.Generator
) -> list[tuple[Any, ...]]:
    """Rows of means per class, and pooled with the training part's class proportions."""
    shares = {pathology: np.mean(train.labels == label) for label, pathology in enumerate(CLASSES)}
    rows = []
    for measure, of_class in samples.items():
        replicates = {name: sample.replicates(resamples, rng) for name, sample in of_class.items()}
        for pathology in (*CLASSES, ALL):
            names = _classes(pathology)
            weight = {name: shares[name] / sum(shares[k] for k in names) for name in names}
            rows.append(
                (
                    generator,
                    pathology,
                    measure,
                    sum(weight[name] * of_class[name].mean() for name in names),
                    *_interval(sum(weight[name] * replicates[name] for name in names)),
                    sum(of_class[name].n for name in names),
                    sum(of_class[name].n_reference for name in names),
                    sum(int(np.sum(~np.isfinite(of_class[name].values))) for name in names),
                )
            )
    return rows


def _interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of the values that are numbers."""
    valid = values[np.isfinite(values)]
    return tuple(np.percentile(valid, [2.5, 97.5])) if len(valid) else (np.nan, np.nan)
