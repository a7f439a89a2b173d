"""Nuisances: what is told of ROIs, and how well it alone tells the classes, where the answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mammosynth import nuisances
from mammosynth.nuisances import ALL, auroc_within_folds, compare, cross_fit, judge, numbers, share_of_marks


@pytest.fixture
def rois():
    """300 ROIs of 150 patients, a third of them malignant, in which nothing goes with the class."""
    rng = np.random.default_rng(0)
    n = 300
    return pd.DataFrame(
        {
            "pathology": np.where(np.arange(n) // 2 % 3 == 0, "malignant", "benign"),
            "group": [f"p{i // 2}" for i in range(n)],
            "database": "a",
            "scale": rng.uniform(0.5, 4, n),
            "padded": rng.choice([0, 0, 0.1, 0.3], n),
            "moved": rng.choice([0, 0.05, 0.2], n),
            "beyond": 0.0,
            "marks": rng.choice([0, 0.002], n),
            "window_low": rng.integers(0, 20, n),
            "window_high": rng.integers(200, 256, n),
        }
    )


def test_marks_are_fine_and_white():
    rng = np.random.default_rng(0)
    scan = rng.integers(40, 120, (200, 200)).astype(np.uint8)
    assert share_of_marks(scan, 20, 220) == 0
    scan[60:120, 60:120] = 215  # a bright, but broad echo
    assert share_of_marks(scan, 20, 220) < nuisances.MARKED
    marked = scan.copy()
    marked[20, 30:90] = marked[5:35, 60] = 255  # a calliper
    assert share_of_marks(marked, 20, 220) == pytest.approx(89 / 200**2, rel=0.15)  # and the echo's corners
    deep = marked.astype(np.uint16) * 200
    assert share_of_marks(deep, 4000, 44000) == share_of_marks(marked, 20, 220)


def test_marks_of_a_large_part_are_told_from_a_sample():
    scan = np.full((1000, 1000), 50, dtype=np.uint8)
    scan[::10] = 255  # 100,000 bright pixels
    assert share_of_marks(scan, 20, 220) == pytest.approx(0.1, rel=0.02)


def test_nuisances_that_tell_nothing(rois, monkeypatch):
    assert list(judge(rois)["nuisance"]) == ["size", "padding", "move", "marks", "window", ALL]  # one database: nothing
    monkeypatch.setattr(nuisances, "RESAMPLES", 200)
    found = []
    for seed in range(20):  # other patients malignant each time
        malignant = np.random.default_rng(seed).permutation(150)[rois.index // 2] % 3 == 0
        found.append(judge(rois.assign(pathology=np.where(malignant, "malignant", "benign"))))
    found = pd.concat(found)
    assert found["auroc"].mean() == pytest.approx(0.5, abs=0.02)
    assert (found["low"] > 0.5).mean() < 0.1


@pytest.mark.parametrize(
    ("column", "benign", "malignant", "nuisance"),
    [
        ("scale", (0.5, 2), (1.9, 4), "size"),
        ("padded", (0, 0.01), (0.05, 0.5), "padding"),
        ("beyond", (0, 0.01), (0.05, 0.5), "move"),
        ("marks", (0.001, 0.003), (0, 0.0009), "marks"),
        ("window_high", (200, 220), (215, 255), "window"),
    ],
)
def test_a_shortcut_is_found_and_named(rois, column, benign, malignant, nuisance):
    rng = np.random.default_rng(1)
    drawn = {"benign": rng.uniform(*benign, len(rois)), "malignant": rng.uniform(*malignant, len(rois))}
    rois[column] = np.where(rois["pathology"] == "benign", drawn["benign"], drawn["malignant"])
    found = judge(rois).set_index("nuisance")
    for name in (nuisance, ALL):
        assert found.loc[name, "auroc"] > 0.9, name
        assert not found.loc[name, "low"] < 0.8, name  # none where all resamples agree
    others = found.drop([nuisance, ALL])
    assert (others["auroc"] < 0.65).all()


def test_a_database_of_one_class_is_a_shortcut(rois):
    rois["database"] = np.where((rois["pathology"] == "malignant") & (rois.index % 4 > 0), "b", "a")
    found = judge(rois).set_index("nuisance")
    assert found.loc["database", "auroc"] > 0.8
    table = compare(rois).set_index("what")
    assert table.loc["share from b", "benign"] == 0
    assert table.loc["share from b", "malignant"] == pytest.approx(0.75, abs=0.03)


def test_what_tells_patients_apart_tells_nothing_of_others(rois):
    """Two ROIs of a patient share a scale that is the patient's own: known to a model that saw one of them."""
    patient = rois["group"].str[1:].astype(int)
    rois["scale"] = np.exp(patient.map(dict(enumerate(np.random.default_rng(2).permutation(150)))) / 40)
    assert judge(rois).set_index("nuisance").loc["size", "low"] < 0.5
    _, fold = np.unique(rois["group"], return_inverse=True)
    values, labels = rois[["scale"]].to_numpy(), (rois["pathology"] == "malignant").to_numpy(int)
    probability = cross_fit(values, labels, fold % 5)
    for one in range(5):  # what is said of a fold does not change with its own labels
        changed = np.where(fold % 5 == one, 1 - labels, labels)
        assert np.array_equal(cross_fit(values, changed, fold % 5)[fold % 5 == one], probability[fold % 5 == one])


