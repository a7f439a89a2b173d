"""Whether synthetic images are new, or copies of the ROIs that their generator was trained on. numpy and scipy only.

Each image has two nearest training ROIs: by features, and by pixels. Training ROIs of both classes are searched, as a
copy is a copy whatever its label. ROIs of the image's own unit are left out: a real image's own patient, and of a
translation, which resembles its source by design, the source's patient. What a translation owes to its source is
another question, with a measure of its own.

**By features**, how near the nearest ROI is tells little: it depends on how common the image is, and noise or blur that
no reader would see moves an image in features as far as another patient. How near it is *relative* to the mean distance
of the next 50 (Carlini et al. 2023, "Extracting training data from diffusion models") asks whether this one ROI is
nearer than its kind: a generator of average-looking images is near all ROIs, a copy is near one.

**By pixels**, the measure is a correlation from −1 to 1 that brightness, contrast, a mirror, a shift of up to 5 px of
128, slight noise and slight blur leave high: see `correlate`.

**Near copy**: an image whose correlation is far above what real images of other patients reach, or one whose relative
distance is below that and of which both measures name the same ROI. The second finds some of what correlation loses:
copies turned or enlarged. Features alone do not do: they called the few overexposed or almost empty masses of CBIS-DDSM
copies of each other, and 1.7 % of a clean generator's images; that pixels, which share nothing with them, point to the
same ROI excludes that. See `limits`.

Tried on BUSI and CBIS-DDSM: all copies with the changes named above are found, and so are nearly all turned by 5°, but
few of those turned by 12° and some of those enlarged by 15 %, the fewer the more the features ignore where things are.
Of the training ROIs .3 to 1.6 % are called near copies of another patient's: in BUSI two pictures of one lesion, in
CBIS-DDSM films' borders and plain bright masses.

Nearest-neighbour distances fall as the training set grows, but not with the number of images that are compared with it:
synthetic and held-out images of any number are measured against the same training ROIs, so their values compare.

A copy may be of any training ROI: time grows with the product of their numbers, though few pairs are looked at closely,
see `mammosynth.arrays.likeness`. Memory grows with their sum.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammosynth.arrays.distances import blocks, distances_to_others, squared_radii
from mammosynth.arrays.likeness import most_alike
from mammosynth.arrays.statistics import draw_patients, interval
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet
from mammosynth.partition import LEAST

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 50  # that a nearest distance is relative to
OUTER, INNER = 3.0, 1.5  # interquartile ranges beyond the quartile: "far out" and "outside" (Tukey 1977)
TOLERANCE = 0.02  # share of near copies that independent images may reach
LEVEL = 0.025  # chance of a study that any of its generators is marked whose share is the tolerance


@dataclass(frozen=True)
class Nearest:
    """The nearest training ROIs of images, arrays [N]; ROIs as positions in the training set.

    by_features, distance: the nearest in features, and its Euclidean distance; relative_distance: that over the mean
    distance of the next 50, 0 to 1, where 0 is a copy; by_correlation, correlation: the nearest in pixels, −1 to 1.
    """

    by_features: np.ndarray
    distance: np.ndarray
    relative_distance: np.ndarray
    by_correlation: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True)
class Limits:
    """What near copies lie beyond: above the one, or below the other if both measures name the same ROI."""

    correlation: float
    relative_distance: float


@dataclass(frozen=True)
class Verdict:
    """Whether a generator memorised its training ROIs, and why.

    share: of near copies among its images, with its 95 % interval (Clopper and Pearson), NaN if there are none;
    real_share: of near copies among held-out reals; unseen: the share of copies up to which a generator may go
    unmarked, see `judge`.
    """

    memorising: bool
    share: float
    low: float
    high: float
    n: int
    real_share: float
    n_real: int
    unseen: float
    reason: str


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


def find_nearest(
    images: np.ndarray,
    features: np.ndarray,
    units: np.ndarray,
    train_images: np.ndarray,
    train_features: np.ndarray,
    train_units: np.ndarray,
) -> Nearest:
    """The nearest training ROIs of images uint8 [N, H, W] with features [N, d] that belong to units [N].

    units: patients of real images and of translations' sources, else anything that is no training patient. The training
    set may itself be asked for its nearest: each ROI finds those of other patients.

    Raises ValueError if an image has no training ROI of another unit, or if shapes disagree.
    """
    if images.shape[1:] != train_images.shape[1:]:
        raise ValueError(f"images are {images.shape[1:]} and training ROIs {train_images.shape[1:]}: crop all alike")
    away = distances_to_others(features, units, train_features, train_units)
    by_features, distance, relative = map(np.concatenate, zip(*((some.argmin(1), *_relative(some)) for some in away)))
    if np.isinf(distance).any():
        raise ValueError("an image has no training ROI of another unit to be compared with")
    by_correlation, correlation = most_alike(images, units, train_images, train_units)
    return Nearest(by_features, distance, relative, by_correlation, np.clip(correlation, -1, 1))


def _relative(away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least distance of each row, and that over the mean of the next ones; 1 where no other is farther than 0."""
    count = min(NEIGHBOURS + 1, away.shape[1])
    nearest = np.sort(np.partition(away, count - 1, axis=1)[:, :count], axis=1)
    distance, others = nearest[:, 0], nearest[:, 1:]
    valid = np.isfinite(others)  # the rest are of the own unit
    mean = np.where(valid, others, 0).sum(1) / np.maximum(valid.sum(1), 1)
    return distance, np.divide(distance, mean, out=np.ones(len(away)), where=mean > 0)


