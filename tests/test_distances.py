"""Distances against closed forms, hand-computed cases and torch-fidelity."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity)
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from mammosynth.arrays import distances as module
from mammosynth.arrays.distances import (
    distances,
    distances_to_others,
    frechet_distance,
    frechet_infinity,
    kernel_distance,
    prdc,
    squared_radii,
)

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


def test_frechet_distance_in_closed_form_with_fewer_images_than_features():
    """Along the same axes the root of the product of covariances is that of their product, axis by axis."""
    deviations = rng.standard_normal((4, 8))
    deviations = np.linalg.svd(deviations - deviations.mean(0), full_matrices=False)[2][
        :3
    ]  # three orthogonal axes in 8
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # uncorrelated, variance 4/3
    x = corners * (1, 2, 3) @ deviations
    y = corners * (2, 2, 0) @ deviations + 0.5
    expected = 8 * 0.25 + 4 / 3 * ((1 - 2) ** 2 + 0 + 3**2)
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-9)


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
    assert kernel_distance(x, y) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    theirs = prc_features_to_metric(b, a, verbose=False)  # torch-fidelity takes the synthetic set first
    assert {name: prdc(x, y)[name] for name in ("precision", "recall")} == pytest.approx(
        {name: theirs[name] for name in ("precision", "recall")}, abs=1e-4
    )


@pytest.mark.parametrize(("n", "m", "d", "spread"), [(90, 70, 4, 4), (60, 30, 200, 2.2)])
def test_equal_to_the_package_prdc(n, m, d, spread):
    compute = pytest.importorskip("prdc", reason="of requirements-dev.txt").compute_prdc
    own = np.random.default_rng(0)
    x, y = own.gamma(2, 1, (n, d)), own.gamma(spread, 1, (m, d))
    three, five = (compute(x, y, nearest_k=k) for k in (3, 5))
    expected = {name: (three if name in ("precision", "recall") else five)[name] for name in three}
    assert prdc(x, y) == pytest.approx(expected)
    assert all(0 < share < 1 for share in expected.values())


def test_prdc_by_hand():
    """Reals 0 to 5 on a line: by the third neighbour 5's ball reaches 8; by the fifth 4's too, and 5's reaches 10."""
    real = np.arange(6.0)[:, None]
    synthetic = np.array([7.5, 8.6, 8.7, 8.8, 8.9, 100])[:, None]  # the last one's ball reaches down to 8.7
    expected = {"precision": 1 / 6, "recall": 0, "density": (2 + 4) / (5 * 6), "coverage": 2 / 6}
    assert prdc(real, synthetic) == pytest.approx(expected)


def test_what_has_no_neighbours_has_no_share():
    x, y = rng.standard_normal((2, 9, 3))
    undefined = {
        sizes: {name for name, share in prdc(x[: sizes[0]], y[: sizes[1]]).items() if np.isnan(share)}
        for sizes in ((9, 9), (6, 4), (5, 9), (9, 3), (3, 9), (2, 2))
    }
    assert undefined == {
        (9, 9): set(),
        (6, 4): set(),
        (5, 9): {"density", "coverage"},
        (9, 3): {"recall"},
        (3, 9): {"precision", "density", "coverage"},
        (2, 2): {"precision", "recall", "density", "coverage"},
    }


def test_an_outlier_takes_in_much_by_precision_and_little_by_density():
    real = np.concatenate([rng.standard_normal((100, 4)), np.full((1, 4), 30.0)])
    between = rng.standard_normal((100, 4)) + 15
    shares = prdc(real, between)
    assert shares["precision"] > 0.9
    assert shares["density"] < 0.3


def test_precision_without_recall_is_mode_collapse_and_the_reverse_is_noise():
    real = rng.standard_normal((100, 4))
    collapsed = prdc(real, real[:1] + 0.01 * rng.standard_normal((100, 4)))
    assert collapsed["precision"] == 1
    assert collapsed["recall"] < 0.1
    assert collapsed["coverage"] < 0.1
    far = prdc(real, rng.standard_normal((100, 4)) * 20)
    assert far["precision"] < 0.2
    assert far["density"] < 0.1


