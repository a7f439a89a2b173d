"""Penalised logistic regression: another library's, duplicates, and a prior."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mammosynth.arrays.logistic import fit_logistic

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5))
Y = (X @ [1, -1, 0.5, 0, 0] + RNG.logistic(size=80) > 0.7).astype(int)
SHARES = 1 / np.bincount(Y)[Y]


@pytest.mark.parametrize("penalty", [10, 0.1, 0.001])
def test_it_is_that_of_scikit_learn(penalty):
    """Whose C weighs the sum of the losses, and shares that add up to n."""
    weights, offset = fit_logistic(X, Y, SHARES, penalty, np.zeros(5))
    model = LogisticRegression(C=1 / (80 * penalty), tol=1e-8, max_iter=1000).fit(X, Y, 80 * SHARES / SHARES.sum())
    np.testing.assert_allclose(weights, model.coef_[0], atol=2e-4)
    assert offset == pytest.approx(model.intercept_[0], abs=2e-4)


def test_cases_that_all_stand_twice_change_nothing():
    one = fit_logistic(X, Y, SHARES, 0.1, np.zeros(5))[0]
    other = fit_logistic(np.tile(X, (2, 1)), np.tile(Y, 2), np.tile(SHARES, 2), 0.1, np.zeros(5))[0]
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_strong_penalty_leaves_the_prior_and_the_offset_is_free():
    prior = np.array([2.0, 0, 0, -1, 0])
    weights, offset = fit_logistic(X, Y, np.ones(80), 1e6, prior)
    np.testing.assert_allclose(weights, prior, atol=1e-5)
    probability = 1 / (1 + np.exp(-(X @ weights + offset)))
    assert probability.mean() == pytest.approx(Y.mean(), abs=1e-5)


def test_where_it_begins_decides_nothing():
    there = fit_logistic(X, Y, SHARES, 0.01, np.zeros(5))
    again = fit_logistic(X, Y, SHARES, 0.01, np.zeros(5), (np.full(5, 3.0), -4.0))
    np.testing.assert_allclose(there[0], again[0], atol=1e-4)
