"""Figures of the classifiers: what is drawn are the table's numbers, and what the predictions say."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from test_scores import part_of, predictions
from test_tables import quality_rows
from workflow_for_tests import snakemake

from mammosynth.arrays.calibration import reliability
from mammosynth.classifiers.scores import score
from mammosynth.classifiers.validation import decided
from mammosynth.findings.utility import FEWEST_POINTS, gains, rank_correlation
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.partition import EXTERNAL
from mammosynth.report import figures
from mammosynth.report.figures_of_predictions import (
    best_hybrid,
    confusion,
    plot_confusion,
    plot_misses,
    plot_reliability,
    worst_misses,
)
from mammosynth.report.figures_of_scores import (
    MARKS,
    compared,
    plot_differences,
    plot_doses,
    plot_gains,
    plot_shares,
    plot_summary_forest,
)

OF = "ultrasound", "resnet18"
MIXES = ["real", "sngan", "real+sngan", "real+sngan@2", "real+sngan@balance", "real+cgan", "real+classic", "real@2"]
NETWORK = "squeezenet"
MEASURES = ["KD (SqueezeNet 1.1)", "KD (EfficientNet-Lite0)", "label accuracy", "SSIM, random real"]


@pytest.fixture(scope="module")
def study():
    """Decided predictions of two folds with two seeds each, of a test part and an external one, and their scores."""
    rng, frames = np.random.default_rng(3), []
    for fold, seed, (number, mix) in product((0, 1), (0, 1), enumerate(MIXES)):
        skill = 0.8 + number / 4 + 0.4 * rng.standard_normal()
        frames.append(predictions(skill, mix, seed, fold))
        outside = part_of(predictions(skill / 2, mix, seed, 7, database="outside"))
        frames.append(outside.assign(part=EXTERNAL, fold=fold))
    frame = pd.concat(frames)
    return decided(frame), score(frame, 100, 0)


@pytest.fixture(autouse=True)
def _close():
    yield
    figures.plt.close("all")


def rows_of(scores, part="test"):
    return scores[(scores["part"] == part) & (scores["measure"] == "AUROC")].set_index("mix")


def test_the_interval_by_patients_lies_within_that_of_both_chances(study):
    _, scores = study
    rows = compared(scores)
    for end, sign in (("low", -1), ("high", 1)):
        both, patients = (sign * (rows[f"{of}_{end}"] - rows["difference"]) for of in ("difference", "patients"))
        # variances add up: what is left of the whole is that of the mean over four runs by training alone
        quantile = both / rows["se"]
        np.testing.assert_allclose(both**2 - patients**2, (quantile * rows["luck"]) ** 2 / 4, atol=1e-12)
        assert (patients <= both).all()
    assert (rows["luck"] > 0).any()


def test_of_one_run_all_of_the_interval_is_by_patients():
    rows = compared(score(pd.concat([predictions(1.0), predictions(1.5, "sngan")]), 100, 0))
    assert rows["patients_low"].tolist() == rows["difference_low"].tolist()
    assert rows["patients_high"].tolist() == rows["difference_high"].tolist()


def test_the_forest_draws_both_intervals_in_a_panel_a_part(study):
    _, scores = study
    figure = plot_differences(*OF, scores)
    assert [axis.get_title(loc="left").partition(" (")[0] for axis in figure.axes] == ["Test part", "External: outside"]
    for axis, part in zip(figure.axes, ("test", EXTERNAL)):
        rows = compared(scores, part)
        drawn = {tuple(line.get_xdata()) for line in axis.lines}
        for of in ("difference", "patients"):
            assert set(zip(rows[f"{of}_low"], rows[f"{of}_high"])) <= drawn
        assert {(value,) for value in rows["difference"]} <= {tuple(np.atleast_1d(x)) for x in drawn}
        assert (rows.loc["real@2", "difference"],) * 2 in drawn  # the yardstick
        [band] = axis.patches
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-0.05, 0.05))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[:2] == ["real ×2", "real + classic"]
    assert names[2:-1] == ["SNGAN", "real + SNGAN", "real + SNGAN ×2", "real + SNGAN to balance"]


def test_the_first_screens_forest_is_of_synthetic_rois_beside_real_ones_in_a_panel_a_modality(study):
    scores = study[1].copy()
    alone = (scores["mix"] == "sngan") & (scores["measure"] == "AUROC")  # which is not shown, and worse
    scores.loc[alone, ["difference", "difference_low", "difference_high", "p_holm"]] = -0.2, -0.3, -0.1, 0.01
    both = pd.concat([scores, scores.assign(modality="mammography", difference=-scores["difference"])])
    figure = plot_summary_forest("resnet18", both)
    assert [axis.get_title(loc="left").partition("\n")[0] for axis in figure.axes] == ["Ultrasound", "Mammography"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["real + SNGAN", "real + SNGAN ×2", "real + SNGAN to balance", "real + CGAN"]
    for axis, sign in zip(figure.axes, (1, -1)):
        drawn = {tuple(np.atleast_1d(line.get_xdata())) for line in axis.lines}
        rows = compared(scores).loc[["real+sngan", "real+sngan@2", "real+sngan@balance", "real+cgan"]]
        assert {(sign * value,) for value in rows["difference"]} <= drawn
        assert {*zip(rows["difference_low"], rows["difference_high"])} <= drawn
    marks = {text.get_text() for text in figure.legends[0].get_texts()} & set(MARKS)
    assert marks == set(rows["verdict"]) < set(compared(scores)["verdict"]), "of what is drawn alone"
    without = scores[~scores["mix"].str.startswith("real+")]
    [axis] = plot_summary_forest("resnet18", without).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["real ×2", "SNGAN"], (
        "else there is nothing to see"
    )
    [axis] = plot_summary_forest("resnet18", score(predictions(1.0), 50, 0)).axes
    assert axis.get_yticklabels() == []


def test_marks_of_the_forest_say_the_verdict(study):
    _, scores = study
    scores = scores[scores["part"] == "test"].copy()
    chosen = (scores["measure"] == "AUROC") & scores["difference"].notna()
    scores.loc[chosen, ["p_holm", "equivalence_p"]] = 1.0, 1.0
    for mix, low, high, p, equivalence_p in (
        ("sngan", -0.3, -0.1, 0.01, 1), ("real+sngan", 0.1, 0.3, 0.01, 1), ("real+cgan", -0.01, 0.01, 1, 0.01),
    ):  # fmt: skip
        columns = ["difference", "difference_low", "difference_high", "p_holm", "equivalence_p"]
        scores.loc[chosen & (scores["mix"] == mix), columns] = (low + high) / 2, low, high, p, equivalence_p
    [axis] = plot_differences(*OF, scores).axes
    marks = {line.get_xdata()[0]: line.get_marker() for line in axis.lines if len(line.get_xdata()) == 1}
    assert [marks[value] for value in (-0.2, 0.2, 0.0)] == ["v", "^", "s"]
    assert marks[compared(scores).loc["real@2", "difference"]] == "o"


def test_a_study_without_other_mixes_has_an_empty_forest():
    [axis] = plot_differences(*OF, score(predictions(1.0), 50, 0)).axes
    assert axis.get_yticklabels() == []


def test_a_test_part_of_one_class_has_figures_without_points():
    frame = pd.concat([predictions(1.0, mix) for mix in ("real", "real+sngan", "real+sngan@2")])
    scores = score(frame[frame["pathology"] == "benign"], 50, 0)
    [axis] = plot_doses(*OF, scores).axes
    assert axis.get_title(loc="left") == "SNGAN"
    assert all(len(line.get_ydata()) == 0 for line in axis.lines if line.get_color() != figures.REAL_COLOUR)
    assert plot_differences(*OF, scores).axes[0].get_yticklabels() == []


def test_doses_are_drawn_of_gans_that_have_several(study):
    _, scores = study
    [axis] = plot_doses(*OF, scores).axes
    assert axis.get_title(loc="left") == "SNGAN"  # CGAN has one dose
    rows = rows_of(scores)
    drawn = [tuple(map(tuple, line.get_xydata())) for line in axis.lines]
    expected = tuple((dose, rows.loc[mix, "difference"]) for mix, dose in (("real+sngan", 1), ("real+sngan@2", 2)))
    assert expected in drawn
    for dose, mix in ((1, "real+sngan"), (2, "real+sngan@2")):
        assert ((dose, rows.loc[mix, "difference_low"]), (dose, rows.loc[mix, "difference_high"])) in drawn


def test_shares_are_drawn_from_few_patients_to_all():
    frame = [
        predictions(skill + 0.01 * share, mix, n=n).assign(share=share)
        for share, n in ((100, 60), (25, 60)) for mix, skill in (("real", 0.2), ("real+sngan", 0.5))
    ]  # fmt: skip
    scores = score(pd.concat(frame), 50, 0)
    figure = plot_shares(*OF, scores)
    [panel] = [axis for axis in figure.axes if axis.get_title(loc="left") == "SNGAN"]
    rows = rows_of(scores).reset_index().set_index(["mix", "share"])["value"]
    for line, mix in zip(panel.lines, ("real", "real+sngan")):
        assert line.get_ydata().tolist() == [rows[mix, 25], rows[mix, 100]]
        np.testing.assert_allclose(line.get_xdata(), [25, 100], rtol=0.03)
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["25 %", "100 %"]


def test_points_of_reliability_are_shares_of_equally_many():
    probability = np.arange(100) / 100
    labels = (np.arange(100) % 10 < np.arange(100) // 10).astype(int)  # 0, 1, … 9 of ten
    mean, share = reliability(labels, probability, np.ones((1, 100)))
    np.testing.assert_allclose(mean, np.arange(10) / 10 + 0.045)
    np.testing.assert_allclose(share, [np.arange(10) / 10])
    mean, share = reliability(labels, np.full(100, 0.5), np.stack([np.ones(100), labels]))
    assert mean.tolist() == [0.5]
    assert share.tolist() == [[0.45], [1.0]]


def test_reliability_pools_folds_and_seeds(study):
    frame, scores = study
    figure = plot_reliability(*OF, frame, scores)
    [panel] = [axis for axis in figure.axes if axis.get_title(loc="left") == "CGAN"]
    own = frame[(frame["part"] == "test") & (frame["mix"] == "real+cgan")]
    labels = (own["pathology"] == "malignant").to_numpy(int)
    mean, share = reliability(labels, own["calibrated"].to_numpy(), np.ones((1, len(own))))
    [line] = [line for line in panel.lines if line.get_label().startswith("real + CGAN: ")]
    np.testing.assert_array_equal(line.get_xydata(), np.transpose([mean, share[0]]))
    assert "120 ROIs, 60 patients, each predicted with 2 seeds" in figure.get_suptitle()


def test_calls_are_counted_over_folds_and_averaged_over_seeds(study):
    frame, _ = study
    test = frame[frame["part"] == "test"]
    counts = confusion(test).set_index(["mix", "pathology", "called"])["count"]
    own = test[(test["mix"] == "sngan") & (test["pathology"] == "malignant")]
    assert counts["sngan", "malignant", "malignant"] == (own["probability"] >= own["Youden"]).sum() / 2
    assert (counts.groupby(["mix", "pathology"]).sum().unstack() == [80, 40]).all(axis=None)
    panels = {axis.get_title(loc="left"): axis for axis in plot_confusion(*OF, frame).axes}
    shown = panels["SNGAN"].images[0].get_array()
    of_mix = counts["sngan"].unstack().loc[list(CLASSES), list(CLASSES)]
    np.testing.assert_allclose(shown, of_mix.div(of_mix.sum(axis=1), axis=0))


def missed(**probabilities):
    """Predictions of ROIs by name, the first letter of which is their class, at a threshold of 0.4."""
    rows = [
        {"mix": "real", "fold": 0, "seed": seed, "part": "test", "lesion_id": name, "patient_id": f"a/{name}"}
        | {"database": "a", "pathology": CLASSES["bm".index(name[0])], "probability": p, "Youden": 0.4}
        for name, of_seeds in probabilities.items() for seed, p in enumerate(of_seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_worst_misses_are_the_most_confident_wrong_calls():
    test = missed(m1=(0.1, 0.5), m2=(0.9, 0.5), m3=(0.0, 0.1), b1=(0.9, 0.9), b2=(0.1, 0.2), b3=(0.41, 0.41))
    assert worst_misses(test, "malignant")["lesion_id"].tolist() == ["m3", "m1"]
    assert worst_misses(test, "benign")["lesion_id"].tolist() == ["b1", "b3"]
    assert worst_misses(test, "malignant")["probability"].tolist() == pytest.approx([0.05, 0.3])
    scores = pd.DataFrame(columns=["part", "database", "measure", "mix", "value"])
    images = ImageSet(np.arange(6)[:, None, None] * np.ones((1, 8, 8)) * 20, [1, 1, 1, 0, 0, 0], test["lesion_id"][::2])
    shown = [axis for axis in plot_misses(*OF, test, scores, images).axes if axis.images]
    assert [axis.images[0].get_array()[0, 0] for axis in shown] == [40, 0, 60, 100]
    assert shown[0].get_xlabel() == "p 0.05 (threshold 0.40)\nm3\na"


def test_the_best_hybrid_holds_real_and_synthetic_images(study):
    _, scores = study
    values = rows_of(scores)["value"]
    assert best_hybrid(scores) == values[["real+sngan", "real+sngan@2", "real+sngan@balance", "real+cgan"]].idxmax()
    assert best_hybrid(scores[scores["mix"].isin(["real", "sngan", "real@2"])]) is None


def test_gains_stand_beside_the_quality_of_their_gan(study):
    _, scores = study
    quality = quality_rows(("sngan", "cgan", "real"), MEASURES, seeds=(0, 2))
    quality = quality[quality["modality"] == "ultrasound"]
    found = gains(compared(scores).reset_index(), quality, NETWORK)
    assert list(found["measure"].unique()) == ["KD (SqueezeNet 1.1)", "label accuracy"]
    points = found[found["measure"] == "label accuracy"].set_index("mix")
    assert points[["generator", "dose", "quality"]].to_dict("index") == {
        "real+sngan": {"generator": "sngan", "dose": 1, "quality": 11},
        "real+sngan@2": {"generator": "sngan", "dose": 2, "quality": 11},
        "real+cgan": {"generator": "cgan", "dose": 1, "quality": 21},
    }
    assert points["gain"].to_dict() == rows_of(scores).loc[points.index, "difference"].to_dict()
    figure = plot_gains(*OF, scores, quality, NETWORK)
    for axis in figure.axes:
        drawn = {tuple(line.get_xydata()[0]) for line in axis.lines[1:]}
        assert drawn == set(zip(points["quality"], points["gain"]))
        assert "n = 3, GANs: 2; too few for a correlation" in axis.get_title(loc="left")


def test_a_rank_correlation_is_spearmans_with_an_interval_and_none_of_few_points():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=40), 1)  # with ties
    y = x + rng.normal(size=40)
    rho, low, high = rank_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert 0 < low < rho < high < 1
    assert rank_correlation(x[:FEWEST_POINTS], -x[:FEWEST_POINTS])[0] == pytest.approx(-1)
    assert np.isnan(rank_correlation(x[: FEWEST_POINTS - 1], y[: FEWEST_POINTS - 1])).all()
    assert np.isnan(rank_correlation(np.ones(9), y[:9])).all()


def test_doses_and_shares_are_plotted_by_the_studies_that_have_several(tmp_path):
    def planned(**study):
        plan = snakemake(tmp_path, "--dry-run", study={"gans": ["sngan"], **study}).stdout
        [made] = set(re.findall(r"output: (.*roc_ultrasound_resnet18.*)", plan))
        return {kind for kind in ("doses", "shares", "gains") if f"/{kind}_ultrasound_resnet18.svg" in made}

    assert planned(mixes=["real", "sngan"]) == set()
    assert planned(mixes=["real", "real+sngan"]) == {"gains"}
    assert planned(mixes=["real", "real+sngan", "real+sngan@2"], shares=[100, 50]) == {"doses", "shares", "gains"}
