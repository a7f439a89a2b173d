"""Calibration against statsmodels and scikit-learn, and what temperature and prevalence do to probabilities."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from mammosynth.arrays.calibration import (
    TEMPERATURES,
    at_prevalence,
    calibration_intercept,
    calibration_slope,
    cooled,
    logit,
    temperature,
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


def test_the_temperature_is_one_over_the_slope_through_the_origin():
    labels, probability = overconfident()
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(logit(probability)[:, None], labels)
    assert temperature(labels, probability) == pytest.approx(1 / regression.coef_[0, 0], rel=1e-4)


def test_the_temperature_lowers_the_loss_and_keeps_the_order():
    labels, probability = overconfident(factor=3)
    found = cooled(probability, temperature(labels, probability))
    assert log_loss(labels, found) < log_loss(labels, probability)
    assert (np.argsort(found) == np.argsort(probability)).all()
    assert ((found >= 0.5) == (probability >= 0.5)).all()


def test_a_part_that_is_separated_leaves_probabilities_between_0_and_1():
    labels, probability = np.array([0, 0, 1, 1]), np.array([0.2, 0.45, 0.6, 0.7])
    assert temperature(labels, probability) == pytest.approx(TEMPERATURES[0], rel=1e-3)
    assert temperature(1 - labels, probability) == pytest.approx(TEMPERATURES[1], rel=1e-3)


def test_another_prevalence_is_bayes_rule():
    """Scores of two normal distributions, whose posterior is known at each prevalence."""
    x = np.linspace(-2, 3, 11)

    def posterior(prevalence):
        malignant, benign = prevalence * np.exp(-((x - 1) ** 2) / 2), (1 - prevalence) * np.exp(-(x**2) / 2)
        return malignant / (malignant + benign)

    np.testing.assert_allclose(at_prevalence(posterior(0.5), 0.5, 0.3), posterior(0.3), rtol=1e-6)
    np.testing.assert_allclose(at_prevalence(posterior(0.3), 0.3, 0.02), posterior(0.02), rtol=1e-6)
    np.testing.assert_allclose(at_prevalence(posterior(0.3), 0.3, 0.3), posterior(0.3), rtol=1e-6)
