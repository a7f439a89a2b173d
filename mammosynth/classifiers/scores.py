"""Scores of every mix with confidence intervals, and its difference against training on real images alone.

Within a run (a fold and a seed) a score is computed on that fold's test part, then averaged over runs.  The intervals
resample the patients of each fold's test part, the same ones for every classifier, mix and seed, so that differences
are paired.  A mix is compared with real images of the same classifier.
They cover the noise of the test sample; the noise of training shows as the standard deviation over runs, where there is
more than one.
"""

import zlib
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.arrays.statistics import SCORES, bootstrap_p, draw_patients, interval
from mammosynth.errors import InputError

COMPARED = ("AUROC", "balanced accuracy")
REFERENCE = "real"
# The images that a score looks at; all of them where nothing stands here.
CLASS_OF = {"benign accuracy": "benign", "malignant accuracy": "malignant"}


def score(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Tidy scores of the predictions of all modalities and splits.

    predictions: those of every classifier, mix and seed, with columns ``fold`` and ``share`` added.  Only rows of the
    test part count; mixes are compared with ``real`` of the same classifier and share of the training patients.

    Returns one row a modality, share, classifier, mix, database (``all``, and each one where there are several) and
    measure: value, low, high (95 % interval; NaN where resamples cannot tell), n (images), n_patients, runs, sd (over
    runs; NaN for one), difference, difference_low, difference_high (against the mix ``real``), p and p_holm (adjusted
    for the number of mixes that a classifier was trained on; on ``all`` databases only).

    Raises InputError if two mixes of a run were not predicted on the same images.
    """
    test = predictions[predictions["part"] == "test"]
    rows = []
    for (modality, share, classifier), own in test.groupby(["modality", "share", "classifier"], sort=False):
        names = sorted(own["database"].unique())
        for database in ["all", *(names if len(names) > 1 else [])]:
            chosen = own if database == "all" else own[own["database"] == database]
            scored = _score_images(str(modality), database, chosen, resamples, seed)
            rows += [row | {"share": share, "classifier": classifier} for row in scored]
    return _adjust(pd.DataFrame(rows))


def _score_images(modality: str, database: str, images: pd.DataFrame, resamples: int, seed: int) -> list[dict]:
    """Rows of one modality, classifier and database."""
    values: dict[tuple[str, str], list[float]] = {}
    resampled: dict[tuple[str, str], list[np.ndarray]] = {}
    for fold, of_fold in images.groupby("fold", sort=False):
        lesions = np.sort(of_fold["lesion_id"].unique())
        patients = of_fold.drop_duplicates("lesion_id").set_index("lesion_id")["patient_id"].loc[lesions]
        rng = np.random.default_rng([seed, int(fold), zlib.crc32(f"{modality} {database}".encode())])
        weights = draw_patients(patients.to_numpy(dtype=str), resamples, rng)
        once = np.ones((1, len(lesions)))
        for (mix, run), rows in of_fold.groupby(["mix", "seed"], sort=False):
            ordered = rows.sort_values("lesion_id")
            if not np.array_equal(ordered["lesion_id"].to_numpy(), lesions):
                raise InputError(
                    f"predictions of {modality}, fold {fold}: mix {mix}, seed {run} has other test images than its "
                    "fellows; delete the predictions and run again"
                )
            probability = ordered["probability"].to_numpy()
            inputs = (
                (ordered["pathology"] == "malignant").to_numpy(int),
                probability,
                probability >= ordered["threshold"].to_numpy(),
            )
            for measure, function in SCORES.items():
                values.setdefault((mix, measure), []).append(float(function(*inputs, once)[0]))
                resampled.setdefault((mix, measure), []).append(function(*inputs, weights))
    unique = images.drop_duplicates("lesion_id")
    rows = []
    for (mix, measure), runs in values.items():
        draws = _mean(resampled[mix, measure])
        counted = unique[unique["pathology"] == CLASS_OF[measure]] if measure in CLASS_OF else unique
        row: dict[str, Any] = dict(zip(("low", "high"), interval(draws)))
        row |= {"modality": modality, "mix": mix, "database": database, "measure": measure}
        row |= {"value": float(_mean(runs)), "n": len(counted), "n_patients": counted["patient_id"].nunique()}
        row |= {"runs": len(runs), "sd": np.std(runs, ddof=1) if len(runs) > 1 else np.nan}
        if measure in COMPARED and mix != REFERENCE and (REFERENCE, measure) in values:
            difference = draws - _mean(resampled[REFERENCE, measure])
            low, high = interval(difference)
            row["difference"] = row["value"] - float(_mean(values[REFERENCE, measure]))
            row |= {"difference_low": low, "difference_high": high}
            row["p"] = bootstrap_p(difference)
        rows.append(row)
    return rows


def _mean(runs: list) -> np.ndarray:
    """Mean over runs, leaving out those in which a score is undefined; NaN where it is in all."""
    stacked = np.asarray(runs, float)
    defined = np.isfinite(stacked).sum(0)
    return np.where(defined > 0, np.nansum(stacked, 0) / np.maximum(defined, 1), np.nan)


def _adjust(scores: pd.DataFrame) -> pd.DataFrame:
    """Add Holm's p (Scand. J. Stat. 6:65, 1979) over the mixes of a family; columns in order.

    A family is a modality, share, classifier and measure.
    """
    from statsmodels.stats.multitest import multipletests

    columns = ["modality", "share", "classifier", "mix", "database", "measure", "value", "low", "high", "n"]
    columns += ["n_patients", "runs", "sd", "difference", "difference_low", "difference_high", "p", "p_holm"]
    scores = scores.reindex(columns=columns)
    compared = scores[(scores["database"] == "all") & scores["p"].notna()]
    for _, family in compared.groupby(["modality", "share", "classifier", "measure"]):
        scores.loc[family.index, "p_holm"] = multipletests(family["p"], method="holm")[1]
    return scores
