"""What tells the classes of ROIs apart without the lesion: size, padding, move, marks, window and database.

A network may learn these *nuisances* in place of the lesion, a GAN may draw them, and both then look better than they
are. `judge` says by how much: the AUROC of a logistic regression on the nuisances alone, cross-fitted over
patient-disjoint folds. Neither pixels nor test parts of a study are looked at; nothing of it goes into a training.
"""

import numpy as np
import pandas as pd

from mammosynth.arrays.statistics import auroc, draw_patients, interval
from mammosynth.imageset import CLASSES

NEIGHBOURS = 7  # side, in pixels, of the neighbourhood that a mark stands out from
WHITE, EXCESS = 0.75, 0.5  # of the window: how bright a pixel of a mark is, and by how much it stands out
LOOKED_AT = 2048  # bright pixels, evenly spread, that suffice to tell their share that are marks
# Share of marks above which an ROI counts as marked, as 24 % of BUSI's 631 do. By eye nearly all of the 30 next above
# show callipers, text or a scanner's sign; so do about half of the 30 next below, in fine print; of 20 others none.
MARKED = 5e-4
FOLDS = 5
RESAMPLES, SEED = 1000, 0
ALL = "all of these together"


def share_of_marks(patch: np.ndarray, low: float, high: float) -> float:
    """The share of the pixels of an image's part that are fine and white, as callipers, their lines, and text are.

    patch: greys [H, W]; low, high: those that become black and white. A pixel counts that lies in the upper quarter of
    the window and stands out from the median of its neighbourhood by half of the window: speckle and tissue are
    coarser. On a film calcifications do as well.
    """
    rows, columns = np.nonzero(patch >= low + WHITE * (high - low))
    if not len(rows):
        return 0.0
    step = -(-len(rows) // LOOKED_AT)
    rows, columns = rows[::step], columns[::step]
    padded = np.pad(patch, NEIGHBOURS // 2, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (NEIGHBOURS, NEIGHBOURS))[rows, columns]
    middle = NEIGHBOURS**2 // 2
    median = np.partition(around.reshape(len(rows), -1), middle, axis=1)[:, middle]
    marked = patch[rows, columns] > median + EXCESS * (high - low)
    return min(step * np.count_nonzero(marked) / patch.size, 1.0)


def numbers(rois: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The numbers [N, k] that stand for each nuisance, by its name; what is the same in all ROIs is left out.

    rois: usable lesions with what `mammosynth.rois.crop_rois` records. What is 0 in most ROIs counts twice, by whether
    it is and by how much. The last nuisance is all of them.
    """

    def twice(column: str, least: float = 0.0) -> dict[str, pd.Series]:
        return {column: rois[column], f"{column} at all": (rois[column] > least).astype(float)}

    found = {
        "size": pd.DataFrame({"scale": np.log(rois["scale"])}),
        "padding": pd.DataFrame(twice("padded")),
        "move": pd.DataFrame(twice("moved") | twice("beyond")),
        "marks": pd.DataFrame(twice("marks", MARKED)),
        "window": rois[["window_low", "window_high"]],
        "database": pd.get_dummies(rois["database"], dtype=float),
    }
    varied = {name: table.loc[:, table.nunique() > 1] for name, table in found.items()}
    varied = {name: table for name, table in varied.items() if table.shape[1]}
    return varied | {ALL: pd.concat(varied.values(), axis=1)} if varied else {}


def cross_fit(values: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """The probability [N] of malignancy that logistic regression gives each ROI, fitted to all other folds.

    values: [N, k], standardised by the folds that are fitted to; labels: [N], 1 malignant; fold: [N].
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probability = np.empty(len(labels))
    for one in np.unique(fold):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(values[fold != one], labels[fold != one])
        probability[fold == one] = model.predict_proba(values[fold == one])[:, 1]
    return probability


def auroc_within_folds(
    labels: np.ndarray, probability: np.ndarray, fold: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """AUROC [B] over the pairs of a malignant and a benign ROI of one fold, as two folds' models need not agree.

    weights: [B, N], as for `mammosynth.arrays.statistics.auroc`. NaN where no fold has a pair.
    """
    above, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for one in np.unique(fold):
        inside = fold == one
        weight, malignant = weights[:, inside], labels[inside] == 1
        of_fold = weight[:, malignant].sum(1) * weight[:, ~malignant].sum(1)
        value = auroc(labels[inside], probability[inside], malignant, weight)
        above += np.where(of_fold > 0, np.nan_to_num(value) * of_fold, 0)
        pairs += of_fold
    with np.errstate(invalid="ignore"):
        return above / pairs


def judge(rois: pd.DataFrame) -> pd.DataFrame:
    """By how much each nuisance, and all together, tell the classes of ROIs apart.

    rois: as for `numbers`, with *pathology* and *group*. Returns nuisance, auroc, low and high (95 % interval over
    resampled patients of what the models predict; they are not fitted again, so that where there is nothing to find 4
    to 10 of 100 intervals lie above 0.5). Empty where a class has fewer than two patients, or no nuisance varies.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = (rois["pathology"] == CLASSES[1]).to_numpy(dtype=int)
    groups = rois["group"].to_numpy(dtype=str)
    folds = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in (0, 1)))
    columns = ["nuisance", "auroc", "low", "high"]
    if folds < 2:
        return pd.DataFrame(columns=columns)
    fold = np.empty(len(labels), dtype=int)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    for number, (_, inside) in enumerate(splitter.split(labels, labels, groups)):
        fold[inside] = number
    if any(len(np.unique(labels[fold != one])) < 2 for one in range(folds)):
        return pd.DataFrame(columns=columns)
    weights = draw_patients(groups, RESAMPLES, np.random.default_rng(SEED))
    rows = []
    for name, table in numbers(rois).items():
        probability = cross_fit(table.to_numpy(dtype=float), labels, fold)
        value = auroc_within_folds(labels, probability, fold, np.ones((1, len(labels))))[0]
        rows.append((name, value, *interval(auroc_within_folds(labels, probability, fold, weights))))
    return pd.DataFrame(rows, columns=columns)


def compare(rois: pd.DataFrame) -> pd.DataFrame:
    """The nuisances of the ROIs of each class: nuisance, what is said of it, and a column for each class.

    rois: as for `judge`. Shares are from 0 to 1, sizes and windows medians; what is known of none is left out.
    """

    def share(column: str, least: float = 0.0) -> pd.Series:
        return (rois[column] > least).where(rois[column].notna())

    said = [
        ("size", "median image px per ROI px", rois["scale"], "median"),
        ("padding", "share of ROIs that are padded", share("padded"), "mean"),
        ("padding", "mean share of an ROI that is padding", rois["padded"], "mean"),
        ("move", "share of ROIs off the lesion's centre", share("moved"), "mean"),
        ("move", "share of ROIs whose lesion crosses the border", share("beyond"), "mean"),
        ("marks", "share of ROIs with callipers, text or the like", share("marks", MARKED), "mean"),
        ("window", "median grey that becomes black", rois["window_low"], "median"),
        ("window", "median grey that becomes white", rois["window_high"], "median"),
    ]
    said += [("database", f"share from {name}", rois["database"] == name, "mean") for name in _several(rois)]
    rows = []
    for nuisance, what, values, summary in said:
        by_class = values.astype(float).groupby(rois["pathology"]).agg(summary)
        if by_class.notna().any():
            rows.append({"nuisance": nuisance, "what": what} | {label: by_class.get(label) for label in CLASSES})
    return pd.DataFrame(rows)


def _several(rois: pd.DataFrame) -> list[str]:
    names = list(rois["database"].unique())
    return names if len(names) > 1 else []
