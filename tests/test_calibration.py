"""Calibration against statsmodels and scikit-learn, and what a recalibration does to probabilities."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from mammosynth.arrays.calibration import (
    FLATTEST,
    calibration_intercept,
    calibration_slope,
    logit,
    recalibrated,
    recalibration,
)


def overconfident(n=400, factor=2.5, shift=0.0, seed=0):
    """Labels and probabilities whose log-odds are *factor* times the true ones, plus *shift*."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-0.5, 1.2, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-true))).astype(int)
    return labels, 1 / (1 + np.exp(-(factor * true + shift)))


@pytest.mark.parametrize("shift", [-6.0, 0.0, 6.0])
def test_slope_and_intercept_are_those_of_statsmodels_in_every_resample(shift):
    labels, probability = overconfident(shift=shift)
    weights = np.random.default_rng(1).integers(0, 4, (5, 400)).astype(float)
    x = logit(probability)
    for score, design, offset, which in (
        (calibration_slope, sm.add_constant(x), None, 1),
        (calibration_intercept, np.ones((400, 1)), x, 0),
    ):
        theirs = [
            sm.GLM(labels, design, sm.families.Binomial(), offset=offset, freq_weights=row).fit(tol=1e-12).params[which]
            for row in weights
        ]
        np.testing.assert_allclose(score(labels, probability, None, weights), theirs, rtol=1e-6)


def test_right_probabilities_have_slope_one_and_intercept_zero():
    labels, probability = overconfident(n=200_000, factor=1.0)
    once = np.ones((1, len(labels)))
    assert calibration_slope(labels, probability, None, once)[0] == pytest.approx(1, abs=0.03)
    assert calibration_intercept(labels, probability, None, once)[0] == pytest.approx(0, abs=0.03)


def test_where_the_likelihood_has_no_maximum_there_is_no_slope():
    labels, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 1.0])
    weights = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0]])
    assert np.isnan(calibration_slope(labels, probability, None, weights)).all()
    assert np.isnan(calibration_slope(labels, np.full(4, 0.3), None, weights)).all()
    intercepts = calibration_intercept(labels, probability, None, weights)
    assert np.isfinite(intercepts[[0, 2]]).all()
    assert np.isnan(intercepts[1])


@pytest.mark.parametrize(("factor", "shift"), [(2.5, 0.0), (0.3, 3.0), (6.0, -4.0)])
def test_a_recalibration_is_platts(factor, shift):
    """By scikit-learn: each image as malignant and as benign, weighted by Platt's aims."""
    labels, probability = overconfident(n=90, factor=factor, shift=shift)
    aims = np.where(labels == 1, (labels.sum() + 1) / (labels.sum() + 2), 1 / ((1 - labels).sum() + 2))
    twice = np.tile(logit(probability), 2)[:, None]
    regression = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    regression.fit(twice, np.repeat([1, 0], 90), np.concatenate([aims, 1 - aims]))
    expected = regression.intercept_[0], regression.coef_[0, 0]
    assert recalibration(labels, probability) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_recalibration_finds_the_temperature_and_the_prevalence():
    """Log-odds 2.5 times too large, of classes at .5, on images at .2: a slope of 1 / 2.5 and a shift by log .25."""
    rng = np.random.default_rng(0)
    labels = (rng.random(200_000) < 0.2).astype(int)
    balanced = rng.normal(labels, 1) - 0.5  # log-odds of two normal distributions, at equal frequency
    probability = 1 / (1 + np.exp(-2.5 * balanced))
    found = recalibration(labels, probability)
    assert found == pytest.approx((np.log(0.25), 1 / 2.5), rel=0.03)
    true = 1 / (1 + np.exp(-(balanced + np.log(0.25))))
    np.testing.assert_allclose(recalibrated(probability, *found), true, atol=0.01)


def test_a_recalibration_lowers_the_loss_keeps_the_order_and_has_the_parts_prevalence():
    labels, probability = overconfident(factor=3, shift=2)
    found = recalibrated(probability, *recalibration(labels, probability))
    assert log_loss(labels, found) < log_loss(labels, probability) - 0.1
    assert (np.argsort(found) == np.argsort(probability)).all()
    assert found.mean() == pytest.approx(labels.mean(), abs=0.005)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
def test_a_part_that_is_separated_or_wrongly_ordered_promises_no_certainty_and_keeps_the_order(labels):
    probability = np.array([0.001, 0.01, 0.99, 1.0])
    intercept, slope = recalibration(np.array(labels), probability)
    found = recalibrated(probability, intercept, slope)
    assert (np.diff(found) > 0).all()
    assert ((found > 0.1) & (found < 0.9)).all()
    assert (slope > FLATTEST) == (labels == [0, 0, 1, 1])
