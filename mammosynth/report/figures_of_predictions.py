"""Figures of what classifiers predict for the test part."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammosynth.arrays.statistics import roc_curve
from mammosynth.findings.names import name_of, name_of_mix
from mammosynth.findings.tables import decimals
from mammosynth.report.figures import line_of, mix_groups, panel_colours, panels


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
    colours = panel_colours(groups)
    figure, axes = panels(len(groups), 3, 2.95)
    figure.set_layout_engine("compressed")
    for axis, (name, group) in zip(axes, groups.items()):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        for mix in group:
            value, low, high = (decimals(auroc.loc[mix, c])[:5] for c in ("value", "low", "high"))
            label = f"{name_of_mix(mix)}: {value}" + (f" [{low}, {high}]" if low[0] != "–" else "")
            mean = np.append(0, np.mean(curves[mix], axis=0))
            axis.plot(np.append(0, grid), mean, label=label, **line_of(mix, group, colours[name]))
        axis.set(title=name_of(name), aspect="equal")
        axis.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), borderpad=0.1)
    n, patients = auroc["n"].max(), auroc["n_patients"].max()
    sizes = f"test part: {n} ROIs, {patients} patients; AUROC [95 % CI]"
    figure.suptitle(f"ROC curves: {modality}, {name_of(classifier)}\n{sizes}")
    return figure
