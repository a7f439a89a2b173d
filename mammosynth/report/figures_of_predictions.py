"""Figures of what classifiers predict for the test part."""

import textwrap
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammosynth.arrays.calibration import reliability
from mammosynth.arrays.statistics import draw_patients, interval, roc_curve
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.validation import CALIBRATED, YOUDEN
from mammosynth.findings.names import name_of, name_of_mix
from mammosynth.findings.tables import decimals
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.report.figures import (
    WIDTH,
    line_of,
    mix_groups,
    panel_colours,
    panels,
    panels_of_mixes,
    plt,
    show_images,
)

RESAMPLES = 500  # of patients, for what is drawn and stands in no table
MISSES = 5  # of each kind
MISSED = {"malignant": "malignant, called benign", "benign": "benign, called malignant"}


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
    figure, lines, name_lines = _unit_squares(curves, "1 − specificity", "sensitivity")
    for axis, mix, style in lines:
        value, low, high = (decimals(auroc.loc[mix, c])[:5] for c in ("value", "low", "high"))
        label = f"{name_of_mix(mix)}: {value}" + (f" [{low}, {high}]" if low[0] != "–" else "")
        axis.plot(np.append(0, grid), np.append(0, np.mean(curves[mix], axis=0)), label=label, **style)
    name_lines()
    n, patients = auroc["n"].max(), auroc["n_patients"].max()
    sizes = f"test part: {n} ROIs, {patients} patients; AUROC [95 % CI]"
    figure.suptitle(f"ROC curves: {modality}, {name_of(classifier)}\n{sizes}")
    return figure


def plot_reliability(modality: str, classifier: str, predictions: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """Reliability diagram of the test part: the share of malignant ROIs by the calibrated probability they were given.

    predictions, scores: of one modality and classifier; predictions as `mammosynth.classifiers.validation.decided`
    returns them.  All folds and seeds are pooled, so that a ROI counts once for each seed; each point is of equally
    many, its bar the 95 % interval of resampled patients.
    """
    test = predictions[predictions["part"] == "test"]
    scores = scores[(scores["part"] == "test") & (scores["database"] == "all")]
    brier = scores[scores["measure"] == "Brier score"].set_index("mix")["value"]
    curves = {str(mix): _reliability(own) for mix, own in test.groupby("mix", sort=False)}
    figure, lines, name_lines = _unit_squares(curves, "probability of malignancy", "share malignant")
    for axis, mix, style in lines:
        mean, share, low, high = curves[mix]
        axis.plot(mean, share, label=f"{name_of_mix(mix)}: {decimals(brier[mix])}", marker=".", **style)
        axis.vlines(mean, low, high, color=style["color"], linewidth=0.7, alpha=0.5)
    name_lines()
    figure.suptitle(
        f"Reliability: {modality}, {name_of(classifier)}\n{_sizes(test)}\nnumber: Brier score, 0 is best",
        fontsize=9.5,
    )
    return figure


def _unit_squares(
    mixes: Iterable[str], xlabel: str, ylabel: str
) -> tuple[Figure, list[tuple[Axes, str, dict]], Callable[[], None]]:
    """Panels of mixes from 0 to 1 with their diagonal: figure, axis and style of each mix, and the legend."""
    groups = mix_groups(mixes)
    colours = panel_colours(groups)
    figure, axes, name_lines = panels_of_mixes(groups, 2.3)
    lines = []
    for axis, (name, group) in zip(axes, groups.items()):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        axis.set(aspect="equal", xlabel=xlabel, ylabel=ylabel, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        lines += [(axis, mix, line_of(mix, group, colours[name])) for mix in group]
    return figure, lines, name_lines


def _reliability(of_mix: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[float], list[float]]:
    """Mean probability, share malignant, and the ends of its interval, by point."""
    given = (of_mix["pathology"] == "malignant").to_numpy(int), of_mix[CALIBRATED].to_numpy()
    weights = draw_patients(of_mix["patient_id"].to_numpy(dtype=str), RESAMPLES, np.random.default_rng(0))
    mean, share = reliability(*given, np.vstack([np.ones(len(of_mix)), weights]))
    low, high = zip(*map(interval, share[1:].T))
    return mean, share[0], list(low), list(high)


def _sizes(test: pd.DataFrame) -> str:
    """How many ROIs and patients, and how often each is predicted."""
    seeds = test["seed"].nunique()
    times = "" if seeds == 1 else f", each predicted with {seeds} seeds"
    return f"test part: {test['lesion_id'].nunique()} ROIs, {test['patient_id'].nunique()} patients{times}"


def confusion(test: pd.DataFrame) -> pd.DataFrame:
    """Calls by mix: columns mix, pathology, called and count, summed over folds and a mean over seeds.

    test: decided predictions of the test part, of one modality and classifier, each called at Youden's threshold of its
    own run.
    """
    called = np.where(test["probability"] >= test[YOUDEN], "malignant", "benign")
    columns = ["mix", "pathology", "called"]
    order = pd.MultiIndex.from_product([test["mix"].unique(), CLASSES, CLASSES], names=columns)
    counts = test.assign(called=called).groupby(columns).size() / test["seed"].nunique()
    return counts.reindex(order, fill_value=0.0).rename("count").reset_index()


def plot_confusion(modality: str, classifier: str, predictions: pd.DataFrame) -> Figure:
    """A confusion matrix of the test part a mix, see :func:`confusion`; colours: the share of the true class."""
    test = predictions[predictions["part"] == "test"]
    counts = confusion(test)
    mixes = counts["mix"].unique()
    figure, axes = panels(len(mixes), 5, 1.55)
    for axis, mix in zip(axes, mixes):
        of_mix = counts[counts["mix"] == mix]
        matrix = of_mix.pivot(index="pathology", columns="called", values="count").loc[list(CLASSES), list(CLASSES)]
        shares = matrix.div(matrix.sum(axis=1), axis=0).to_numpy()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), share in np.ndenumerate(shares):
            text = f"{100 * share:.0f} %\n{matrix.iloc[i, j]:.1f}".removesuffix(".0")
            axis.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if share > 0.6 else "#222222")
        axis.set_title(textwrap.fill(name_of_mix(mix), 18), fontsize=7)
        axis.set_xticks(range(2), ["b", "m"])
        axis.set_yticks(range(2), ["b", "m"])
        axis.tick_params(length=0)
        axis.grid(visible=False)
    figure.supxlabel("called benign (b) or malignant (m)", fontsize=8)
    figure.supylabel("true class", fontsize=8)
    figure.suptitle(f"Calls: {modality}, {name_of(classifier)}\n{_sizes(test)}")
    return figure


