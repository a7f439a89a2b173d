"""Scores of a study's predictions: paired, by patient, by fold."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from mammosynth.arrays.statistics import area_under_roc
from mammosynth.classifiers.scores import score
from mammosynth.errors import InputError


def predictions(skill, mix="real", seed=0, fold=0, n=60, database="a", noise=0, classifier="resnet18"):
    """A fold's predictions of n images, two a patient; probability rises by *skill* with malignancy."""
    rng = np.random.default_rng([fold, n])
    malignant = np.repeat(np.arange(n // 2) % 3 == 0, 2)
    logit = skill * malignant + rng.normal(size=n) + noise * np.random.default_rng(seed + 7).normal(size=n)
    return pd.DataFrame(
        {
            "modality": "ultrasound",
            "fold": fold,
            "share": 100,
            "classifier": classifier,
            "mix": mix,
            "seed": seed,
            "part": "test",
            "lesion_id": [f"{database}{fold}_{i:03d}" for i in range(n)],
            "patient_id": [f"{database}{fold}_{i // 2}" for i in range(n)],
            "database": database,
            "pathology": np.where(malignant, "malignant", "benign"),
            "probability": 1 / (1 + np.exp(-logit)),
            "threshold": 0.6,
        }
    )


def row(scores, **values):
    for column, value in values.items():
        scores = scores[scores[column] == value]
    assert len(scores) == 1
    return scores.iloc[0]


def test_values_and_numbers_are_those_of_the_test_part():
    test = predictions(1.5)
    validation = predictions(9, n=40).assign(part="val")
    scores = score(pd.concat([test, validation]), 200, 0)
    auroc = row(scores, measure="AUROC")
    assert auroc["value"] == pytest.approx(area_under_roc(test["pathology"] == "malignant", test["probability"]))
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert (auroc["n"], auroc["n_patients"], auroc["runs"]) == (60, 30, 1)
    assert np.isnan(auroc["sd"])
    specificity = row(scores, measure="benign accuracy")
    benign = test[test["pathology"] == "benign"]
    assert specificity["value"] == pytest.approx((benign["probability"] < 0.6).mean())
    assert (specificity["n"], specificity["n_patients"]) == (40, 20)


def test_runs_are_averaged_not_pooled():
    """A shift of all probabilities between folds, which pooling would punish, changes nothing."""
    first, second = predictions(1.5), predictions(1.5, fold=1)
    shifted = second.assign(probability=second["probability"] * 1e-3)
    frame = pd.concat([first, shifted])
    auroc = row(score(frame, 100, 0), measure="AUROC")
    each = [area_under_roc(f["pathology"] == "malignant", f["probability"]) for f in (first, second)]
    assert auroc["value"] == pytest.approx(np.mean(each))
    assert auroc["sd"] == pytest.approx(np.std(each, ddof=1))
    assert (auroc["n"], auroc["runs"]) == (120, 2)


def test_differences_are_paired():
    """Two nearly equal classifiers: their difference is far more certain than either score."""
    frame = pd.concat([predictions(1.0), predictions(1.1, mix="real+sngan", noise=0.02)])
    auroc = row(score(frame, 500, 0), mix="real+sngan", measure="AUROC")
    assert auroc["difference_high"] - auroc["difference_low"] < (auroc["high"] - auroc["low"]) / 3
    assert auroc["difference_low"] <= auroc["difference"] <= auroc["difference_high"]


def test_an_equal_classifier_differs_by_nothing_and_a_better_one_significantly():
    frame = pd.concat([predictions(0.2), predictions(0.2, mix="real@2"), predictions(6, mix="sngan")])
    scores = score(frame, 500, 0)
    equal, better = (row(scores, mix=mix, measure="AUROC") for mix in ("real@2", "sngan"))
    assert equal["difference"] == 0
    assert np.isnan(equal["difference_low"])
    assert equal["p"] == equal["p_holm"] == 1
    assert better["difference_low"] > 0
    assert better["p_holm"] == pytest.approx(2 * better["p"])
    assert np.isnan(row(scores, mix="real", measure="AUROC")["difference"])


def test_each_classifier_is_compared_with_its_own_on_real_images_on_the_same_patients():
    first = [predictions(0.2), predictions(1.5, mix="sngan"), predictions(1.5, mix="real+sngan")]
    other = [predictions(1.5, classifier="b"), predictions(0.2, mix="sngan", classifier="b")]
    together, alone = score(pd.concat(first + other), 200, 0), score(pd.concat(other), 200, 0)
    better, worse = (row(together, classifier=c, mix="sngan", measure="AUROC") for c in ("resnet18", "b"))
    real_of_b = row(together, classifier="b", mix="real", measure="AUROC")
    assert (better["difference"], better["low"]) == pytest.approx((-worse["difference"], real_of_b["low"]))
    assert better["p_holm"] == pytest.approx(2 * better["p"])
    assert worse["p_holm"] == worse["p"]
    own = together[together["classifier"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)


def test_several_databases_have_rows_of_their_own():
    frame = pd.concat([predictions(1.0), predictions(3.0, database="b", n=30)])
    scores = score(frame, 100, 0)
    assert set(scores["database"]) == {"all", "a", "b"}
    assert [row(scores, database=d, measure="AUROC")["n"] for d in ("all", "a", "b")] == [90, 60, 30]
    assert score(predictions(1.0), 100, 0)["database"].unique().tolist() == ["all"]


def test_scores_repeat_with_their_seed():
    frame = predictions(1.0)
    pd.testing.assert_frame_equal(score(frame, 100, 1), score(frame, 100, 1))
    assert (score(frame, 100, 1)["low"] != score(frame, 100, 2)["low"]).any()


def test_mixes_predicted_on_other_images_are_refused():
    frame = pd.concat([predictions(1.0), predictions(1.0, mix="sngan").iloc[1:]])
    with pytest.raises(InputError, match="mix sngan, seed 0 has other test images"):
        score(frame, 10, 0)


def runs_of(luck: float, gain: float, folds=range(3), seeds=range(3), n=240) -> pd.DataFrame:
    """Predictions of two mixes whose trainings differ by luck: so much in the distance of the classes."""
    rng, frames = np.random.default_rng(1), []
    for fold, seed, mix in product(folds, seeds, ("real", "real+sngan")):
        skill = 1 + luck * rng.standard_normal() + (gain if mix != "real" else 0)
        frames.append(predictions(skill, mix, fold=fold, seed=seed, n=n))
    return pd.concat(frames)


def test_the_luck_of_training_widens_intervals_and_changes_the_verdict():
    steady, lucky = (score(runs_of(luck, 0.3), 300, 0) for luck in (0, 0.8))
    steady, lucky = (row(of, mix="real+sngan", measure="AUROC") for of in (steady, lucky))
    assert (steady["chance"], lucky["chance"]) == ("seeds", "seeds")
    assert lucky["luck"] > 5 * steady["luck"]
    assert lucky["difference_high"] - lucky["difference_low"] > 2 * (
        steady["difference_high"] - steady["difference_low"]
    )
    assert lucky["smallest_difference"] > 2 * steady["smallest_difference"]
    assert steady["p_holm"] < 0.05 < lucky["p_holm"]


def test_equal_mixes_are_shown_to_be_no_different_within_a_margin():
    frame = runs_of(0.02, 0, n=600)
    wide, narrow = (row(score(frame, 300, 0, margin), mix="real+sngan", measure="AUROC") for margin in (0.1, 0.001))
    assert wide["equivalence_p"] < 0.05 < narrow["equivalence_p"]
    assert (wide["margin"], narrow["margin"]) == (0.1, 0.001)


def test_one_run_says_nothing_of_equivalence_or_of_what_could_be_shown():
    found = row(score(runs_of(0, 0, folds=[0], seeds=[0]), 300, 0), mix="real+sngan", measure="AUROC")
    assert found["chance"] == "patients"
    assert np.isnan(found[["equivalence_p", "smallest_difference", "luck"]].to_numpy(float)).all()
