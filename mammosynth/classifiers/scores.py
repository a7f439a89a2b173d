"""Scores of every mix with confidence intervals, and its difference against training on real images alone.

Within a run (a fold and a seed) a score is computed on that fold's test part, then averaged over runs.  The patients of
each fold's test part are resampled, the same ones for every classifier, mix and seed, so that differences are paired.
A mix is compared with real images of the same classifier.

Of several runs, intervals, p and what is called different cover which patients are tested and how trainings went: see
`mammosynth.arrays.comparisons`.  Of one run they cover the patients alone, and speak of its networks and no method.

External test databases are scored by themselves.  They are the same for all runs, so their patients are resampled once
for all folds and seeds.
"""

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.arrays.calibration import logit
from mammosynth.arrays.comparisons import LEVEL, Estimate, holm, mean_over_runs
from mammosynth.arrays.statistics import OF_CALLS, OF_PROBABILITIES, SCORES, bootstrap_p, draw_patients, interval
from mammosynth.classifiers.validation import AT_SENSITIVITY, CALIBRATED, YOUDEN, decided
from mammosynth.errors import InputError
from mammosynth.partition import EXTERNAL

# Every score, with the threshold that it is taken at if it looks at calls.
TAKEN = [(measure, YOUDEN if measure in OF_CALLS else None) for measure in SCORES]
TAKEN += [(measure, AT_SENSITIVITY) for measure in ("benign accuracy", "malignant accuracy", "PPV", "NPV")]
COMPARED = ("AUROC", "balanced accuracy")
REFERENCE = "real"
# The images that a score looks at; all of them where nothing stands here.
CLASS_OF = {"benign accuracy": "benign", "malignant accuracy": "malignant"}
# Log-odds that differ by less than this share of their spread are the same: a probe of real@2 differs from one of real
# by rounding, and two networks that have hardly learnt anything by all that they have.
SAME = 1e-3
BOUNDS = {"MCC": (-1, 1), "calibration slope": (-np.inf, np.inf), "calibration intercept": (-np.inf, np.inf)}

COLUMNS = (
    "modality", "share", "part", "classifier", "mix", "database", "measure", "threshold", "value", "low", "high", "n",
    "n_patients", "runs", "sd", "difference", "difference_low", "difference_high", "p", "p_holm", "se", "chance",
    "luck", "margin", "equivalence_p", "smallest_difference",
)  # fmt: skip


def score(predictions: pd.DataFrame, resamples: int, seed: int, equivalence_margin: float = 0.05) -> pd.DataFrame:
    """Tidy scores of the predictions of all modalities and splits.

    predictions: those of every classifier, mix and seed, with columns ``fold`` and ``share`` added.  Images of the test
    part, and of the external one, are scored, with thresholds and probabilities as the validation part of their run
    decides (:func:`mammosynth.classifiers.validation.decided`); mixes are compared with ``real`` of the same classifier
    and share of the training patients.

    Returns one row a modality, share, part (``test`` or ``external``), classifier, mix, database (``all``, and each one
    where there are several; an external one alone has its name), measure and threshold (``Youden``, ``sensitivity
    95 %``; NaN where a score needs none): value, low, high (95 % interval; NaN where resamples cannot tell), n
    (images), n_patients, runs, sd (over runs; NaN for one).  Against the mix ``real``:
    difference, difference_low, difference_high, p; se (the difference's standard error), chance (``patients``,
    ``folds`` or ``seeds``: see `mammosynth.arrays.comparisons.Estimate`), luck (standard deviation of a run's
    difference by training alone).  On all databases of a part together: p_holm and equivalence_p (of differing by
    *equivalence_margin* or more), both adjusted for the number of mixes that a classifier was trained on, and
    smallest_difference, which such a study shows 4 times of 5 if it is there (NaN where a run says nothing of
    trainings).

    Raises InputError if two mixes of a run were not predicted on the same images, or one not on its validation part.
    """
    tested = decided(predictions)
    tested = tested.sort_values("modality", kind="stable", key=lambda of: pd.factorize(of)[0])
    rows = []
    for (modality, share, part, classifier), own in tested.groupby(
        ["modality", "share", "part", "classifier"], sort=False
    ):
        names = sorted(own["database"].unique())
        together = ["all"] if part == "test" or len(names) > 1 else []
        for database in together + (names if part == EXTERNAL or len(names) > 1 else []):
            chosen = own if database == "all" else own[own["database"] == database]
            scored = _score_images(str(modality), database, chosen, part == EXTERNAL, resamples, seed)
            rows += [row | {"share": share, "part": part, "classifier": classifier} for row in scored]
    return _adjust(pd.DataFrame(rows), equivalence_margin)