def best_hybrid(scores: pd.DataFrame) -> str | None:
    """The mix of real and synthetic ROIs of the highest AUROC on the test part; None if there is none.

    scores: of one modality and classifier.
    """
    rows = scores[(scores["part"] == "test") & (scores["database"] == "all") & (scores["measure"] == "AUROC")]
    mixes = map(parse_mix, rows["mix"])
    rows = rows[np.array([bool(mix.gans) and mix.holds_real for mix in mixes], bool)].dropna(subset="value")
    return None if rows.empty else str(rows.loc[rows["value"].idxmax(), "mix"])


def worst_misses(test: pd.DataFrame, pathology: str) -> pd.DataFrame:
    """ROIs of a class that are called the other one, the most confident call first.

    test: decided predictions of one mix; a ROI's probability and threshold are means over its seeds.
    """
    own = test[test["pathology"] == pathology]
    values = own.groupby("lesion_id")[["probability", YOUDEN]].mean()
    where = own.drop_duplicates("lesion_id").set_index("lesion_id")[["patient_id", "database"]]
    called = values["probability"] >= values[YOUDEN]
    missed = where.join(values).loc[called[called == (pathology == "benign")].index]
    return missed.sort_values("probability", ascending=pathology == "malignant", kind="stable").reset_index()


def plot_misses(
    modality: str, classifier: str, predictions: pd.DataFrame, scores: pd.DataFrame, images: ImageSet
) -> Figure:
    """The worst misses of the test part of real ROIs alone and of the best hybrid, with patient and probability.

    predictions, scores: of one modality and classifier; images: the test parts of all folds.
    """
    test = predictions[predictions["part"] == "test"]
    place = {name: number for number, name in enumerate(images.ids)}
    rows = [(mix, kind) for mix in filter(None, ["real", best_hybrid(scores)]) for kind in MISSED]
    figure = plt.figure(figsize=(WIDTH, 1.75 * len(rows) + 0.3))
    figure.suptitle(f"Worst misses: {modality}, {name_of(classifier)}, test part")
    for part, (mix, kind) in zip(figure.subfigures(len(rows), 1, squeeze=False).flat, rows):
        row = part.subplots(1, MISSES)
        found = worst_misses(test[test["mix"] == mix], kind)
        for axis, miss in zip(row, found.head(MISSES).itertuples()):
            show_images(axis, images.images[place[miss.lesion_id]])
            patient = textwrap.fill(miss.patient_id.removeprefix(f"{miss.database}/"), 24)
            called = f"p {miss.probability:.2f} (threshold {miss.Youden:.2f})"
            axis.set_xlabel(f"{called}\n{patient}\n{miss.database}", fontsize=6)
        for axis in row[len(found) :]:
            axis.set_axis_off()
        n = (test["mix"] == mix) & (test["pathology"] == kind)
        of = test.loc[n, "lesion_id"].nunique()
        part.suptitle(f"{name_of_mix(mix)}: {MISSED[kind]}, {len(found)} of {of}", fontsize=8, x=0.01, ha="left")
    return figure