def nearest_columns(nearest: Nearest, train: ImageSet) -> dict[str, np.ndarray]:
    """What a table of images says of their nearest training ROIs, which it names by their ids."""
    return {
        "nearest_by_features": train.ids[nearest.by_features],
        "distance": nearest.distance,
        "relative_distance": nearest.relative_distance,
        "nearest_by_correlation": train.ids[nearest.by_correlation],
        "correlation": nearest.correlation,
    }


def nearest_in(table: "pd.DataFrame", images: ImageSet, train: ImageSet) -> Nearest:
    """The nearest training ROIs of *images*, as a table of images tells them."""
    table = table.set_index("id").loc[images.ids.tolist()]
    position = {name: i for i, name in enumerate(train.ids.tolist())}
    columns = ("nearest_by_features", "distance", "relative_distance", "nearest_by_correlation", "correlation")
    found = (table[name].map(position) if name.startswith("nearest") else table[name] for name in columns)
    return Nearest(*(values.to_numpy() for values in found))


def limits(real: Nearest) -> Limits:
    """Where near copies begin: outside what real images of other patients reach.

    real: of real images that no generator saw, or of the training ROIs, each compared with other patients'. The latter
    are as independent of the ROIs compared with, and many times as many; held-out ones are then free to check them.

    Tukey's fences (Exploratory Data Analysis, 1977), of Fisher's z of the correlations and of the logarithm of the
    relative distances, which are more nearly normal: the outer one, 3 interquartile ranges beyond the quartile (4.7
    standard deviations from the mean of a normal distribution), for the correlation, which decides alone; the inner
    one, 1.5 ranges (2.7), for the relative distance, which does not. Quartiles, since the real images may hold copies
    themselves (pictures of one lesion under two names): up to a quarter of them does not move the fences far.

    Raises InputError for fewer than 8 images.
    """
    if len(real.correlation) < LEAST:
        raise InputError(
            f"{len(real.correlation)} real ROIs are too few to tell near copies by, {LEAST} are needed: add more "
            "patients to the study"
        )
    z = np.arctanh(np.minimum(real.correlation, 1 - 1e-6))
    closeness = -np.log(np.maximum(real.relative_distance, 1e-6))
    return Limits(float(np.tanh(_fence(z, OUTER))), float(np.exp(-_fence(closeness, INNER))))


def _fence(values: np.ndarray, ranges: float) -> float:
    first, third = np.quantile(values, [0.25, 0.75])
    return third + ranges * (third - first)


def near_copies(nearest: Nearest, limit: Limits) -> np.ndarray:
    """Which images [N] are near copies of a training ROI; none of those that correlate with none, as flat ones do."""
    agreed = (nearest.by_features == nearest.by_correlation) & (nearest.correlation != 0)
    return (nearest.correlation > limit.correlation) | (agreed & (nearest.relative_distance < limit.relative_distance))