def test_auroc_compares_within_folds_only():
    rng = np.random.default_rng(0)
    labels, fold = rng.integers(0, 2, 200), np.repeat([0, 1], 100)
    probability = rng.random(200) + 0.3 * labels
    one = auroc_within_folds(labels, probability, np.zeros(200), np.ones((1, 200)))[0]
    assert one == pytest.approx(roc_auc_score(labels, probability))
    shifted = probability + 10 * fold
    found = auroc_within_folds(labels, shifted, fold, np.ones((2, 200)))
    parts = [(labels[fold == k], shifted[fold == k]) for k in (0, 1)]
    pairs = [y.sum() * (1 - y).sum() for y, _ in parts]
    assert found == pytest.approx(np.average([roc_auc_score(*part) for part in parts], weights=pairs))
    assert np.isnan(auroc_within_folds(np.ones(4), np.arange(4.0), np.zeros(4), np.ones((1, 4))))


def test_what_does_not_vary_is_left_out(rois):
    same = rois.assign(scale=1.0, padded=0.0, moved=0.0, marks=np.nan, window_low=0, window_high=255)
    assert numbers(same) == {}
    assert judge(same).empty
    assert list(numbers(rois.assign(marks=np.nan))) == ["size", "padding", "move", "window", ALL]


def test_too_few_patients_are_not_judged(rois):
    one = rois[(rois["pathology"] == "benign") | (rois["group"] == "p0")]
    assert judge(one).empty
    assert judge(rois[rois["pathology"] == "benign"]).empty
    few = rois[rois["group"].isin(["p0", "p3", "p1", "p2"])]
    assert judge(few).empty or judge(few)["auroc"].between(0, 1).all()


def test_classes_are_compared(rois):
    rois.loc[rois["pathology"] == "malignant", ["padded", "beyond", "marks"]] = [0.25, 0.5, np.nan]
    table = compare(rois).set_index("what")
    assert table.loc["share of ROIs that are padded", "malignant"] == 1
    assert table.loc["share of ROIs that are padded", "benign"] == pytest.approx(0.5, abs=0.1)
    assert table.loc["share of ROIs whose lesion crosses the border", "malignant"] == 1
    assert np.isnan(table.loc["share of ROIs with callipers, text or the like", "malignant"])
    assert "share from a" not in table.index
    assert "share of ROIs with callipers, text or the like" not in compare(rois.assign(marks=np.nan))["what"].to_list()
