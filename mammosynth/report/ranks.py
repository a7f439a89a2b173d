"""The order of the generators by each measure, as a figure."""

import textwrap
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammosynth.findings.names import name_of
from mammosynth.findings.ranks import FEWEST, LEFT_OUT, own_orders
from mammosynth.quality.measures import measure_of
from mammosynth.report import figures


def plot_ranks(modality: str, ranks: pd.DataFrame, correlations: pd.DataFrame) -> Figure:
    """Ranks, measures by generators, beside the rank correlations of these measures with each other.

    ranks, correlations: of all modalities, as :func:`rank_generators` and :func:`rank_correlations` return them.
    """
    of_modality = ranks[ranks["modality"] == modality]
    measures = list(of_modality.dropna(subset="rank")["measure"].unique())
    generators = list(of_modality["generator"].unique())
    orders = of_modality.pivot(index="measure", columns="generator", values="rank").loc[measures, generators]
    note = textwrap.fill(_not_ranked(of_modality), 135 if len(generators) >= FEWEST else 75)
    of_pairs = correlations[correlations["modality"] == modality]
    compared = own_orders(measures)
    widths = [len(generators), len(compared)] if len(of_pairs) else [1]
    figure, axes = figures.plt.subplots(
        1, len(widths), squeeze=False, width_ratios=widths,
        figsize=(figures.WIDTH * (1.1 if len(of_pairs) else 0.6), 0.23 * len(measures) + 1.6 + 0.12 * note.count("\n")),
    )  # fmt: skip
    left = axes[0, 0]
    _draw_cells(left, orders.to_numpy(float), "YlGnBu_r", (1, max(len(generators), 2)), "{:g}".format)
    names = [f"{name} {measure_of(name).arrow}".strip() for name in measures]
    left.set_yticks(range(len(names)), [f"{name}  {k:2d}" for k, name in enumerate(names, 1)])
    left.set_xticks(range(len(generators)), map(name_of, generators), rotation=40, ha="right", rotation_mode="anchor")
    left.set_title("Rank (1: best)")
    for right in axes[0, 1:]:
        _draw_cells(right, _square(of_pairs, compared), "PuOr", (-1, 1), _tenths)
        for axis in (right.xaxis, right.yaxis):
            axis.set_ticks(range(len(compared)), [measures.index(measure) + 1 for measure in compared])
        right.set_title("Rank correlation ρ (orange: measures disagree)")
    figure.suptitle(f"Order of the generators by measure: {modality}, both classes pooled")
    figure.supxlabel(note, fontsize=6.5, color="#5b6775")
    return figure


def _not_ranked(ranks: pd.DataFrame) -> str:
    """The measures that rank nobody, by reason; nothing if all do."""
    out = ranks[ranks["rank"].isna()].drop_duplicates("measure").groupby("criterion", sort=False)["measure"]
    reasons = [f"{', '.join(names)} ({reason.removeprefix(LEFT_OUT)})" for reason, names in out]
    return f"Not ranked by: {'; '.join(reasons)}" if reasons else ""


def _square(correlations: pd.DataFrame, measures: list[str]) -> np.ndarray:
    """The correlations as a symmetric matrix; NaN where there is none, and on the diagonal."""
    position = {name: i for i, name in enumerate(measures)}
    matrix = np.full((len(measures), len(measures)), np.nan)
    for row in correlations.itertuples():
        i, j = position[row.measure], position[row.other]
        matrix[i, j] = matrix[j, i] = row.rho
    return matrix


def _tenths(rho: float) -> str:
    """``.4``, ``−.4``, ``1``: short enough for a small cell."""
    return f"{rho:.1f}".replace("-0.0", "0").replace("0.0", "0").replace("0.", ".").replace("-", "−").removesuffix(".0")


def _draw_cells(
    axis: Axes, values: np.ndarray, colours: str, limits: tuple[float, float], show: Callable[[float], str]
) -> None:
    """Coloured cells with their values in them; grey where there is none."""
    colour_map = figures.plt.get_cmap(colours)
    image = axis.imshow(np.ma.masked_invalid(values), cmap=colour_map, vmin=limits[0], vmax=limits[1], aspect="auto")
    axis.set_facecolor("#eeeeee")
    axis.grid(visible=False)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            dark = np.dot(image.cmap(image.norm(value))[:3], [0.299, 0.587, 0.114]) < 0.5  # luma, ITU-R BT.601
            ink = "white" if dark else "#222222"
            axis.text(column, row, show(value), ha="center", va="center", fontsize=6, color=ink)
