"""Figures of trainings: of GANs and of classifiers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mammosynth.findings.names import REAL_COLOUR, name_of, name_of_mix
from mammosynth.report.figures import WIDTH, line_of, mix_groups, panel_colours, plt
from mammosynth.splits import place_of, read_name

NETWORKS = {"d": "critic", "g": "generator"}  # by the start of a history's columns
CURVE_COLOURS = ("#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#777777")
CLASS_DASHES: dict[str, Any] = {"all": "-", "benign": "--", "malignant": ":"}
KEPT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "",
    "markersize": 5,
    "color": "#009E73",
    "markeredgecolor": "white",
    "zorder": 3,
}


def read_histories(files: Iterable[str | Path], column: str) -> pd.DataFrame:
    """Training histories below each other, told apart by *column* (``gan`` or ``mix``), ``fold`` and ``seed``.

    They are read from their places, see `mammosynth.splits.place_of`.
    """
    frames = []
    for file in files:
        place = place_of(file)
        run = {column: place["name"], "fold": read_name(place["split"]).fold, "seed": int(place["seed"])}
        frames.append(pd.read_csv(file).assign(**run))
    return pd.concat(frames, ignore_index=True)


def kept_steps(histories: pd.DataFrame) -> pd.DataFrame:
    """The row of each run and class whose images are nearest to the validation part: the step that is kept.

    histories: as for :func:`plot_gan_training`; a run that was never evaluated has no row here.
    """
    evaluated = histories.dropna(subset="kd") if "kd" in histories else histories[:0].assign(kd=0.0)
    return evaluated.loc[evaluated.groupby(["gan", "class", "fold", "seed"], sort=False)["kd"].idxmin()]


def plot_gan_training(modality: str, histories: pd.DataFrame, features: str) -> Figure:
    """Losses, gradient norms and kernel distance (KD) from the validation part over the steps, a row a GAN.

    histories: the GANs' histories with columns ``gan``, ``fold`` and ``seed`` added; ``kd`` is blank but at
    evaluations, and missing if there were none. features: the network that KD is of, by its title.

    Colours tell networks and losses apart, dashes the classes that networks are trained for.  Runs are overlaid.
    """
    gans, kept = list(histories["gan"].unique()), kept_steps(histories)
    losses = [column for column in histories.columns if column.endswith("_loss")]
    panels = {"losses": losses, "gradient norms": ["d_gradient", "g_gradient"]}
    if len(kept):
        panels[f"KD from the validation part ↓\n({features})"] = ["kd"]
    curves = dict.fromkeys(map(_curve_of, losses))
    colours = dict(zip(curves, CURVE_COLOURS)) | {"KD": REAL_COLOUR}
    figure, axes = plt.subplots(
        len(gans), len(panels), figsize=(WIDTH * 1.05, 1.4 * len(gans) + 1), sharex="row", squeeze=False
    )
    for axis in axes[1:, 2:].flat:
        axis.sharey(axes[0, 2])
    for row, gan in zip(axes, gans):
        of_gan = histories[histories["gan"] == gan]
        alone = len(of_gan[["fold", "seed"]].drop_duplicates()) == 1
        for (pathology, _, _), run in of_gan.groupby(["class", "fold", "seed"], sort=False):
            for axis, columns in zip(row, panels.values()):
                for column in columns:
                    style = {"color": colours[_curve_of(column)], "linestyle": CLASS_DASHES[pathology]}
                    _plot_run(axis, run.dropna(subset=column), column, alone, style)
        row[0].set_ylabel(name_of(gan), fontweight="bold")
        row[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
        for axis, columns in zip(row, (losses, panels["gradient norms"])):
            if (of_gan[columns].fillna(1) > 0).all(axis=None):
                _log_scale(axis)
        if len(kept):
            marked = kept[kept["gan"] == gan]
            row[2].plot(marked["step"], marked["kd"], **KEPT)
            if marked.empty:
                row[2].text(0.5, 0.5, "not evaluated:\nthe last step is kept", transform=row[2].transAxes, ha="center")
    for axis, title in zip(axes[0], panels):
        axis.set_title(title)
    if len(kept) and (histories["kd"].dropna() > 0).all():  # unbiased estimates may go below 0
        _log_scale(axes[0, 2])
    for axis in axes[-1]:
        axis.set_xlabel("generator updates")
    marks = [plt.Line2D([], [], color=colours[curve], label=curve) for curve in curves]
    for pathology, dash in CLASS_DASHES.items():
        if pathology in set(histories["class"]):
            label = "both classes" if pathology == "all" else pathology
            marks.append(plt.Line2D([], [], color="#777777", linestyle=dash, label=label))
    if len(kept):
        marks.append(plt.Line2D([], [], label="step that is kept", **KEPT))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    figure.suptitle(f"Training of the GANs: {modality}")
    return figure


def _curve_of(column: str) -> str:
    """What a column of a GAN's history is of: ``d_loss`` and ``d_gradient`` of the critic."""
    start = column.partition("_")[0]
    return "KD" if column == "kd" else NETWORKS.get(start, start)


def _plot_run(axis: Axes, run: pd.DataFrame, column: str, alone: bool, style: dict) -> None:
    """A curve of one run: KD as it is, others as means over a twentieth of it, above all values if it is *alone*."""
    values, width = run[column], 1.2 if alone else 0.6
    if column == "kd":
        axis.plot(run["step"], values, linewidth=width, marker=".", markersize=4 * width, **style)
        return
    if alone:
        axis.plot(run["step"], values, linewidth=0.6, alpha=0.3, color=style["color"])
    mean = values.rolling(max(1, len(values) // 20), center=True, min_periods=1).mean()
    axis.plot(run["step"], mean, linewidth=width, marker="." if len(values) < 4 else None, **style)


def _log_scale(axis: Axes) -> None:
    """A logarithmic axis with a few plain numbers, whether it spans a tenth of a decade or five."""
    axis.set_yscale("log", nonpositive="mask")
    low, high = axis.get_ylim()
    short, subs = high < 4 * low, (1, 2, 5) if high < 100 * low else (1,)
    axis.yaxis.set_major_locator(MaxNLocator(4) if short else LogLocator(subs=subs, numticks=6))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(NullLocator())


def plot_classifier_training(modality: str, classifier: str, histories: pd.DataFrame) -> Figure:
    """Training loss and validation AUROC of every mix over its steps, means over runs.

    histories: those of one classifier with columns ``mix``, ``fold`` and ``seed`` added.
    """
    groups = mix_groups(histories["mix"].unique())
    colours = panel_colours(groups)
    figure, axes = plt.subplots(
        2, len(groups), figsize=(WIDTH * 1.15, 4.4), sharex=True, sharey="row", squeeze=False
    )  # fmt: skip
    for column, (name, group) in enumerate(groups.items()):
        for mix in group:
            mean = histories[histories["mix"] == mix].groupby("step")[["loss", "val_auroc"]].mean()
            for axis, quantity in zip(axes[:, column], ("loss", "val_auroc")):
                label = name_of_mix(mix)
                axis.plot(mean.index, mean[quantity], label=label, marker=".", **line_of(mix, group, colours[name]))
        axes[0, column].set_title(name_of(name))
        axes[1, column].set_xlabel("steps")
        axes[1, column].legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes[0, 0].set_ylabel("training loss\n(cross-entropy, nats)")
    axes[1, 0].set_ylabel("AUROC,\nvalidation part")
    figure.suptitle(f"Training of the classifiers: {modality}, {name_of(classifier)}")
    return figure