def test_more_and_more_repeats_raise_distances_and_lower_recall_and_coverage():
    real, other = rng.standard_normal((2, 120, 6))
    sets = [np.resize(other[:kept], other.shape) for kept in (120, 60, 30, 10)]
    for distance in (frechet_distance, kernel_distance):
        values = [distance(real, x) for x in sets]
        assert values == sorted(values), distance
    for share in ("recall", "coverage"):
        values = [prdc(real, x)[share] for x in sets]
        assert values == sorted(values, reverse=True), share
        assert values[-1] < values[0] / 2


def test_extrapolation_to_infinitely_many_images_is_near_zero_where_the_distance_is_not():
    extrapolated, plain = [], []
    for _ in range(20):
        x, y = rng.standard_normal((2, 200, 32))
        extrapolated.append(frechet_infinity(x, y, rng))
        plain.append(frechet_distance(x, y))
    error = np.std(extrapolated) / np.sqrt(len(extrapolated))
    assert abs(np.mean(extrapolated)) < 3 * error
    assert np.mean(plain) > 20 * error


def test_extrapolation_keeps_what_is_no_excess():
    """A shift by 1 in each of 16 dimensions is 16 for infinitely many images."""
    values = [frechet_infinity(x, y + 1, rng) for x, y in rng.standard_normal((20, 2, 300, 16))]
    assert np.mean(values) == pytest.approx(16, abs=3 * np.std(values) / np.sqrt(len(values)))


def test_extrapolation_is_determined_by_its_generator():
    x, y = rng.standard_normal((60, 8)), rng.standard_normal((40, 8))
    first, second = (frechet_infinity(x, y, np.random.default_rng(3)) for _ in range(2))
    assert first == second != frechet_infinity(x, y, np.random.default_rng(4))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, prdc])
def test_blocks_change_nothing(distance, monkeypatch):
    x, y = rng.standard_normal((50, 20)), rng.standard_normal((37, 20)) + 0.3
    expected = distance(x, y)
    monkeypatch.setattr(module, "PAIRS", 150)
    assert distance(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, prdc])
def test_order_does_not_matter(distance):
    x, y = rng.standard_normal((20, 50)), rng.standard_normal((30, 50)) + 0.3
    assert distance(rng.permutation(x), rng.permutation(y)) == pytest.approx(distance(x, y))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, prdc])
@pytest.mark.parametrize(("x", "y"), [((1, 3), (9, 3)), ((9, 3), (9, 4)), ((9,), (9,))])
def test_sets_that_have_no_distance_are_refused(distance, x, y):
    with pytest.raises(ValueError, match=r"features must|too few"):
        distance(np.zeros(x), np.zeros(y))


@pytest.mark.parametrize(("x", "y"), [((3, 3), (9, 3)), ((9, 3), (9, 4))])
def test_sets_that_cannot_be_extrapolated_are_refused(x, y):
    with pytest.raises(ValueError, match=r"features must|too few"):
        frechet_infinity(np.zeros(x), np.zeros(y), rng)


def test_equal_rows_are_no_distance_apart():
    x = rng.gamma(2, 1, (40, 300)).astype(np.float32)
    assert (np.diag(distances(x, x)) == 0).all()
    assert np.count_nonzero(distances(x, x * np.float32(1 + 1e-4))) == 40 * 40


def test_euclidean_distances():
    assert distances(np.array([[0, 0], [3, 4]]), np.array([[0, 0], [0, 4]])).tolist() == [[0, 4], [5, 3]]


@pytest.mark.parametrize("pairs", [1, 4, 1000])
def test_rows_of_one_unit_are_infinitely_far(pairs, monkeypatch):
    monkeypatch.setattr(module, "PAIRS", pairs)
    x, y = np.array([[0.0], [1], [5]]), np.array([[0.0], [3]])
    away = [*distances_to_others(x, np.array(["a", "", "bb"]), y, np.array(["a", "bb"]))]
    assert np.concatenate(away).tolist() == [[np.inf, 3], [1, 2], [5, np.inf]]
    assert len(away) == {1: 3, 4: 2, 1000: 1}[pairs]


def test_the_radius_of_a_row_reaches_to_another():
    x = np.array([[0.0], [1], [5], [9], [9]], np.float32)
    assert squared_radii(x, [1, 2, 7]).tolist() == [[1, 1, 16, 0, 0], [25, 16, 16, 16, 16], [81, 64, 25, 81, 81]]
