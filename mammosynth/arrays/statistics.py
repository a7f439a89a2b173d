"""Scores of a binary classifier and their uncertainty, on arrays.

Every score takes ``labels`` [N] (1 malignant), ``probability`` [N] (of malignancy), ``predicted`` [N] (bool: the
probability is at or above the threshold) and ``weights`` [B, N], how often each image counts in each of B resamples,
and returns [B].  One row of ones gives the score itself, so that a score and its bootstrap resamples come from the same
lines.  A score that is undefined in a resample (no image of a class) is NaN there.  Scores that look at thresholded
predictions (Maier-Hein et al., Nat. Methods 21:195, 2024): those of a class do not depend on how many images are
malignant; PPV, NPV, F1 and MCC do.
"""

from collections.abc import Callable

import numpy as np

from mammosynth.arrays.calibration import calibration_intercept, calibration_slope

Array = np.ndarray
CELLS = ((True, 1), (True, 0), (False, 1), (False, 0))  # of the confusion matrix: called malignant, label


def _share(hits: Array, weights: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return weights @ hits.astype(float) / weights.sum(1)


def specificity(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Share of benign images called benign: the accuracy of the class benign."""
    benign = labels == 0
    return _share(~predicted[benign], weights[:, benign])


def sensitivity(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Share of malignant images called malignant: the accuracy of the class malignant."""
    malignant = labels == 1
    return _share(predicted[malignant], weights[:, malignant])


def balanced_accuracy(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Mean of sensitivity and specificity."""
    return (
        specificity(labels, probability, predicted, weights) + sensitivity(labels, probability, predicted, weights)
    ) / 2


def _counts(labels: Array, predicted: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
    """True positives, false positives, false negatives and true negatives, each [B]; malignant is positive."""
    return tuple(weights @ ((predicted == called) & (labels == label)).astype(float) for called, label in CELLS)


def positive_predictive_value(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Share of images called malignant that are: PPV, or precision."""
    return _share(labels[predicted] == 1, weights[:, predicted])


def negative_predictive_value(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Share of images called benign that are: NPV."""
    return _share(labels[~predicted] == 0, weights[:, ~predicted])


def f1_score(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Harmonic mean of PPV and sensitivity, 2 TP / (2 TP + FP + FN)."""
    hits, false_alarms, misses, _ = _counts(labels, predicted, weights)
    with np.errstate(invalid="ignore"):
        return 2 * hits / (2 * hits + false_alarms + misses)


def matthews_correlation(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Correlation of class and call, −1 to 1 (Matthews, Biochim. Biophys. Acta 405:442, 1975): MCC.

    NaN, and not 0, if all images are called one class: no correlation is then defined.
    """
    hits, false_alarms, misses, rejections = _counts(labels, predicted, weights)
    called, malignant = hits + false_alarms, hits + misses
    spread = called * malignant * (rejections + false_alarms) * (rejections + misses)
    with np.errstate(invalid="ignore"):
        return (hits * rejections - false_alarms * misses) / np.sqrt(spread)


def auroc(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Area under the ROC curve: the chance that a malignant image scores above a benign one, ties counting half.

    The Mann–Whitney form (Hanley and McNeil, Radiology 143:29, 1982), weighted: each pair counts as often as both of
    its images do.  Probabilities [..., N] of several networks give [..., B].
    """
    benign, malignant = labels == 0, labels == 1
    above = np.sign(probability[..., malignant, None] - probability[..., None, benign]) / 2 + 0.5
    times, times_benign = weights[:, malignant], weights[:, benign]
    with np.errstate(invalid="ignore"):
        return ((times @ above) * times_benign).sum(-1) / (times.sum(1) * times_benign.sum(1))


def average_precision(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Precision averaged over the steps of recall, Σ (R_k − R_{k−1}) P_k over the distinct scores, highest first."""
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.append(np.diff(probability[order]) != 0, True)
    found = np.cumsum(weights[:, order] * labels[order], axis=1)[:, last_of_ties]
    called = np.cumsum(weights[:, order], axis=1)[:, last_of_ties]
    with np.errstate(invalid="ignore"):
        precision = np.where(called > 0, found / np.maximum(called, 1), 0.0)
        return (np.diff(found, prepend=0.0, axis=1) * precision).sum(1) / found[:, -1]


def brier_score(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Mean squared difference of probability and class (Brier, Mon. Weather Rev. 78:1, 1950); 0 is best."""
    return _share((probability - labels) ** 2, weights)


Score = Callable[[Array, Array, Array, Array], Array]
# Scores by what they look at: calls at a threshold, the order of the probabilities, or the probabilities themselves.
OF_CALLS: dict[str, Score] = {
    "benign accuracy": specificity,
    "malignant accuracy": sensitivity,
    "balanced accuracy": balanced_accuracy,
    "PPV": positive_predictive_value,
    "NPV": negative_predictive_value,
    "F1": f1_score,
    "MCC": matthews_correlation,
}
OF_ORDER: dict[str, Score] = {"AUROC": auroc, "average precision": average_precision}
OF_PROBABILITIES: dict[str, Score] = {
    "Brier score": brier_score,
    "calibration slope": calibration_slope,
    "calibration intercept": calibration_intercept,
}
SCORES = OF_CALLS | OF_ORDER | OF_PROBABILITIES


def area_under_roc(labels: Array, probability: Array) -> float:
    """AUROC of one set of predictions; NaN if a class is missing."""
    labels = np.asarray(labels)
    return float(auroc(labels, np.asarray(probability, float), labels == 1, np.ones((1, len(labels))))[0])


def youden_threshold(labels: Array, probability: Array) -> float:
    """The threshold that maximises sensitivity + specificity − 1 (Youden, Cancer 3:32, 1950).

    Candidates lie midway between neighbouring probabilities, where no image of these sits on the edge; of equally good
    ones the nearest to 0.5 is taken.  0.5 if a class is missing or no two probabilities differ.
    """
    labels, candidates = np.asarray(labels), _between(probability)
    if len(candidates) == 0 or len(np.unique(labels)) < 2:
        return 0.5
    called = np.asarray(probability)[None] >= candidates[:, None]
    index = called[:, labels == 1].mean(1) - called[:, labels == 0].mean(1)
    best = candidates[np.isclose(index, index.max())]
    return float(best[np.argmin(np.abs(best - 0.5))])


def sensitivity_threshold(labels: Array, probability: Array, least: float = 0.95) -> float:
    """The highest threshold at which at least this share of the malignant images is called malignant.

    Candidates lie midway between neighbouring probabilities, as in :func:`youden_threshold`, and at 0, which calls all
    malignant.  0.5 if no image is malignant.
    """
    malignant = np.asarray(probability, float)[np.asarray(labels) == 1]
    if len(malignant) == 0:
        return 0.5
    candidates = np.append(0.0, _between(probability))
    enough = (malignant[None] >= candidates[:, None]).mean(1) >= least
    return float(candidates[enough].max())


def _between(probability: Array) -> Array:
    """Thresholds midway between neighbouring probabilities, rising."""
    values = np.unique(np.asarray(probability, float))
    return (values[1:] + values[:-1]) / 2


def draw_patients(patients: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Weights [resamples, N] of a cluster bootstrap: as many patients as there are, drawn with replacement.

    All images of a patient come and go together (Field and Welsh, J. R. Stat. Soc. B 69:369, 2007).
    """
    names, patient_of = np.unique(patients, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return counts[:, patient_of].astype(float)


def interval(resampled: Array, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values; resamples in which the score is undefined are left out.

    (NaN, NaN) where all resamples agree: then they say nothing about the uncertainty, as in a test part without errors.
    """
    defined = resampled[np.isfinite(resampled)]
    if len(defined) == 0 or np.ptp(defined) < 1e-12:
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_p(resampled: Array) -> float:
    """Two-sided p of a difference being 0: twice the smaller share of resamples on one side of 0 (0 counts for both).

    Counted with one added, so that it is never 0 (Davison and Hinkley, Bootstrap Methods, 1997, section 4.2).
    """
    defined = resampled[np.isfinite(resampled)]
    if len(defined) == 0:
        return np.nan
    smaller = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (1 + smaller) / (1 + len(defined))))


def roc_curve(labels: Array, probability: Array, grid: Array) -> Array:
    """Sensitivity at each false-positive rate of *grid* (0 to 1, rising), linear where scores tie."""
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.append(np.diff(probability[order]) != 0, True)
    malignant = labels[order] == 1
    sensitivities = np.append(0, np.cumsum(malignant)[last_of_ties] / max(1, malignant.sum()))
    false_positives = np.append(0, np.cumsum(~malignant)[last_of_ties] / max(1, (~malignant).sum()))
    # Of the points at one false-positive rate, a vertical step, np.interp takes the last: the top.
    return np.interp(grid, false_positives, sensitivities)