def pooled(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of all databases of a part together: those of ``all``, or of the only external one."""
    together = scores["database"] == "all"
    return scores[together | ~together.groupby([scores["modality"], scores["part"]]).transform("any")]


def _score_images(
    modality: str, database: str, images: pd.DataFrame, same_images: bool, resamples: int, seed: int
) -> list[dict]:
    """Rows of one modality, classifier and database; *same_images*: whether all folds are tested on the same."""
    # By mix, measure and threshold, for each set of test images its runs, as value and resampled values.
    found: dict[tuple[str, str, str | None], list[list[tuple[float, np.ndarray]]]] = {}
    predicted: dict[str, list[np.ndarray]] = {}  # by mix, of each run
    once_drawn = [((), images)] if same_images else [((fold,), own) for fold, own in images.groupby("fold", sort=False)]
    for fold, of_fold in once_drawn:
        lesions = np.sort(of_fold["lesion_id"].unique())
        patients = of_fold.drop_duplicates("lesion_id").set_index("lesion_id")["patient_id"].loc[lesions]
        rng = np.random.default_rng([seed, *map(int, fold), zlib.crc32(f"{modality} {database}".encode())])
        weights = draw_patients(patients.to_numpy(dtype=str), resamples, rng)
        once = np.ones((1, len(lesions)))
        for mix, of_mix in of_fold.groupby("mix", sort=False):
            runs: dict[tuple[str, str | None], list[tuple[float, np.ndarray]]] = {taken: [] for taken in TAKEN}
            for (number, run), rows in of_mix.groupby(["fold", "seed"]):
                ordered = rows.sort_values("lesion_id")
                if not np.array_equal(ordered["lesion_id"].to_numpy(), lesions):
                    raise InputError(
                        f"predictions of {modality}, fold {number}: mix {mix}, seed {run} has other test images than "
                        "its fellows; delete the predictions and run again"
                    )
                labels = (ordered["pathology"] == "malignant").to_numpy(int)
                predicted.setdefault(str(mix), []).append(ordered["probability"].to_numpy())
                for measure, threshold in TAKEN:
                    probability = ordered[CALIBRATED if measure in OF_PROBABILITIES else "probability"].to_numpy()
                    inputs = labels, probability, (ordered["probability"] >= ordered[threshold or YOUDEN]).to_numpy()
                    value, draws = (SCORES[measure](*inputs, counts) for counts in (once, weights))
                    runs[measure, threshold].append((float(value[0]), draws))
            for (measure, threshold), own in runs.items():
                found.setdefault((str(mix), measure, threshold), []).append(own)
    unique = images.drop_duplicates("lesion_id")
    rows = []
    for (mix, measure, threshold), of_mix in found.items():
        values, resampled = _runs(of_mix)
        counted = unique[unique["pathology"] == CLASS_OF[measure]] if measure in CLASS_OF else unique
        row: dict[str, Any] = {"modality": modality, "mix": mix, "database": database}
        row |= {
            "measure": measure,
            "threshold": threshold,
            "value": float(_mean(values)),
            "n": len(counted),
            "n_patients": counted["patient_id"].nunique(),
        }
        row |= dict(zip(("low", "high"), _interval(values, resampled, *BOUNDS.get(measure, (0, 1)))))
        row |= {"runs": values.size, "sd": np.std(values, ddof=1) if values.size > 1 else np.nan}
        if measure in COMPARED and mix != REFERENCE and (REFERENCE, measure, threshold) in found:
            same = all(map(_alike, predicted[mix], predicted[REFERENCE]))
            row |= _compare(values, resampled, *_runs(found[REFERENCE, measure, threshold]), same)
        rows.append(row)
    return rows


def _alike(probability: np.ndarray, of_real: np.ndarray) -> bool:
    """Whether two networks predict the same but for rounding."""
    return bool(np.allclose(logit(probability), logit(of_real), rtol=0, atol=SAME * logit(of_real).std()))


def _runs(of_sets: list[list[tuple[float, np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    """Values [K, S] of the runs on each set of test images, and resampled [K, S, B]."""
    values, resampled = (np.array([[run[i] for run in runs] for runs in of_sets], float) for i in (0, 1))
    return values, resampled


def _interval(values: np.ndarray, resampled: np.ndarray, least: float, most: float) -> tuple[float, float]:
    """Of one run by the resamples' percentiles; of several by both chances, within the score's bounds."""
    if values.size == 1:
        return interval(resampled[0, 0])
    low, high = mean_over_runs(values, resampled).interval()
    return max(low, least), min(high, most)


def _compare(
    values: np.ndarray, resampled: np.ndarray, of_real: np.ndarray, of_real_resampled: np.ndarray, same: bool
) -> dict[str, Any]:
    """The difference of a mix against real images alone, and how certain it is; *same*: whether predictions are."""
    differences, draws = values - of_real, resampled - of_real_resampled
    if same:
        differences, draws = 0 * differences, 0 * draws
    estimate = replace(mean_over_runs(differences, draws), same=same)
    if values.size == 1:
        low, high, p = *interval(draws[0, 0]), bootstrap_p(draws[0, 0])
    else:
        low, high, p = *estimate.interval(), estimate.p()
    row = {"difference": float(_mean(differences)), "difference_low": low, "difference_high": high, "p": p}
    return row | {"se": estimate.se, "chance": estimate.basis, "luck": estimate.luck, "estimate": estimate}


def _mean(runs: np.ndarray) -> float:
    """Mean over runs, leaving out those in which a score is undefined; NaN where it is in all."""
    return float(np.nanmean(runs)) if np.isfinite(runs).any() else np.nan


def _adjust(scores: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Add what depends on how many mixes are compared (Holm): of a modality, share, part, classifier and measure."""
    scores = scores.reindex(columns=[*COLUMNS, "estimate"])
    compared = pooled(scores).dropna(subset="p")
    for _, family in compared.groupby(["modality", "share", "part", "classifier", "measure"]):
        scores.loc[family.index, "p_holm"] = holm(family["p"].to_numpy(float))
        estimates: list[Estimate] = family["estimate"].tolist()
        if all(estimate.of_method for estimate in estimates):
            equivalent = np.array([estimate.equivalence_p(margin) for estimate in estimates])
            scores.loc[family.index, "margin"] = margin
            scores.loc[family.index, "equivalence_p"] = holm(equivalent)
            level = LEVEL / len(estimates)
            smallest = [estimate.smallest_difference(level) for estimate in estimates]
            scores.loc[family.index, "smallest_difference"] = smallest
    return scores[list(COLUMNS)]
