"""Scores with known answers, and intervals that know what a patient is."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics

from mammosynth.arrays.statistics import (
    SCORES,
    area_under_roc,
    bootstrap_p,
    draw_patients,
    interval,
    roc_curve,
    sensitivity_threshold,
    youden_threshold,
)

LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITY = np.array([0.1, 0.4, 0.7, 0.4, 0.9])


def score(name, labels=LABELS, probability=PROBABILITY, threshold=0.5, weights=None):
    weights = np.ones((1, len(labels))) if weights is None else weights
    return SCORES[name](labels, probability, probability >= threshold, weights)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("benign accuracy", 2 / 3),
        ("malignant accuracy", 1 / 2),
        ("balanced accuracy", 7 / 12),
        ("PPV", 1 / 2),
        ("NPV", 2 / 3),
        ("F1", 1 / 2),
        ("MCC", (1 * 2 - 1 * 1) / np.sqrt(2 * 2 * 3 * 3)),
        ("AUROC", (1 + 0.5 + 0 + 3) / 6),  # .4 beats .1, ties .4, loses to .7; .9 beats all three
        ("average precision", 0.5 * 1 + 0.5 * 2 / 4),
        ("Brier score", (0.01 + 0.16 + 0.49 + 0.36 + 0.01) / 5),
    ],
)
def test_a_score_by_hand(name, by_hand):
    assert score(name)[0] == pytest.approx(by_hand)


def test_scores_agree_with_scikit_learn_ties_and_weights_included():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    probability = rng.integers(0, 9, 60) / 9
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    theirs = {"AUROC": metrics.roc_auc_score, "average precision": metrics.average_precision_score}
    for name, reference in theirs.items():
        expected = [reference(labels, probability, sample_weight=row) for row in weights]
        np.testing.assert_allclose(score(name, labels, probability, weights=weights), expected)
    expected = [metrics.brier_score_loss(labels, probability, sample_weight=row) for row in weights]
    np.testing.assert_allclose(score("Brier score", labels, probability, weights=weights), expected)
    of_calls = {
        "benign accuracy": partial(metrics.recall_score, pos_label=0),
        "malignant accuracy": metrics.recall_score,
        "balanced accuracy": metrics.balanced_accuracy_score,
        "PPV": metrics.precision_score,
        "NPV": partial(metrics.precision_score, pos_label=0),
        "F1": metrics.f1_score,
        "MCC": metrics.matthews_corrcoef,
    }
    for name, reference in of_calls.items():
        expected = [reference(labels, probability >= 0.5, sample_weight=row) for row in weights]
        np.testing.assert_allclose(score(name, labels, probability, weights=weights), expected)


@pytest.mark.parametrize("name", SCORES)
def test_a_weight_is_a_repetition(name):
    weights = np.array([[2.0, 1, 0, 3, 1], [2, 1, 1, 3, 1]])
    for found, row in zip(score(name, weights=weights), weights):
        rows = np.repeat(np.arange(5), row.astype(int))
        repeated = score(name, LABELS[rows], PROBABILITY[rows])
        assert found == pytest.approx(repeated[0], nan_ok=True)


def test_a_score_without_its_class_is_undefined_not_zero():
    only_benign = np.array([[1.0, 1, 1, 0, 0]])
    undefined = ("malignant accuracy", "balanced accuracy", "MCC", "AUROC", "average precision")
    for name in (*undefined, "calibration slope", "calibration intercept"):
        assert np.isnan(score(name, weights=only_benign)[0])
    assert np.isnan(area_under_roc(np.zeros(3), np.ones(3)))


def test_the_interval_agrees_with_delong_where_images_are_patients():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [150, 100])
    probability = rng.normal(labels * 1.0)
    # DeLong, DeLong and Clarke-Pearson 1988: variance from the placements of each class.
    above = probability[labels == 1][:, None] > probability[labels == 0][None]
    sd = np.sqrt(above.mean(1).var(ddof=1) / 100 + above.mean(0).var(ddof=1) / 150)
    resampled = score("AUROC", labels, probability, weights=draw_patients(np.arange(250), 4000, rng))
    assert resampled.std() == pytest.approx(sd, rel=0.06)
    low, high = interval(resampled)
    assert (high - low) / 2 == pytest.approx(1.96 * sd, rel=0.08)


def test_images_of_a_patient_widen_the_interval():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 40)
    probability = rng.normal(labels * 0.8)
    labels, probability, patients = (np.repeat(x, 4) for x in (labels, probability, np.arange(80)))
    by_patient = score("AUROC", labels, probability, weights=draw_patients(patients, 2000, rng))
    by_image = score("AUROC", labels, probability, weights=draw_patients(np.arange(320), 2000, rng))
    # Four identical images a patient: their number must not narrow the interval, and half a width is what it would do.
    assert np.ptp(interval(by_patient)) == pytest.approx(2 * np.ptp(interval(by_image)), rel=0.12)


def test_patients_come_and_go_as_a_whole():
    weights = draw_patients(np.array(["a", "b", "a", "c"]), 50, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()


def test_resamples_that_agree_give_no_interval():
    assert np.isnan(interval(np.ones(100))).all()
    assert np.isnan(interval(np.full(10, np.nan))).all()
    low, high = interval(np.append(np.arange(101.0), np.nan))
    assert (low, high) == pytest.approx((2.5, 97.5))


def test_p_of_a_difference():
    assert bootstrap_p(np.zeros(99)) == 1
    assert bootstrap_p(np.ones(99)) == pytest.approx(0.02)
    assert bootstrap_p(np.array([-1.0] * 24 + [1.0] * 75)) == pytest.approx(0.5)


def test_the_threshold_separates_what_can_be_separated():
    assert youden_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(0.5)
    assert youden_threshold(LABELS, PROBABILITY) == pytest.approx(0.8)  # J is 1/3 at .25, 1/2 at .8
    assert youden_threshold(np.array([0, 1, 1]), np.array([0.3, 0.3, 0.3])) == 0.5


def test_what_is_called_of_no_image_is_undefined():
    assert np.isnan(score("PPV", threshold=1.0)[0])
    assert np.isnan(score("NPV", threshold=0.0)[0])
    assert np.isnan(score("MCC", threshold=0.0)[0])


@pytest.mark.parametrize("least", [0.5, 0.9, 0.95, 1.0])
def test_the_threshold_for_a_sensitivity_is_the_highest_that_reaches_it(least):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 90)
    probability = rng.integers(0, 40, 90) / 40
    threshold = sensitivity_threshold(labels, probability, least)
    _, sensitivities, thresholds = metrics.roc_curve(labels, probability, drop_intermediate=False)
    highest = thresholds[sensitivities >= least].max()  # of those that are probabilities themselves
    assert threshold <= highest
    assert not ((probability >= threshold) != (probability >= highest)).any()


def test_a_threshold_for_a_sensitivity_where_one_image_decides():
    assert sensitivity_threshold(LABELS, PROBABILITY) == pytest.approx(0.25)  # .4 must be called, .1 need not
    assert sensitivity_threshold(np.array([1, 0]), np.array([0.1, 0.9])) == 0
    assert sensitivity_threshold(np.zeros(3), np.array([0.1, 0.2, 0.3])) == 0.5


def test_the_roc_curve_encloses_the_area_of_the_ranks():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 80)
    grid = np.linspace(0, 1, 20001)
    for probability in (rng.integers(0, 7, 80) / 7, rng.random(80)):  # with ties and without
        curve = roc_curve(labels, probability, grid)
        assert np.trapezoid(curve, grid) == pytest.approx(area_under_roc(labels, probability), abs=1e-3)
        assert curve[-1] == 1
    assert (roc_curve(np.array([0, 1]), np.array([0.2, 0.7]), np.array([0, 0.5, 1])) == 1).all()
