"""Figures of the classifiers' scores: what mixes are worth beside real ROIs alone."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammosynth.classifiers.mixes import parse_mix
from mammosynth.findings.names import REAL_COLOUR, colours_of, name_of, name_of_mix
from mammosynth.findings.tables import decimals, p_value
from mammosynth.report.figures import WIDTH, plt


def plot_differences(modality: str, classifier: str, scores: pd.DataFrame) -> Figure:
    """Forest plot: each mix's AUROC minus that of training on real images alone, with its 95 % interval.

    scores: of one modality and classifier.
    """
    scores = scores[(scores["part"] == "test") & (scores["database"] == "all")]
    chosen = scores[(scores["measure"] == "AUROC") & scores["difference"].notna()]
    gans = list(dict.fromkeys(gan for mix in chosen["mix"] for gan in parse_mix(mix).gans))
    colours = colours_of(gans)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.29 * len(chosen) + 1.5))
    axis.axvline(0, color=REAL_COLOUR, linewidth=1)
    for y, row in enumerate(chosen.itertuples()):
        gan = next(iter(parse_mix(row.mix).gans), None)
        colour = colours[gan] if gan else "#777777"
        if not np.isnan(row.difference_low):
            axis.plot([row.difference_low, row.difference_high], [y, y], color=colour, linewidth=2)
        axis.plot(row.difference, y, "s" if parse_mix(row.mix).holds_real else "o", color=colour, markersize=5.5)
        shown = [decimals(v, plus=True) for v in (row.difference, row.difference_low, row.difference_high)]
        interval = f" [{shown[1]}, {shown[2]}]" if shown[1] != "–" else " (no interval)"
        axis.text(
            1.02, y, f"{shown[0]}{interval}   p {p_value(row.p_holm)}", transform=axis.get_yaxis_transform(),
            va="center", fontsize=7.5, family="DejaVu Sans Mono",
        )  # fmt: skip
    axis.set_yticks(range(len(chosen)), [name_of_mix(mix) for mix in chosen["mix"]])
    axis.set_ylim(len(chosen) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    reach = np.nanmax(np.abs(chosen[["difference", "difference_low", "difference_high"]].to_numpy()), initial=0.05)
    axis.set_xlim(-1.08 * reach, 1.08 * reach)
    axis.set_xlabel("AUROC minus AUROC of real alone  (left: worse than real, right: better)")
    axis.text(1.02, -0.85, "difference [95 % CI]   p (Holm)", transform=axis.get_yaxis_transform(), fontsize=7.5)
    trained = "networks of one run" if (chosen["runs"] == 1).all() else "means over runs"
    figure.suptitle(f"{modality.capitalize()}, {name_of(classifier)}\neach mix against real ROIs alone, {trained}")
    return figure
