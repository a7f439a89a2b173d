"""Images unlike the training ROIs are far from them; those of other patients are not."""

import numpy as np
import pytest

from mammosynth.arrays.typicality import WITHIN, fit


def drawn(n, seed, scale=1.0):
    """Features [n, 60] of correlated directions, as a network's are."""
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, 6)) @ np.random.default_rng(0).normal(size=(6, 60)) + 0.1 * rng.normal(
        size=(n, 60)
    )


def test_about_one_in_a_hundred_of_other_patients_is_beyond_the_limit_and_nothing_else_within():
    known = fit(drawn(600, 1), np.arange(600) // 2)
    assert np.mean(known.distance(drawn(4000, 2)) > known.limit) == pytest.approx(1 - WITHIN, abs=0.01)
    assert (known.distance(drawn(50, 3, scale=6)) > known.limit).mean() > 0.9
    elsewhere = drawn(50, 4) + np.random.default_rng(5).normal(size=60)  # where the features never vary
    assert (known.distance(elsewhere) > known.limit).all()


def test_with_all_components_it_is_the_mahalanobis_distance():
    features = np.random.default_rng(0).normal(size=(4000, 8)) * np.arange(1, 9)
    known, x = fit(features, np.arange(4000)), np.random.default_rng(1).normal(size=(5, 8))
    away = x - features.mean(0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(np.cov(features.T)), away) / 8)
    assert known.distance(x) == pytest.approx(expected, rel=1e-4)


def test_the_limit_is_of_other_patients():
    """Images of one patient are copies here: beside their fellows nothing would be far."""
    copies = np.repeat(drawn(60, 1), 4, axis=0)
    assert fit(copies, np.repeat(np.arange(60), 4)).limit > 1.5 * fit(copies, np.arange(240)).limit


def test_one_patient_is_refused():
    with pytest.raises(ValueError, match="two patients"):
        fit(drawn(8, 0), np.zeros(8))
