"""Distances against closed forms, hand-computed cases and torch-fidelity."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity)
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from mammosynth.quality.distances import distances, frechet_distance, kernel_distance, precision_recall

rng = np.random.default_rng(0)


def normal_sample(n, mean, covariance):
    """A sample whose own mean and covariance are exactly these."""
    x = np.random.default_rng(1).standard_normal((n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False)).T)
    return x @ np.linalg.cholesky(covariance).T + mean


def by_matrix_root(x, y):
    """The definition, with the root of the product of covariances."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b)).real


def test_frechet_distance_of_normal_distributions_in_closed_form():
    a, b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 25.0])
    x, y = normal_sample(50, np.zeros(3), a), normal_sample(80, np.array([1.0, 2.0, -2.0]), b)
    expected = 9 + (2 - 1) ** 2 + (1 - 2) ** 2 + (5 - 3) ** 2  # ‖μ‖² + Σ (σa − σb)²
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_of_one_dimension():
    x = np.array([[1.0], [3.0]])  # mean 2, variance 2
    y = np.array([[0.0], [0.0], [6.0], [6.0]])  # mean 3, variance 12
    assert frechet_distance(x, y) == pytest.approx(1 + 2 + 12 - 2 * np.sqrt(24))


@pytest.mark.parametrize(("n", "m"), [(200, 150), (20, 30), (200, 30), (30, 200)])
def test_frechet_distance_by_its_definition_at_any_rank(n, m):
    x, y = rng.standard_normal((n, 40)) @ rng.standard_normal((40, 40)), rng.standard_normal((m, 40)) * 2 + 1
    assert frechet_distance(x, y) == pytest.approx(by_matrix_root(x, y), rel=1e-5)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_moved():
    x = rng.standard_normal((30, 100))
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 0.5) == pytest.approx(25)


def test_kernel_distance_by_hand():
    # kernel (ab + 1)³ of x = {0, 1} and y = {1, 2}: k(0, 1) = 1; k(1, 2) = 27; across 1, 1, 8, 27
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_distance(x, y) == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_distance_of_halves_of_one_set_is_zero_on_average():
    values = []
    for _ in range(300):
        x = rng.standard_normal((60, 20))
        values.append(kernel_distance(x[:30], x[30:]))
    values = np.array(values)
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert values.min() < 0 < values.max()


@pytest.mark.parametrize(("n", "d"), [(60, 16), (25, 128)])
def test_equal_to_torch_fidelity_on_the_same_features(n, d):
    x, y = rng.gamma(2, 1, (n, d)).astype("float32"), rng.gamma(2.2, 1, (n, d)).astype("float32")
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(t.double()) for t in (a, b)), verbose=False)
    assert frechet_distance(x, y) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)
    theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=n, verbose=False)
    assert kernel_distance(x, y) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4, abs=1e-4)
    theirs = prc_features_to_metric(b, a, verbose=False)  # torch-fidelity takes the synthetic set first
    assert precision_recall(x, y) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-4)


def test_precision_without_recall_is_mode_collapse_and_the_reverse_is_noise():
    real = rng.standard_normal((100, 4))
    collapsed = real[:1] + 0.01 * rng.standard_normal((100, 4))
    assert precision_recall(real, collapsed)[0] == 1
    assert precision_recall(real, collapsed)[1] < 0.1
    far = rng.standard_normal((100, 4)) * 20
    assert precision_recall(real, far)[0] < 0.2


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, precision_recall])
def test_order_does_not_matter(distance):
    x, y = rng.standard_normal((20, 50)), rng.standard_normal((30, 50)) + 0.3
    assert distance(rng.permutation(x), rng.permutation(y)) == pytest.approx(distance(x, y))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, precision_recall])
@pytest.mark.parametrize(("x", "y"), [((1, 3), (9, 3)), ((9, 3), (9, 4)), ((9,), (9,))])
def test_sets_that_have_no_distance_are_refused(distance, x, y):
    with pytest.raises(ValueError, match=r"features must|too few"):
        distance(np.zeros(x), np.zeros(y))


def test_euclidean_distances():
    assert distances(np.array([[0, 0], [3, 4]]), np.array([[0, 0], [0, 4]])).tolist() == [[0, 4], [5, 3]]
