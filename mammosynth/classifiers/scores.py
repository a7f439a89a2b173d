"""Scores of every mix with confidence intervals, and its difference against training on real images alone.

Within a run (a fold and a seed) a score is computed on that fold's test part, then averaged over runs.  The intervals
resample the patients of each fold's test part, the same ones for every classifier, mix and seed, so that differences
are paired.  A mix is compared with real images of the same classifier.
They cover the noise of the test sample; the noise of training shows as the standard deviation over runs, where there is
more than one.

External test databases are scored by themselves.  They are the same for all runs, so their patients are resampled once
for all folds and seeds.
"""

import zlib
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.arrays.statistics import SCORES, bootstrap_p, draw_patients, interval
from mammosynth.errors import InputError
from mammosynth.partition import EXTERNAL

COMPARED = ("AUROC", "balanced accuracy")
REFERENCE = "real"
# The images that a score looks at; all of them where nothing stands here.
CLASS_OF = {"benign accuracy": "benign", "malignant accuracy": "malignant"}


def score(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Tidy scores of the predictions of all modalities and splits.

    predictions: those of every classifier, mix and seed, with columns ``fold`` and ``share`` added.  Only rows of the
    test part, and of the external one, count; mixes are compared with ``real`` of the same classifier and share of the
    training patients.

    Returns one row a modality, share, part (``test`` or ``external``), classifier, mix, database (``all``, and each one
    where there are several; an external one alone has its name) and measure: value, low, high (95 % interval; NaN where
    resamples cannot tell), n (images), n_patients, runs, sd (over runs; NaN for one), difference, difference_low,
    difference_high (against the mix ``real``), p and p_holm (adjusted for the number of mixes that a classifier was
    trained on; on all databases of a part together only).

    Raises InputError if two mixes of a run were not predicted on the same images.
    """
    tested = predictions[predictions["part"].isin(["test", EXTERNAL])]
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
    return _adjust(pd.DataFrame(rows))


def pooled(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of all databases of a part together: those of ``all``, or of the only external one."""
    together = scores["database"] == "all"
    return scores[together | ~together.groupby([scores["modality"], scores["part"]]).transform("any")]


def _score_images(
    modality: str, database: str, images: pd.DataFrame, same_images: bool, resamples: int, seed: int
) -> list[dict]:
    """Rows of one modality, classifier and database; *same_images*: whether all folds are tested on the same."""
    values: dict[tuple[str, str], list[float]] = {}
    resampled: dict[tuple[str, str], list[np.ndarray]] = {}
    once_drawn = [((), images)] if same_images else [((fold,), own) for fold, own in images.groupby("fold", sort=False)]
    for fold, of_fold in once_drawn:
        lesions = np.sort(of_fold["lesion_id"].unique())
        patients = of_fold.drop_duplicates("lesion_id").set_index("lesion_id")["patient_id"].loc[lesions]
        rng = np.random.default_rng([seed, *map(int, fold), zlib.crc32(f"{modality} {database}".encode())])
        weights = draw_patients(patients.to_numpy(dtype=str), resamples, rng)
        once = np.ones((1, len(lesions)))
        for (mix, number, run), rows in of_fold.groupby(["mix", "fold", "seed"], sort=False):
            ordered = rows.sort_values("lesion_id")
            if not np.array_equal(ordered["lesion_id"].to_numpy(), lesions):
                raise InputError(
                    f"predictions of {modality}, fold {number}: mix {mix}, seed {run} has other test images than its "
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

    A family is a modality, share, part, classifier and measure.
    """
    from statsmodels.stats.multitest import multipletests

    columns = ["modality", "share", "part", "classifier", "mix", "database", "measure", "value", "low", "high", "n"]
    columns += ["n_patients", "runs", "sd", "difference", "difference_low", "difference_high", "p", "p_holm"]
    scores = scores.reindex(columns=columns)
    compared = pooled(scores).dropna(subset="p")
    for _, family in compared.groupby(["modality", "share", "part", "classifier", "measure"]):
        scores.loc[family.index, "p_holm"] = multipletests(family["p"], method="holm")[1]
    return scores
