"""Figures of the classifiers' scores: what mixes are worth beside real ROIs alone."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mammosynth.classifiers.mixes import added_dose, gans_with_doses, parse_mix
from mammosynth.classifiers.scores import pooled
from mammosynth.findings.conclusions import added, verdict
from mammosynth.findings.names import REAL_COLOUR, colours_of, name_of, name_of_mix
from mammosynth.findings.tables import decimals, p_value
from mammosynth.findings.utility import FEWEST_POINTS, gains, rank_correlation
from mammosynth.partition import EXTERNAL
from mammosynth.quality.measures import measure_of
from mammosynth.report.figures import (
    CONTROL_COLOUR,
    WIDTH,
    line_of,
    mix_groups,
    panel_colours,
    panels,
    panels_of_mixes,
    plt,
)

MARKS = {"better": "^", "worse": "v", "no different": "s", "cannot tell": "o"}  # by verdict
YARDSTICK = "real@2"  # as many images as a hybrid mix, and no new information
BAND = "#e9eef4"  # differences that would not matter
GAP = 0.5  # rows between the mixes of two GANs


def compared(scores: pd.DataFrame, part: str = "test") -> pd.DataFrame:
    """AUROC of each mix that is compared with real ROIs alone, on all databases of a part, with its verdict.

    scores: of one modality, classifier and share.  patients_low and patients_high: the interval without the chance of
    training, whose variance is that of a run by training alone (``luck``) over the number of runs; the whole interval
    where nothing is known of it.
    """
    rows = pooled(scores[(scores["part"] == part) & (scores["measure"] == "AUROC")]).dropna(subset="difference")
    training = rows["luck"].fillna(0) ** 2 / rows["runs"]
    reach = np.sqrt((1 - training / rows["se"] ** 2).clip(0, 1))
    ends = {
        f"patients_{end}": rows["difference"] + reach * (rows[f"difference_{end}"] - rows["difference"])
        for end in ("low", "high")
    }
    return rows.assign(**ends, verdict=[verdict(row) for _, row in rows.iterrows()]).set_index("mix")


def _grouped(mixes: list[str]) -> dict[str, list[str]]:
    """Mixes by their first GAN, those without one first, and of these the yardstick."""
    groups: dict[str, list[str]] = {"controls": sorted((m for m in mixes if not parse_mix(m).gans), key=_is_other)}
    for mix in mixes:
        for gan in parse_mix(mix).gans[:1]:
            groups.setdefault(gan, []).append(mix)
    return {name: group for name, group in groups.items() if group}


def _is_other(mix: str) -> bool:
    return mix != YARDSTICK


def plot_differences(modality: str, classifier: str, scores: pd.DataFrame) -> Figure:
    """Forest plot: each mix's AUROC minus that of training on real images alone, with its 95 % interval.

    scores: of one modality and classifier.  Thin: the interval of both chances; thick: what it would be if all
    trainings went alike.  Mixes of one GAN stand together, below those of none.  A second panel where there are
    external databases.
    """
    of_parts = {part: compared(scores, part) for part in ("test", EXTERNAL)}
    shown = {part: rows for part, rows in of_parts.items() if len(rows) or part == "test"}
    groups = _grouped(list(shown["test"].index))
    colours = colours_of(list(groups)) | {"controls": CONTROL_COLOUR}
    places = [(group, mix, GAP * k) for k, (group, mixes) in enumerate(groups.items()) for mix in mixes]
    heights = [number + gap for number, (_, _, gap) in enumerate(places)]
    bottom = max(heights, default=0)
    figure, axes = plt.subplots(
        1, len(shown), figsize=(WIDTH * (1.25 if len(shown) > 1 else 1), 0.23 * bottom + 1.9), sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, (part, rows) in zip(axes[0], shown.items()):
        _mark_margin(axis.axvspan, rows)
        axis.axvline(0, color=REAL_COLOUR, linewidth=1)
        if YARDSTICK in rows.index:
            axis.axvline(rows.loc[YARDSTICK, "difference"], color=CONTROL_COLOUR, linewidth=1, linestyle=":")
        for (group, mix, _), y in zip(places, heights):
            _draw_row(axis, y, rows.loc[mix], colours[group])
        axis.set_xlabel("AUROC minus AUROC of real alone")
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.06)
        above = "difference [95 % CI]  p (Holm)"
        axis.text(1.02, 1, above, transform=axis.transAxes, fontsize=6.5, va="top")
        if len(shown) > 1:
            axis.set_title(_part_of(part, rows))
    axes[0, 0].set_yticks(heights, [name_of_mix(mix) for _, mix, _ in places])
    axes[0, 0].set_ylim(bottom + 0.6, -1.1)
    figure.legend(handles=_legend(of_parts["test"]), loc="outside lower center", ncols=4)
    title = f"{modality.capitalize()}, {name_of(classifier)}"
    figure.suptitle(f"{title}\neach mix against real ROIs alone, {_runs(scores)}")
    return figure


def plot_summary_forest(classifier: str, scores: pd.DataFrame) -> Figure:
    """Forest plot of the first screen: mixes with synthetic ROIs beside the real ones, a panel a modality.

    scores: of one classifier, of all modalities.  All mixes where none has synthetic ROIs beside real ones.  Without
    numbers, so that it can be read on a phone.
    """
    found = {str(modality): compared(own) for modality, own in scores.groupby("modality", sort=False)}
    mixes = list(dict.fromkeys(mix for rows in found.values() for mix in rows.index))
    groups = _grouped([mix for mix in mixes if added(mix)] or mixes)
    colours = colours_of(list(groups)) | {"controls": CONTROL_COLOUR}
    places = [(group, mix, GAP * k) for k, (group, own) in enumerate(groups.items()) for mix in own]
    heights = [number + gap for number, (_, _, gap) in enumerate(places)]
    bottom = max(heights, default=0)
    figure, axes = plt.subplots(
        1, len(found), figsize=(4.6, 0.17 * bottom + 1.7), sharey=True, sharex=True, squeeze=False
    )  # fmt: skip
    for axis, (modality, rows) in zip(axes.flat, found.items()):
        _mark_margin(axis.axvspan, rows)
        axis.axvline(0, color=REAL_COLOUR, linewidth=1)
        if YARDSTICK in rows.index:
            axis.axvline(rows.loc[YARDSTICK, "difference"], color=CONTROL_COLOUR, linewidth=1, linestyle=":")
        for (group, mix, _), y in zip(places, heights):
            if mix in rows.index:
                _draw_difference(axis, y, rows.loc[mix], colours[group])
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.06)
        axis.locator_params(axis="x", nbins=4)
        patients = scores.loc[(scores["modality"] == modality) & (scores["part"] == "test"), "n_patients"].max()
        axis.set_title(f"{modality.capitalize()}\n{patients} test patients")
        axis.set_xlabel("← harm     help →")
    axes[0, 0].set_yticks(heights, [name_of_mix(mix) for _, mix, _ in places])
    axes[0, 0].set_ylim(bottom + 0.6, -0.7)
    drawn = pd.concat(found.values())
    drawn["verdict"] = drawn["verdict"].where(drawn.index.isin([mix for _, mix, _ in places]))
    figure.legend(handles=_legend(drawn), loc="outside lower center", ncols=2)
    figure.suptitle(f"AUROC minus that of real ROIs alone\n{name_of(classifier)}, {_runs(scores)}", fontsize=9)
    return figure


def _draw_row(axis: Axes, y: float, row: pd.Series, colour: str) -> None:
    """A difference, and its numbers beside it."""
    _draw_difference(axis, y, row, colour)
    shown = [decimals(row[column], plus=True) for column in ("difference", "difference_low", "difference_high")]
    interval = f"[{shown[1]}, {shown[2]}]" if shown[1] != "–" else "(no interval)"
    axis.text(
        1.02, y, f"{shown[0]} {interval:<16} {p_value(row['p_holm'])}", transform=axis.get_yaxis_transform(),
        va="center", fontsize=6.5, family="DejaVu Sans Mono",
    )  # fmt: skip


def _draw_difference(axis: Axes, y: float, row: pd.Series, colour: str) -> None:
    """The interval of a difference, its part by patients, and the mark of its verdict."""
    axis.plot([row["difference_low"], row["difference_high"]], [y, y], color=colour, linewidth=1)
    axis.plot(
        [row["patients_low"], row["patients_high"]], [y, y], color=colour, linewidth=4, alpha=0.45,
        solid_capstyle="butt",
    )  # fmt: skip
    axis.plot(
        row["difference"], y, MARKS[row["verdict"]], color=colour, markersize=5.5, markeredgecolor="white", mew=0.5
    )


def _part_of(part: str, rows: pd.DataFrame) -> str:
    databases = [name for name in rows["database"].unique() if name != "all"]
    name = "Test part" if part == "test" else f"External: {', '.join(databases) or 'all databases'}"
    n = f" ({rows['n_patients'].max()} patients)" if len(rows) else ""
    return f"{name}{n}"


def _mark_margin(span, rows: pd.DataFrame) -> None:
    """The differences that would not matter, where the study can show that one is among them."""
    if rows["margin"].notna().any():
        margin = rows["margin"].max()
        span(-margin, margin, color=BAND, linewidth=0, zorder=0)


def _runs(scores: pd.DataFrame) -> str:
    runs = scores["runs"].max()
    return "networks of one run" if runs == 1 else f"means over {runs} runs"


def _legend(rows: pd.DataFrame, colour: str = "#444444") -> list:
    """Of marks that are drawn, and of what lies behind them."""
    handles: list = [
        plt.Line2D([], [], marker=mark, color=colour, linestyle="", label=name)
        for name, mark in MARKS.items()
        if name in set(rows["verdict"])
    ]
    handles.append(plt.Line2D([], [], color=colour, linewidth=4, alpha=0.45, label="95 % interval by patients"))
    if (rows["runs"] > 1).any():
        handles.append(plt.Line2D([], [], color=colour, linewidth=1, label="… and by trainings"))
    if rows["margin"].notna().any():
        handles.append(plt.Rectangle((0, 0), 1, 1, color=BAND, label="would not matter"))
    if YARDSTICK in rows.index:
        handles.append(plt.Line2D([], [], color=CONTROL_COLOUR, linestyle=":", label=name_of_mix(YARDSTICK)))
    return handles


def plot_doses(modality: str, classifier: str, scores: pd.DataFrame) -> Figure:
    """Difference in AUROC to real ROIs alone by the dose of each GAN that has two or more beside the real ROIs.

    scores: of one modality and classifier.  Doses that balance classes have no place on the axis and are left out.
    """
    rows = compared(scores)
    gans = gans_with_doses(map(parse_mix, scores["mix"].unique()))
    added = [added_dose(parse_mix(mix)) or ("", np.nan) for mix in rows.index]
    colours = colours_of(gans)
    figure, axes = panels(len(gans), 3, 1.9)
    reach = np.nanmax(np.abs(rows[["difference", "difference_low", "difference_high"]].to_numpy()), initial=0.05)
    for axis, gan in zip(axes, gans):
        own = rows[np.array([of == gan for of, _ in added], bool)]
        own = own.assign(dose=[dose for of, dose in added if of == gan]).sort_values("dose")
        _mark_margin(axis.axhspan, own)
        axis.axhline(0, color=REAL_COLOUR, linewidth=1)
        if YARDSTICK in rows.index:
            axis.axhline(rows.loc[YARDSTICK, "difference"], color=CONTROL_COLOUR, linewidth=1, linestyle=":")
        axis.plot(own["dose"], own["difference"], color=colours[gan], linewidth=1.2)
        for row in own.itertuples():
            x, colour = [row.dose] * 2, colours[gan]
            axis.plot(x, [row.difference_low, row.difference_high], color=colour, linewidth=1)
            axis.plot(x, [row.patients_low, row.patients_high], color=colour, linewidth=4, alpha=0.45)
            mark = {"marker": MARKS[row.verdict], "markeredgecolor": "white", "mew": 0.5}
            axis.plot(row.dose, row.difference, color=colour, markersize=5.5, **mark)
        axis.set_xscale("log")
        axis.set_xticks(own["dose"], [f"{dose:g}" for dose in own["dose"]])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set(title=name_of(gan), xlabel="synthetic ROIs a real one", ylim=(-1.08 * reach, 1.08 * reach))
    for axis in axes[::3]:
        axis.set_ylabel("AUROC minus\nAUROC of real alone")
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=4)
    figure.suptitle(f"Dose of synthetic ROIs: {modality}, {name_of(classifier)}, {_runs(scores)}")
    return figure


def plot_shares(modality: str, classifier: str, scores: pd.DataFrame) -> Figure:
    """AUROC of the test part by the share of the training patients; a panel a GAN beside ``real``.

    scores: of one modality and classifier, of all shares.
    """
    rows = scores[(scores["part"] == "test") & (scores["measure"] == "AUROC")]
    rows = pooled(rows).sort_values("share", kind="stable")
    groups = mix_groups(rows["mix"].unique())
    colours, shares = panel_colours(groups), sorted(rows["share"].unique())
    figure, axes, name_lines = panels_of_mixes(groups, 1.9)
    for axis, (name, group) in zip(axes, groups.items()):
        for number, mix in enumerate(group):
            own, line = rows[rows["mix"] == mix], line_of(mix, group, colours[name])
            aside = own["share"] * 1.025 ** (number - (len(group) - 1) / 2)  # intervals stand beside each other
            axis.plot(aside, own["value"], label=name_of_mix(mix), marker=".", **line)
            axis.vlines(aside, own["low"], own["high"], color=line["color"], linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xticks(shares, [f"{share} %" for share in shares])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("training patients")
        axis.sharey(axes[0])
    name_lines()
    for axis in axes[::3]:
        axis.set_ylabel("AUROC, test part")
    n = f"{rows['n_patients'].max()} test patients; bars: 95 % CI"
    figure.suptitle(f"Few data: {modality}, {name_of(classifier)}\n{n}, {_runs(rows)}")
    return figure


def plot_gains(modality: str, classifier: str, scores: pd.DataFrame, quality: pd.DataFrame, network: str) -> Figure:
    """What each GAN and dose gains in AUROC beside the real ROIs against what measures say of its images.

    scores: of one modality and classifier; quality: of that modality; network: of the measures of features.
    """
    points = gains(compared(scores).reset_index(), quality, network)
    measures, gans = points["measure"].unique(), list(points["generator"].unique())
    colours, several = colours_of(gans), points["dose"].nunique() > 1
    figure, axes = panels(max(1, len(measures)), 2, 2.4)
    for axis, measure in zip(axes, measures):
        own = points[points["measure"] == measure]
        axis.axhline(0, color=REAL_COLOUR, linewidth=1)
        for row in own.itertuples():
            axis.plot(row.quality, row.gain, "o", color=colours[row.generator], markersize=5)
            dose = f"×{row.dose:g}" if several else ""
            axis.annotate(dose, (row.quality, row.gain), (4, 3), textcoords="offset points", fontsize=6)
        axis.set_title(f"{measure} {measure_of(measure).arrow}".strip() + f"\n{_correlation(own)}", fontsize=7.5)
        axis.margins(0.12)
    for axis in axes[::2]:
        axis.set_ylabel("AUROC minus\nAUROC of real alone")
    marks = [plt.Line2D([], [], marker="o", color=colours[g], linestyle="", label=name_of(g)) for g in gans]
    figure.legend(handles=marks, loc="outside lower center", ncols=6)
    figure.suptitle(f"Does quality tell what helps? {modality.capitalize()}, {name_of(classifier)}, {_runs(scores)}")
    return figure


def _correlation(points: pd.DataFrame) -> str:
    rho, low, high = (f"{value:.2f}".replace("-", "−") for value in rank_correlation(points["quality"], points["gain"]))
    n = f"n = {len(points)}, GANs: {points['generator'].nunique()}"
    if len(points) < FEWEST_POINTS:
        return f"{n}; too few for a correlation"
    return f"{n}; Spearman’s ρ {rho}" + (f" [{low}, {high}]" if low != "nan" else " (no interval)")
