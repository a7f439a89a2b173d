"""Which generator is first by each measure, and which measures disagree on it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

from mammosynth.findings.names import name_of
from mammosynth.findings.tables import NONE, number, p_value, summarise_quality
from mammosynth.quality.measures import BASELINES, Measure, find, measure_of

RANKS = ["modality", "measure", "criterion", "generator", "value", "rank"]
CORRELATIONS = ["modality", "measure", "other", "rho", "p", "generators"]
CRITERIA = {"lower": "lowest", "higher": "highest"}  # by `Measure.better`
LEFT_OUT = "left out: "
FEWEST = 3  # generators, below which two orders are alike or opposite and no more can be said
PERMUTATIONS = 10_000  # all of them for up to 7 generators, as many random ones for more


def rank_generators(quality: pd.DataFrame, seen: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Rank the generators of each modality by each measure of both classes pooled.

    quality: tidy rows of all folds and seeds; seen: the feature network that a generator was trained against. Rank 1 is
    the best by the measure's direction or, where it has none, the one nearest to the value of its reference, the
    real set or other real ROIs (see `Measure`); ties share the mean of their ranks.

    Returns a row a modality, measure and generator: criterion (lowest, highest, nearest to …), value (mean over runs)
    and rank. A measure that can put nobody in order fairly has no rank for any generator, and its criterion says why: a
    generator was trained on its features, it is not of every generator, or neither way is better.
    """
    summary, seen = summarise_quality(quality[quality["pathology"] == "all"]), seen or {}
    frames = []
    for modality, of_modality in summary.groupby("modality", sort=False):
        generators = [g for g in of_modality["generator"].unique() if g not in BASELINES]
        values = of_modality.pivot(index="generator", columns="measure", values="value")
        values = values.reindex([*generators, *BASELINES])
        for measure in of_modality[of_modality["generator"].isin(generators)]["measure"].unique():
            known, network = find(measure)
            ours, reference = values.loc[generators, measure], values.loc[known.reference, measure]
            taught = [generator for generator in generators if network is not None and seen.get(generator) == network]
            criterion = _criterion(known, ours, reference, taught)
            ranks = np.nan if criterion.startswith(LEFT_OUT) else _cost(known, ours, reference).rank().to_numpy()
            frames.append(
                pd.DataFrame(
                    {"modality": modality, "measure": measure, "criterion": criterion, "generator": generators}
                ).assign(value=ours.to_numpy(), rank=ranks)
            )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=RANKS)


def _criterion(measure: Measure, values: pd.Series, reference: float, taught: Sequence[str]) -> str:
    if taught:
        return f"{LEFT_OUT}{', '.join(map(name_of, taught))} trained on its features"
    if values.isna().any():
        return f"{LEFT_OUT}no value for {values.isna().sum()} of {len(values)} generators"
    if not measure.better or (measure.better == "nearest" and pd.isna(reference)):
        return f"{LEFT_OUT}neither way is better"
    return CRITERIA.get(measure.better, f"nearest to {BASELINES[measure.reference]}")


def _cost(measure: Measure, values: pd.Series, reference: float) -> pd.Series:
    """What is lowest for the best."""
    return {"lower": values, "higher": -values, "nearest": (values - reference).abs()}[measure.better]


def rank_correlations(ranks: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of each pair of measures over the generators of a modality.

    ranks: what :func:`rank_generators` returns. A Fréchet distance and floor over it put generators in one order by
    construction, which is no agreement: the distance is left out where the ratio is ranked.

    Returns a row a modality and pair of measures with ranks: rho (NaN where a measure has all generators tied), p
    (two-sided, of all permutations of the generators, not adjusted for the number of pairs) and the number of
    generators. No rows for fewer than ``FEWEST`` generators.
    """
    rows = []
    for modality, of_modality in ranks.dropna(subset="rank").groupby("modality", sort=False):
        orders = of_modality.pivot(index="generator", columns="measure", values="rank")
        if len(orders) < FEWEST:
            continue
        for measure, other in combinations(own_orders(of_modality["measure"].unique()), 2):
            rho, p = _spearman(orders[measure].to_numpy(), orders[other].to_numpy())
            rows.append((modality, measure, other, rho, p, len(orders)))
    return pd.DataFrame(rows, columns=CORRELATIONS)


def own_orders(measures: Sequence[str]) -> list[str]:
    """Those of *measures* that are no other one turned over."""
    return [measure for measure in measures if f"floor/{measure}" not in measures]


def _spearman(ranks: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Spearman's rho of ranks (Pearson's correlation of them, which holds with ties), and its p by permutation."""
    from scipy.stats import permutation_test

    x, y = ranks - ranks.mean(), others - others.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    if scale == 0:
        return np.nan, np.nan
    draws = min(factorial(len(x)), PERMUTATIONS)
    result = permutation_test(
        (x,), lambda a, axis: (a * y).sum(axis) / scale, permutation_type="pairings", vectorized=True,
        n_resamples=draws, rng=0,
    )  # fmt: skip
    return float(result.statistic), float(result.pvalue)


def table_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Modality, measure and what is best by it, and the rank by generator: for people to read.

    Measures that rank nobody stay, with a dash for each generator and the reason.
    """
    shown = ranks.assign(
        measure=[f"{name} {measure_of(name).arrow}".strip() for name in ranks["measure"]],
        shown=[NONE if pd.isna(rank) else f"{rank:g}" for rank in ranks["rank"]],
    ).rename(columns={"criterion": "best"})
    keys = ["modality", "measure", "best"]
    table = shown.pivot(index=keys, columns="generator", values="shown")
    order = pd.MultiIndex.from_frame(shown[keys].drop_duplicates())
    table = table.reindex(index=order, columns=ranks["generator"].unique()).fillna(NONE)
    return table.rename(columns=name_of).rename_axis(columns=None).reset_index()


def agreement(correlations: pd.DataFrame) -> list[str]:
    """How far the measures of one modality agree on the order of generators, and how little that is worth.

    correlations: rows of :func:`rank_correlations` of that modality.
    """
    valid = correlations.dropna(subset="rho")
    if valid.empty:
        return [f"Fewer than {FEWEST} generators can be ranked: whether measures agree on their order cannot be told."]
    n, opposed = valid["generators"].iloc[0], valid[valid["rho"] < 0]
    how_many = f"{len(opposed)} of {len(valid)} pairs of measures put the {n} generators rather in opposite orders "
    how_many += "(Spearman's ρ below 0)" + (": which is best depends on the measure." if len(opposed) else ".")
    caution = f"ρ of {n} generators is hardly certain: "
    if (least := 2 / factorial(n)) > 0.05:
        return [how_many, caution + f"even for two equal orders p is {p_value(least)}, so that chance may be all."]
    clear = valid[valid["p"] < 0.05]
    caution += (
        f"p is below 0.05 (by permutation, not adjusted for the number of pairs) for {len(clear)} of these pairs, "
        f"{(clear['rho'] < 0).sum()} of them with ρ below 0, and would be for about {number(0.05 * len(valid), 2)} "
        "if measures had nothing in common."
    )
    return [how_many, caution]


def disagreements(correlations: pd.DataFrame) -> list[str]:
    """The pairs of measures of one modality that order generators rather oppositely, the most opposed first."""
    opposed = correlations[correlations["rho"] < 0].sort_values("rho", kind="stable")
    return [
        f"{row.measure} and {row.other}: ρ {_hundredths(row.rho)}, p {p_value(row.p)} (n = {row.generators} generators)"
        for row in opposed.itertuples()
    ]


def _hundredths(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}".replace("-", "−")