def judge(
    copies: np.ndarray,
    real_copies: np.ndarray,
    trainings: int = 1,
    held_out: str = "held-out real ROIs",
    known: str = "training ROIs",
) -> Verdict:
    """The verdict on one training by which of its images [N], and of held-out reals [M], are near copies.

    trainings: how many GAN trainings the study has, each of which is judged so. held_out, known: what its sentence
    calls the held-out reals, and those that the near copies are of.

    It is memorising if it has more near copies than chance gives, by a one-sided exact test, to a generator whose share
    is 2 %, more than images of other patients reach; or the least share that held-out reals have by their own interval,
    if that is higher: a few of few do not excuse copying, many do, as then these images cannot be told apart, or
    training and validation part share lesions. The more trainings are judged, the likelier is one with many copies by
    chance: so each is tested at ``LEVEL`` over their number (Bonferroni), and of honest studies, of any size, at most
    one in forty marks a generator. For one training, that is where its 95 % interval lies above the bar.

    Few images hide a few copies: a training of which the share *unseen* are copies is marked 19 times of 20.
    """
    from scipy.stats import beta, binom

    share, low, high = _share(copies)
    real_share, real_low, _ = _share(real_copies)
    n, n_real, bar = len(copies), len(real_copies), float(np.fmax(TOLERANCE, real_low))
    needed = int(binom.isf(LEVEL / trainings, n, bar)) + 1  # so many or more are as unlikely as that
    unseen = float(beta.ppf(0.95, needed, n - needed + 1)) if needed <= n else 1.0
    memorising = bool(np.sum(copies) >= needed)
    if n == 0:
        reason = "There are no synthetic images to judge."
    else:
        reason = (
            f"{_count(copies)} synthetic images (95 % CI {_percent(low)} to {_percent(high)}) and "
            f"{_count(real_copies)} {held_out} are near copies of {known}: "
            f"{'' if memorising else 'not '}certainly more than {_percent(bar)}{_among(trainings)}."
        )
        if not memorising:
            reason += f" A share of less than {_percent(unseen)} might go unseen among {n} images."
        if real_share > TOLERANCE:
            reason += f" Look at those {held_out}: their lesions may be among the {known}, too."
    return Verdict(memorising, share, low, high, n, real_share, n_real, unseen, reason)


def _share(flags: np.ndarray) -> tuple[float, float, float]:
    """The share of images that are flagged, and its 95 % interval."""
    from scipy.stats import binomtest

    if not len(flags):
        return np.nan, np.nan, np.nan
    low, high = binomtest(int(np.sum(flags)), len(flags)).proportion_ci(method="exact")
    return float(np.mean(flags)), float(low), float(high)


def _among(trainings: int) -> str:
    return f", judged as one of {trainings} runs" if trainings > 1 else ""


def _count(flags: np.ndarray) -> str:
    of = f"{np.sum(flags)} of {len(flags)}"
    return f"{of} ({_percent(np.mean(flags))})" if len(flags) else of


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def authentic(nearest: Nearest, train_features: np.ndarray) -> np.ndarray:
    """Which images [N] are authentic: farther from the nearest training ROI than that is from its own nearest.

    Alaa et al. (2022, "How faithful is your synthetic data?"); AuthPct is the percentage of authentic
    images (Stein et al. 2023). Independent images of the same distribution reach about a half, depending on the
    dimension, so a value needs that of held-out reals beside it.

    Raises ValueError for fewer than two training ROIs.
    """
    if len(train_features) < 2:
        raise ValueError("authenticity needs two training ROIs at least")
    (squared,) = squared_radii(train_features, [1])
    return nearest.distance > np.sqrt(squared)[nearest.by_features]


def authentic_percentage(nearest: Nearest, train_features: np.ndarray) -> np.ndarray:
    """100 where an image is authentic, else 0 [N], so that means are AuthPct; see `authentic`."""
    return 100.0 * authentic(nearest, train_features)


def distance_ratio(
    distance: np.ndarray,
    real_distance: np.ndarray,
    units: np.ndarray,
    real_units: np.ndarray,
    percentile: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """A percentile (0 to 100) of synthetic images' distances to the nearest training ROI over that of held-out reals.

    About 1 where synthetic images are as far from the training ROIs as other patients are; a low percentile well below
    1 is a group of copies. distance [N] and real_distance [M] may differ in number, see above.

    Returns value, low, high: the 95 % interval by bootstrap of units [N] and real_units [M], each by itself. NaN where
    the reals' percentile is 0, or without images; the interval also where all resamples agree, which is no certainty.
    """
    if not len(distance) or not len(real_distance):
        return np.nan, np.nan, np.nan
    ours = _percentiles(distance, units, percentile, resamples, rng)
    theirs = _percentiles(real_distance, real_units, percentile, resamples, rng)
    ratios = np.divide(ours, theirs, out=np.full(resamples + 1, np.nan), where=theirs > 0)
    return float(ratios[0]), *interval(ratios[1:])


def _percentiles(
    values: np.ndarray, units: np.ndarray, percentile: float, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Percentiles [resamples + 1] of values [N], and of them in each resample of units [N]."""
    found = [_percentile(values, np.ones((1, len(values))), percentile)]
    for some in blocks(resamples, len(values)):
        weights = draw_patients(units, some.stop - some.start, rng)
        found.append(_percentile(values, weights, percentile))
    return np.concatenate(found)


def _percentile(values: np.ndarray, weights: np.ndarray, percentile: float) -> np.ndarray:
    """Percentiles [B] of values [N] that count as often as weights [B, N] say: the first value to reach the share."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[:, order], axis=1)
    reached = cumulative >= percentile / 100 * cumulative[:, -1:] - 1e-9
    return values[order][reached.argmax(axis=1)]
