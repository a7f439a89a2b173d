"""Figures of the GANs' images."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mammosynth.arrays.grid import GAP, evenly_spaced, tile
from mammosynth.findings.names import REAL_COLOUR, colours_of, name_of
from mammosynth.findings.tables import summarise_quality
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.measures import BASELINES, measure_of
from mammosynth.quality.novelty import Limits, Nearest, near_copies
from mammosynth.report.figures import WIDTH, panels, plt, show_images

FRAME: dict[str, Any] = {"fill": False, "edgecolor": "#D55E00", "linewidth": 1.5, "clip_on": False}  # of near copies
EMBEDDED = 150  # images of a set
TITLE = 26  # characters of a line above a panel of four


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
            show_images(axis, tile(members[evenly_spaced(len(members), columns)], columns))
        row[0].set_ylabel(textwrap.fill(name, 14), fontsize=7.5)
    for axis, pathology in zip(axes[0], CLASSES):
        axis.set_title(pathology)
    names = [f"{name} (phantoms, not clinical data)" if name in phantoms else name for name in databases]
    figure.suptitle(f"Real and synthetic ROIs: {modality}, training part\n{', '.join(names)}")
    return figure


def plot_summary_samples(
    sets: Mapping[str, Mapping[str, ImageSet]], phantoms: Iterable[str], columns: int = 3
) -> Figure:
    """The picture of the first screen: real ROIs above those of one GAN, *columns* of each class.

    sets: by modality, ``real`` and the GAN; phantoms: modalities whose ROIs are, all or some, no clinical data.
    """
    rows = [(modality, name, images) for modality, own in sets.items() for name, images in own.items()]
    figure, axes = plt.subplots(len(rows), 2, figsize=(4.6, (2.25 / columns + 0.2) * len(rows) + 0.3), squeeze=False)
    figure.set_layout_engine("constrained", wspace=0.03, hspace=0.02, w_pad=0.02, h_pad=0.02)
    for row, (modality, name, images) in zip(axes, rows):
        for axis, pathology in zip(row, CLASSES):
            members = images.of_class(pathology).images
            show_images(axis, tile(members[evenly_spaced(len(members), columns)], columns))
            if name == "real":  # the GAN's beneath are in the same order, and its name may be long
                axis.set_title(pathology, loc="right", fontsize=7.5, fontweight="normal")
        row[0].set_title(f"{modality.capitalize()}, {name_of(name) if name != 'real' else name}", fontsize=8)
    drawn = list(phantoms)
    figure.suptitle(f"{' and '.join(drawn).capitalize()}: phantoms, not clinical data" if drawn else "", fontsize=9)
    return figure


def plot_closest_pairs(
    modality: str,
    generator: str,
    synthetic: tuple[np.ndarray, Nearest],
    held_out: tuple[np.ndarray, Nearest],
    train_images: np.ndarray,
    limits: Limits,
    columns: int = 4,
    beside: str = "held-out real",
) -> Figure:
    """The images that are closest to a training ROI, each above that ROI: of a generator, and of the validation part.

    synthetic, held_out: images [N, H, W] with their nearest training ROIs, positions in train_images [M, H, W]; limits:
    those of near copies, which are framed. Left the *columns* pairs of the highest correlation, right those of the
    least relative distance of features. Held-out ROIs show how close another patient comes by chance; beside: what
    these are called.
    """
    sets = {name_of(generator): synthetic, beside: held_out}
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
            show_images(axis, np.vstack([above, np.full((GAP, above.shape[1]), 255, np.uint8), below]))
            for left, index in zip(np.arange(columns) * (width + GAP) - 0.5, chosen):
                axis.text(left + width / 2, -GAP, f"{symbol} {values[index]:.2f}", ha="center", fontsize=7.5)
                if framed[index]:
                    axis.add_patch(Rectangle((left, -0.5), width, 2 * height + GAP, **FRAME))
        row[0].set_yticks([height / 2, 1.5 * height + GAP], [name, "training ROI"], rotation=90, va="center")
    figure.suptitle(
        f"Closest to a training ROI: {f'{modality}, ' if modality else ''}{name_of(generator)}\n"
        f"left: correlation r (near copy: above {limits.correlation:.2f}); right: distance of features d, relative to\n"
        f"the next ROIs' (near copy: below {limits.relative_distance:.2f} and nearest by r, too); near copies framed",
        fontsize=9,
    )
    return figure


def plot_quality(modality: str, quality: pd.DataFrame) -> Figure:
    """Bars of every GAN by measure (both classes pooled), marks of each class, lines of what real ROIs reach."""
    summary = summarise_quality(quality[quality["modality"] == modality])
    measures = [measure for measure in summary["measure"].unique() if measure_of(measure).drawn]
    gans = [g for g in summary["generator"].unique() if g not in BASELINES]
    colours = colours_of(gans)
    figure, axes = panels(len(measures), 4 if len(measures) > 6 else 3, 2.0)
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
        title = f"{measure} {measure_of(measure).arrow}".strip().replace(" (", "\n(")
        axis.set_title("\n".join(textwrap.fill(line, TITLE) for line in title.splitlines()))
        axis.set_xticks(range(len(gans)), [name_of(g) for g in gans], rotation=30, ha="right", rotation_mode="anchor")
        axis.grid(axis="x", visible=False)
        axis.margins(y=0.12)
        if not rows["value"].any():
            axis.set_ylim(0, 1)  # else ticks are of rounding
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


def embed(features: np.ndarray) -> np.ndarray:
    """Positions [N, 2] of features [N, d] by t-SNE (van der Maaten and Hinton, J. Mach. Learn. Res. 9:2579, 2008).

    Of their first 50 principal components, begun at the first two, so that the same features give the same positions.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    reduced = PCA(min(50, *features.shape), svd_solver="full").fit_transform(features.astype(float))
    return TSNE(perplexity=min(30, (len(reduced) - 1) / 3), init="pca", random_state=0).fit_transform(reduced)


