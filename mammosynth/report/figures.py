"""The figures of a study, at a width of about 180 mm: readable in print, in colours that all readers tell apart."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mammosynth.arrays.grid import GAP, evenly_spaced, tile
from mammosynth.arrays.statistics import roc_curve
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.findings.names import REAL_COLOUR, colours_of, name_of, name_of_mix
from mammosynth.findings.tables import decimals, p_value, summarise_quality
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.measures import BASELINES, measure_of
from mammosynth.quality.novelty import Limits, Nearest, near_copies
from mammosynth.splits import place_of, read_name

WIDTH = 7.6  # inches
plt.rcParams.update(
    {
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "figure.titlesize": 10.5,
        "figure.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "text.parse_math": False,  # names of people's files, and reasons that they write, may hold a $
        "figure.dpi": 110,
        "savefig.dpi": 150,
        "svg.hashsalt": "mammosynth",
    }
)
MIX_DASHES = {
    True: ("-", ":", "-.", (0, (5, 1, 1, 1, 1, 1))),
    False: ("--", (0, (1, 2)), (0, (6, 2, 1, 2))),
}  # by whether a mix holds real images
NETWORKS = {"d": "critic", "g": "generator"}  # by the start of a history's columns
CURVE_COLOURS = ("#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#777777")
CLASS_DASHES: dict[str, Any] = {"all": "-", "benign": "--", "malignant": ":"}
FRAME: dict[str, Any] = {"fill": False, "edgecolor": "#D55E00", "linewidth": 1.5, "clip_on": False}  # of near copies
KEPT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "",
    "markersize": 5,
    "color": "#009E73",
    "markeredgecolor": "white",
    "zorder": 3,
}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    metadata = {"Date": None} if str(path).endswith(".svg") else {"Software": None}
    figure.savefig(path, metadata=metadata, facecolor="white")
    plt.close(figure)


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


def plot_samples(
    modality: str,
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    databases: Iterable[str],
    phantoms: Iterable[str] = (),
    columns: int = 5,
) -> Figure:
    """Real ROIs above those of every GAN, *columns* of each class; evenly spaced ones, not chosen by eye.

    phantoms: those of *databases* that are no clinical data; the title says so, as the file travels alone.
    """
    sets = {"real": real, **{name_of(gan): images for gan, images in synthetic.items()}}
    figure, axes = plt.subplots(
        len(sets), 2, figsize=(WIDTH, WIDTH * len(sets) / (2 * columns) + 0.6), squeeze=False
    )  # fmt: skip
    figure.set_layout_engine("constrained", wspace=0.05, hspace=0.02, w_pad=0.02, h_pad=0.02)
    for row, (name, images) in zip(axes, sets.items()):
        for axis, pathology in zip(row, CLASSES):
            members = images.of_class(pathology).images
            _show(axis, tile(members[evenly_spaced(len(members), columns)], columns))
        row[0].set_ylabel(textwrap.fill(name, 14), fontsize=7.5)
    for axis, pathology in zip(axes[0], CLASSES):
        axis.set_title(pathology)
    names = [f"{name} (phantoms, not clinical data)" if name in phantoms else name for name in databases]
    figure.suptitle(f"Real and synthetic ROIs: {modality}, training part\n{', '.join(names)}")
    return figure


def plot_closest_pairs(
    modality: str,
    generator: str,
    synthetic: tuple[np.ndarray, Nearest],
    held_out: tuple[np.ndarray, Nearest],
    train_images: np.ndarray,
    limits: Limits,
    columns: int = 4,
) -> Figure:
    """The images that are closest to a training ROI, each above that ROI: of a generator, and of the validation part.

    synthetic, held_out: images [N, H, W] with their nearest training ROIs, positions in train_images [M, H, W]; limits:
    those of near copies, which are framed. Left the *columns* pairs of the highest correlation, right those of the
    least relative distance of features. Held-out ROIs show how close another patient comes by chance.
    """
    sets = {name_of(generator): synthetic, "held-out real": held_out}
    height, width = train_images.shape[1:]
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, WIDTH * 4 / (2 * columns) + 0.75))
    figure.set_layout_engine("constrained", wspace=0.05, hspace=0.02, w_pad=0.02, h_pad=0.02)
    for row, (name, (images, nearest)) in zip(axes, sets.items()):
        copies = near_copies(nearest, limits)
        agreed = nearest.by_features == nearest.by_correlation  # else it is no copy of the nearest by features
        sides = (
            ("r", nearest.correlation, -nearest.correlation, nearest.by_correlation, copies),
            ("d", nearest.relative_distance, nearest.relative_distance, nearest.by_features, copies & agreed),
        )
        for axis, (symbol, values, cost, position, framed) in zip(row, sides):
            chosen = np.argsort(cost, kind="stable")[:columns]
            above, below = (tile(shown, columns) for shown in (images[chosen], train_images[position[chosen]]))
            _show(axis, np.vstack([above, np.full((GAP, above.shape[1]), 255, np.uint8), below]))
            for left, index in zip(np.arange(columns) * (width + GAP) - 0.5, chosen):
                axis.text(left + width / 2, -GAP, f"{symbol} {values[index]:.2f}", ha="center", fontsize=7.5)
                if framed[index]:
                    axis.add_patch(Rectangle((left, -0.5), width, 2 * height + GAP, **FRAME))
        row[0].set_yticks([height / 2, 1.5 * height + GAP], [name, "training ROI"], rotation=90, va="center")
    figure.suptitle(
        f"Closest to a training ROI: {modality}, {name_of(generator)}\n"
        f"left: correlation r (near copy: above {limits.correlation:.2f}); right: distance of features d, relative to\n"
        f"the next ROIs' (near copy: below {limits.relative_distance:.2f} and nearest by r, too); near copies framed",
        fontsize=9,
    )
    return figure


def _show(axis: plt.Axes, sheet: np.ndarray) -> None:
    """Show a grid of images, uint8 [H, W], and nothing around it."""
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.set_frame_on(False)


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


def _plot_run(axis: plt.Axes, run: pd.DataFrame, column: str, alone: bool, style: dict) -> None:
    """A curve of one run: KD as it is, others as means over a twentieth of it, above all values if it is *alone*."""
    values, width = run[column], 1.2 if alone else 0.6
    if column == "kd":
        axis.plot(run["step"], values, linewidth=width, marker=".", markersize=4 * width, **style)
        return
    if alone:
        axis.plot(run["step"], values, linewidth=0.6, alpha=0.3, color=style["color"])
    mean = values.rolling(max(1, len(values) // 20), center=True, min_periods=1).mean()
    axis.plot(run["step"], mean, linewidth=width, marker="." if len(values) < 4 else None, **style)


def _log_scale(axis: plt.Axes) -> None:
    """A logarithmic axis with a few plain numbers, whether it spans a tenth of a decade or five."""
    axis.set_yscale("log", nonpositive="mask")
    low, high = axis.get_ylim()
    short, subs = high < 4 * low, (1, 2, 5) if high < 100 * low else (1,)
    axis.yaxis.set_major_locator(MaxNLocator(4) if short else LogLocator(subs=subs, numticks=6))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(NullLocator())


def mix_groups(mixes: Iterable[str]) -> dict[str, list[str]]:
    """Mixes by panel: those without a GAN as ``controls``, then those of each GAN beside ``real``."""
    mixes = list(mixes)
    groups = {"controls": [m for m in mixes if not parse_mix(m).gans]}
    for mix in mixes:
        for gan in parse_mix(mix).gans:
            groups.setdefault(gan, [m for m in ("real",) if m in mixes]).append(mix)
    return {name: group for name, group in groups.items() if group}


def _line(mix: str, group: list[str], colour: str) -> dict:
    """Colour and dash of a mix within its panel; ``real`` looks the same in all panels."""
    if mix == "real":
        return {"color": REAL_COLOUR, "linestyle": "-", "linewidth": 1.6}
    alike = [m for m in group if m != "real" and parse_mix(m).holds_real == parse_mix(mix).holds_real]
    dashes = MIX_DASHES[parse_mix(mix).holds_real]
    return {"color": colour, "linestyle": dashes[alike.index(mix) % len(dashes)], "linewidth": 1.6}


def _panel_colours(groups: Mapping[str, list[str]]) -> dict[str, str]:
    return colours_of([name for name in groups if name != "controls"]) | {"controls": "#777777"}


def plot_classifier_training(modality: str, classifier: str, histories: pd.DataFrame) -> Figure:
    """Training loss and validation AUROC of every mix over its steps, means over runs.

    histories: those of one classifier with columns ``mix``, ``fold`` and ``seed`` added.
    """
    groups = mix_groups(histories["mix"].unique())
    colours = _panel_colours(groups)
    figure, axes = plt.subplots(
        2, len(groups), figsize=(WIDTH * 1.15, 4.4), sharex=True, sharey="row", squeeze=False
    )  # fmt: skip
    for column, (name, group) in enumerate(groups.items()):
        for mix in group:
            mean = histories[histories["mix"] == mix].groupby("step")[["loss", "val_auroc"]].mean()
            for axis, quantity in zip(axes[:, column], ("loss", "val_auroc")):
                label = name_of_mix(mix)
                axis.plot(mean.index, mean[quantity], label=label, marker=".", **_line(mix, group, colours[name]))
        axes[0, column].set_title("controls" if name == "controls" else name_of(name))
        axes[1, column].set_xlabel("steps")
        axes[1, column].legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes[0, 0].set_ylabel("training loss\n(cross-entropy, nats)")
    axes[1, 0].set_ylabel("AUROC,\nvalidation part")
    figure.suptitle(f"Training of the classifiers: {modality}, {name_of(classifier)}")
    return figure


def plot_roc(modality: str, classifier: str, predictions: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """ROC curves of the test part, averaged over runs at equal false-positive rate; a panel a GAN beside ``real``.

    predictions, scores: of one modality and classifier; predictions with the column ``fold``.
    """
    test = predictions[predictions["part"] == "test"]
    grid = np.linspace(0, 1, 401)
    curves: dict[str, list[np.ndarray]] = {}
    for (mix, _, _), run in test.groupby(["mix", "fold", "seed"], sort=False):
        malignant = (run["pathology"] == "malignant").to_numpy(int)
        curves.setdefault(str(mix), []).append(roc_curve(malignant, run["probability"].to_numpy(), grid))
    scores = scores[(scores["part"] == "test") & (scores["database"] == "all")]
    auroc = scores[scores["measure"] == "AUROC"].set_index("mix")
    groups = mix_groups(curves)
    colours = _panel_colours(groups)
    figure, axes = _panels(len(groups), 3, 2.95)
    figure.set_layout_engine("compressed")
    for axis, (name, group) in zip(axes, groups.items()):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        for mix in group:
            value, low, high = (decimals(auroc.loc[mix, c])[:5] for c in ("value", "low", "high"))
            label = f"{name_of_mix(mix)}: {value}" + (f" [{low}, {high}]" if low[0] != "–" else "")
            mean = np.append(0, np.mean(curves[mix], axis=0))
            axis.plot(np.append(0, grid), mean, label=label, **_line(mix, group, colours[name]))
        axis.set(title="controls" if name == "controls" else name_of(name), aspect="equal")
        axis.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), borderpad=0.1)
    n, patients = auroc["n"].max(), auroc["n_patients"].max()
    sizes = f"test part: {n} ROIs, {patients} patients; AUROC [95 % CI]"
    figure.suptitle(f"ROC curves: {modality}, {name_of(classifier)}\n{sizes}")
    return figure


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


def plot_quality(modality: str, quality: pd.DataFrame) -> Figure:
    """Bars of every GAN by measure (both classes pooled), marks of each class, lines of what real ROIs reach."""
    summary = summarise_quality(quality[quality["modality"] == modality])
    measures = [measure for measure in summary["measure"].unique() if measure_of(measure).drawn]
    gans = [g for g in summary["generator"].unique() if g not in BASELINES]
    colours = colours_of(gans)
    figure, axes = _panels(len(measures), 4 if len(measures) > 6 else 3, 2.0)
    for axis, measure in zip(axes, measures):
        rows = summary[summary["measure"] == measure].set_index(["generator", "pathology"])
        for x, gan in enumerate(gans):
            if (gan, "all") not in rows.index:
                continue
            row = rows.loc[(gan, "all")]
            axis.bar(x, row["value"], color=colours[gan], width=0.7)
            low, high = (row["low"], row["high"]) if row["runs"] == 1 else row["value"] + np.array([-1, 1]) * row["sd"]
            if not np.isnan(low):
                axis.plot([x, x], [low, high], color="#222222", linewidth=1)
            for pathology, marker in (("benign", "o"), ("malignant", "^")):
                if (gan, pathology) in rows.index:
                    value = rows.loc[(gan, pathology), "value"]
                    axis.plot(x, value, marker, color="white", markeredgecolor="#222222", markersize=4.2, mew=0.8)
        for name, dash in zip(BASELINES, ("-", ":", "--")):
            if (name, "all") in rows.index and not np.isnan(level := rows.loc[(name, "all"), "value"]):
                axis.axhline(level, color=REAL_COLOUR, linestyle=dash, linewidth=1.2)
        axis.set_title(f"{measure} {measure_of(measure).arrow}".strip().replace(" (", "\n("))
        axis.set_xticks(range(len(gans)), [name_of(g) for g in gans], rotation=30, ha="right", rotation_mode="anchor")
        axis.grid(axis="x", visible=False)
        axis.margins(y=0.12)
        axis.ticklabel_format(axis="y", scilimits=(-3, 5))
    marks = [
        plt.Line2D([], [], color=REAL_COLOUR, linestyle="-", label="real set"),
        plt.Line2D([], [], color=REAL_COLOUR, linestyle=":", label="held-out real"),
        plt.Line2D([], [], color=REAL_COLOUR, linestyle="--", label="real vs real (floor)"),
        plt.Line2D([], [], marker="o", color="white", markeredgecolor="#222222", label="benign"),
        plt.Line2D([], [], marker="^", color="white", markeredgecolor="#222222", label="malignant"),
        plt.Rectangle((0, 0), 1, 1, color="#999999", label="both classes"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=6)
    counts = summary[summary["generator"].isin(gans) & (summary["pathology"] == "all")]
    sizes = f"{counts['n'].max():.0f} synthetic and {counts['n_reference'].max():.0f} real ROIs at most"
    figure.suptitle(f"Quality of the synthetic ROIs: {modality}\n{sizes}; ↓ lower is better", fontsize=9.5)
    return figure


def _panels(count: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure with *count* axes in rows of *columns*, and no empty ones."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH * 1.05, height * rows + 0.5), squeeze=False)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, axes.flat[:count]
