"""Whether a measure of the GANs' images tells what classifiers gain from them."""

import numpy as np
import pandas as pd

from mammosynth.arrays.statistics import interval
from mammosynth.classifiers.mixes import added_dose, parse_mix
from mammosynth.findings.tables import summarise_quality
from mammosynth.quality.measures import find

FEWEST_POINTS = 5  # below which no correlation is computed


def gains(scores: pd.DataFrame, quality: pd.DataFrame, network: str) -> pd.DataFrame:
    """A row a measure and mix that is the real ROIs and those of one GAN: what it gains, and what the measure says.

    scores: of one modality, classifier and share, with the columns mix and difference, those of AUROC on all test
    databases; quality: tidy rows of that modality; network: whose features measures of features are taken on.

    Returns measure, mix, generator, dose, quality (both classes pooled, mean over runs) and gain (of AUROC beside real
    ROIs alone).  Measures are those that say so (`Measure.beside_gains`), in their order; points without a value are
    left out.
    """
    pooled = summarise_quality(quality[quality["pathology"] == "all"])
    columns = ["measure", "mix", "generator", "dose", "quality", "gain"]
    rows = []
    for measure in pooled["measure"].unique():
        known, own = find(measure)
        if not known.beside_gains or own not in (None, network):
            continue
        values = pooled[pooled["measure"] == measure].set_index("generator")["value"]
        for mix, gain in zip(scores["mix"], scores["difference"]):
            generator, dose = added_dose(parse_mix(mix)) or (None, None)
            if generator in values.index:
                rows.append((measure, mix, generator, dose, values[generator], gain))
    return pd.DataFrame(rows, columns=columns).dropna()


def rank_correlation(x: np.ndarray, y: np.ndarray, resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Spearman's rank correlation of x [N] and y [N], with the 95 % percentile interval of resampled points.

    Resampled ranks are ranked anew.  Points are taken for independent.  NaN with fewer than ``FEWEST_POINTS`` points,
    or where one of the two does not vary.
    """
    if len(x) < FEWEST_POINTS:
        return (np.nan,) * 3
    drawn = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    rho = _spearman(np.vstack([np.arange(len(x)), drawn]), np.asarray(x, float), np.asarray(y, float))
    return float(rho[0]), *interval(rho[1:])


def _spearman(drawn: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation of ranks, which holds with ties [B], of points drawn [B, N]."""
    from scipy.stats import rankdata

    ranks = [rankdata(of[drawn], axis=1) for of in (x, y)]
    a, b = (of - of.mean(1, keepdims=True) for of in ranks)
    with np.errstate(invalid="ignore"):
        return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