def plot_embedding(
    modality: str,
    network: str,
    real: tuple[np.ndarray, np.ndarray],
    synthetic: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Figure:
    """Real ROIs and those of each GAN in two dimensions, all embedded together; a panel a GAN.

    real, synthetic: features [N, d] on *network* and labels [N]; of each set ``EMBEDDED`` images at most, evenly
    spaced.
    """
    sets = {name: [of[evenly_spaced(len(of), EMBEDDED)] for of in found] for name, found in synthetic.items()}
    sets = {"real": [of[evenly_spaced(len(of), EMBEDDED)] for of in real]} | sets
    ends = np.cumsum([len(labels) for _, labels in sets.values()])[:-1]
    points = dict(zip(sets, np.split(embed(np.concatenate([features for features, _ in sets.values()])), ends)))
    colours = colours_of(list(synthetic))
    figure, axes = panels(len(sets), 3, 2.4)
    axes[0].update_datalim(np.concatenate(list(points.values())))
    for axis, name in zip(axes, sets):
        for shown in dict.fromkeys(("real", name)):
            colour = colours[shown] if shown == name else "#c4c4c4"
            for label, marker in enumerate(("o", "^")):
                own = points[shown][sets[shown][1] == label]
                face = colour if label else "white"  # malignant ones are filled
                axis.scatter(*own.T, s=9, marker=marker, facecolor=face, edgecolor=colour, linewidth=0.6)
        axis.set(title=name_of(name), xticks=[], yticks=[])
        axis.sharex(axes[0])
        axis.sharey(axes[0])
        axis.spines[:].set_visible(False)
    marks = [
        plt.Line2D([], [], linestyle="", marker=marker, color="#444444", markerfacecolor=face, label=pathology)
        for pathology, marker, face in zip(CLASSES, ("o", "^"), ("white", "#444444"))
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=2)
    n = f"{len(sets['real'][1])} real ROIs and {EMBEDDED} of each GAN at most; features: {network}"
    figure.suptitle(f"Real and synthetic ROIs, embedded: {modality}\n{n}")
    return figure
