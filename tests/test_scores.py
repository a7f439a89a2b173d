"""Scores of a study's predictions: paired, by patient, by fold."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.contingency_tables import mcnemar

from mammosynth.arrays.comparisons import delong
from mammosynth.classifiers.paired import compare
from mammosynth.classifiers.scores import score
from mammosynth.classifiers.validation import decided
from mammosynth.errors import InputError
from mammosynth.findings.conclusions import verdict


def predictions(skill, mix="real", seed=0, fold=0, n=60, database="a", noise=0, classifier="resnet18", test="test"):
    """A fold's predictions of n test images, two a patient, and 40 of validation; probability rises by *skill*."""
    where = {"modality": "ultrasound", "fold": fold, "share": 100, "classifier": classifier, "mix": mix, "seed": seed}
    return pd.concat(
        [
            images(skill, n, fold, seed, noise, database).assign(**where, part=test),
            images(skill, 40, fold, seed, noise, f"{database}_val").assign(**where, part="val", database=database),
        ],
        ignore_index=True,
    )


def images(skill, n, fold, seed, noise, name):
    """Of n images, two a patient, every third of whom is malignant."""
    rng = np.random.default_rng([fold, n])
    malignant = np.repeat(np.arange(n // 2) % 3 == 0, 2)
    logit = skill * malignant + rng.normal(size=n) + noise * np.random.default_rng(seed + 7).normal(size=n)
    return pd.DataFrame(
        {
            "lesion_id": [f"{name}{fold}_{i:03d}" for i in range(n)],
            "patient_id": [f"{name}{fold}_{i // 2}" for i in range(n)],
            "database": name,
            "pathology": np.where(malignant, "malignant", "benign"),
            "probability": 1 / (1 + np.exp(-logit)),
        }
    )


def part_of(frame, part="test"):
    """Rows of a part, with labels as sklearn and statsmodels take them."""
    rows = frame[frame["part"] == part]
    return rows.assign(label=(rows["pathology"] == "malignant").astype(int))


def row(scores, **values):
    for column, value in values.items():
        scores = scores[scores[column] == value]
    assert len(scores) == 1
    return scores.iloc[0]


def test_values_and_numbers_are_those_of_the_test_part():
    frame = predictions(1.5)
    test, scores = part_of(frame), score(frame, 200, 0)
    auroc = row(scores, measure="AUROC")
    assert auroc["value"] == pytest.approx(metrics.roc_auc_score(test["label"], test["probability"]))
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert (auroc["n"], auroc["n_patients"], auroc["runs"]) == (60, 30, 1)
    assert np.isnan(auroc["sd"])
    specificity = row(scores, measure="benign accuracy", threshold="Youden")
    assert (specificity["n"], specificity["n_patients"]) == (40, 20)


def youden_by_roc(labels, probability):
    """Youden's threshold on scikit-learn's curve, midway to the next probability; of several the nearest to 0.5."""
    false_positives, sensitivities, midway = by_roc(labels, probability)
    index = sensitivities - false_positives
    return min(midway[np.isclose(index, index.max())], key=lambda threshold: abs(threshold - 0.5))


def sensitive_by_roc(labels, probability):
    """The highest threshold on it that calls 95 % of the malignant images malignant."""
    _, sensitivities, midway = by_roc(labels, probability)
    return midway[np.argmax(sensitivities >= 0.95)]


def by_roc(labels, probability):
    false_positives, sensitivities, at = metrics.roc_curve(labels, probability, drop_intermediate=False)
    return false_positives, sensitivities, (at + np.append(at[1:], -at[-1])) / 2


@pytest.mark.parametrize(("threshold", "choose"), [("Youden", youden_by_roc), ("sensitivity 95 %", sensitive_by_roc)])
@pytest.mark.parametrize("part", ["test", "external"])
def test_calls_are_those_at_the_threshold_of_the_validation_part(threshold, choose, part):
    """Of each run its own: two mixes, folds and seeds, whose probabilities lie at levels of their own."""
    frames = [
        predictions(1 + fold, mix, seed, fold, noise=0.5, n=200, test=part).assign(
            probability=lambda rows, place=i: rows["probability"] ** (1 + place)
        )
        for i, (mix, seed, fold) in enumerate(product(("real", "sngan"), (0, 1), (0, 1)))
    ]
    if part == "external":  # the same images for all runs
        ids = part_of(frames[0], part)[["lesion_id", "patient_id", "pathology"]].to_numpy()
        for frame in frames:
            frame.loc[frame["part"] == part, ["lesion_id", "patient_id", "pathology"]] = ids
    scores = score(pd.concat(frames), 100, 0)
    for mix in ("real", "sngan"):
        expected = []
        for frame in frames:
            validation, tested = part_of(frame, "val"), part_of(frame, part)
            called = tested["probability"] >= choose(validation["label"], validation["probability"])
            right, wrong = (metrics.confusion_matrix(tested["label"], called).ravel()[i::2] for i in (0, 1))
            (tn, fn), (fp, tp) = right, wrong
            values = {"benign accuracy": tn / (tn + fp), "malignant accuracy": tp / (tp + fn)}
            values |= {"PPV": tp / (tp + fp), "NPV": tn / (tn + fn)}
            expected += [values] if frame["mix"].iloc[0] == mix else []
        for measure, mean in pd.DataFrame(expected).mean().items():
            found = row(scores, mix=mix, measure=measure, threshold=threshold)["value"]
            assert found == pytest.approx(mean), measure
            assert found != expected[0][measure], "else one run's threshold would do for all"


def test_a_score_has_the_thresholds_that_it_needs():
    scores = score(predictions(1.0), 50, 0)
    thresholds = scores.groupby("measure")["threshold"].agg(lambda of: set(of.dropna()))
    assert set(thresholds[["benign accuracy", "malignant accuracy", "PPV", "NPV"]].map(len)) == {2}
    assert set(thresholds[["balanced accuracy", "F1", "MCC"]].map(tuple)) == {("Youden",)}
    assert not any(thresholds[["AUROC", "average precision", "Brier score", "calibration slope"]])


def platt(validation, probability):
    """Platt's scaling by scikit-learn: each image as malignant and as benign, weighted by his aims."""
    aims = np.where(
        validation["label"] == 1, (validation["label"].sum() + 1) / (validation["label"].sum() + 2),
        1 / ((1 - validation["label"]).sum() + 2),
    )  # fmt: skip
    x = special.logit(validation["probability"].to_numpy())[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.vstack([x, x]), np.repeat([1, 0], len(x)), np.concatenate([aims, 1 - aims])
    )
    return model.predict_proba(special.logit(np.asarray(probability))[:, None])[:, 1]


def test_scores_of_probabilities_are_of_those_calibrated_on_the_validation_part():
    frame = predictions(1.0, n=300)
    logit = special.logit(frame["probability"])
    frame["probability"] = special.expit(3 * logit + 2)  # too extreme, and of another prevalence
    validation, test = part_of(frame, "val"), part_of(frame)
    expected = platt(validation, test["probability"])
    scores, raw = score(frame, 50, 0), metrics.brier_score_loss(test["label"], test["probability"])
    brier = row(scores, measure="Brier score")["value"]
    assert brier == pytest.approx(metrics.brier_score_loss(test["label"], expected), rel=1e-5)
    assert brier < raw - 0.05
    offset = special.logit(expected)
    slope = sm.GLM(test["label"], sm.add_constant(offset), sm.families.Binomial()).fit().params.iloc[1]
    intercept = sm.GLM(test["label"], np.ones(300), sm.families.Binomial(), offset=offset).fit().params.iloc[0]
    assert row(scores, measure="calibration slope")["value"] == pytest.approx(slope, rel=1e-4)
    assert row(scores, measure="calibration intercept")["value"] == pytest.approx(intercept, abs=1e-4)
    gentle = score(frame.assign(probability=special.expit(logit)), 50, 0)
    for measure in ("AUROC", "average precision", "benign accuracy"):
        pd.testing.assert_frame_equal(scores[scores["measure"] == measure], gentle[gentle["measure"] == measure])


def test_labels_of_the_test_part_decide_nothing():
    frame = predictions(1.0)
    other = frame.copy()
    test = other["part"] == "test"
    other.loc[test, "pathology"] = other.loc[test, "pathology"].to_numpy()[::-1]
    columns = ["Youden", "sensitivity 95 %", "calibrated"]
    pd.testing.assert_frame_equal(decided(frame)[columns], decided(other)[columns])


def test_a_run_without_its_validation_part_is_refused():
    frame = pd.concat([predictions(1.0), part_of(predictions(1.0, mix="sngan", seed=3, fold=2))])
    with pytest.raises(InputError, match="fold 2, resnet18, mix sngan, seed 3 lack its validation part"):
        score(frame, 10, 0)


def test_runs_are_averaged_not_pooled():
    """A shift of all probabilities between folds, which pooling would punish, changes nothing."""
    first, second = predictions(1.5), predictions(1.5, fold=1)
    shifted = second.assign(probability=second["probability"] * 1e-3)
    auroc = row(score(pd.concat([first, shifted]), 100, 0), measure="AUROC")
    each = [metrics.roc_auc_score(f["label"], f["probability"]) for f in (part_of(first), part_of(second))]
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


def test_networks_of_each_run_are_compared_with_that_of_real_images_of_the_same_run():
    frames = [
        predictions(skill + (classifier == "b"), mix, seed, fold, noise=0.5, classifier=classifier)
        for (mix, skill), seed, fold, classifier in product(
            {"real": 0.5, "sngan": 1.5, "real+sngan": 0.9}.items(), (0, 1), (0, 2), ("a", "b")
        )
    ]
    found = compare(pd.concat(frames).sample(frac=1, random_state=0))
    assert len(found) == 2 * 2 * 2 * 2
    place = ["seed", "fold", "classifier"]
    of_real = {tuple(frame.loc[0, place]): frame for frame in frames if frame.loc[0, "mix"] == "real"}
    for mine in (frame for frame in frames if frame.loc[0, "mix"] != "real"):
        pair, reals = row(found, **mine.loc[0, [*place, "mix"]]), of_real[tuple(mine.loc[0, place])]
        test, real = part_of(mine), part_of(reals)
        areas = [metrics.roc_auc_score(of["label"], of["probability"]) for of in (test, real)]
        assert pair["difference"] == pytest.approx(areas[0] - areas[1])
        of_pair = delong(*(of.to_numpy() for of in (test["label"], test["probability"], real["probability"])),
                         test["patient_id"].to_numpy())  # fmt: skip
        assert (pair["difference_low"], pair["difference_high"], pair["p"]) == (*of_pair.interval(), of_pair.p())
        right, real_right = (calls(of) == part_of(of)["label"].to_numpy() for of in (mine, reals))
        table = [[(a & b).sum() for b in (real_right, ~real_right)] for a in (right, ~right)]
        assert (pair["only_mix_right"], pair["only_real_right"]) == (table[0][1], table[1][0])
        assert pair["p_mcnemar"] == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert (pair["n"], pair["n_patients"]) == (60, 30)


def calls(frame):
    """Calls of the test part at Youden's threshold of the validation part."""
    validation = part_of(frame, "val")
    return (part_of(frame)["probability"] >= youden_by_roc(validation["label"], validation["probability"])).to_numpy()


def test_a_part_of_one_class_has_no_difference_in_auroc_and_nothing_beside_real_is_no_row():
    benign = [frame[(frame["part"] == "val") | (frame["pathology"] == "benign")] for frame in
              (predictions(1.0), predictions(2.0, mix="sngan"))]  # fmt: skip
    found = compare(pd.concat(benign))
    assert np.isnan(found[["difference", "difference_low", "p"]].to_numpy(float)).all()
    assert found["n"].tolist() == [40]
    assert compare(predictions(1.0)).empty
    assert compare(predictions(1.0, mix="sngan")).empty


@pytest.mark.parametrize(
    ("of_real", "of_mix", "expected"),
    [
        (lambda p, m: p, lambda p, m: p + 1e-5, "no different"),  # a probe of each image twice
        (lambda p, m: 0.8 * m, lambda p, m: 0.8 * m + 0.1, "cannot tell"),  # both separate all images
        (lambda p, m: 0.5 + 1e-4 * p, lambda p, m: 0.5 - 1e-4 * p, "worse"),  # hardly trained, in the other order
    ],
    ids=["the same", "both perfect", "both near 0.5"],
)
def test_a_mix_that_predicts_the_same_and_no_other_is_shown_to_be_no_different(of_real, of_mix, expected):
    runs = pd.concat([predictions(1.5, seed=seed) for seed in (0, 1)])
    given = runs["probability"], runs["pathology"] == "malignant"
    real, mix = (runs.assign(mix=name, probability=of(*given)) for name, of in (("real", of_real), ("real@2", of_mix)))
    found = row(score(pd.concat([real, mix]), 50, 0), mix="real@2", measure="AUROC")
    assert verdict(found) == expected
    if expected == "no different":
        assert found[["difference", "difference_low", "difference_high", "equivalence_p"]].tolist() == [0, 0, 0, 0]
