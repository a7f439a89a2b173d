"""Distances between two sets of features, and how much of one set the other covers. numpy only.

Features are float [n, d], one row an image. All sums are in double precision: a Fréchet distance is a small difference
of large numbers. Matrices of pairs are made a few rows at a time (`blocks`), so that memory grows with the features
alone.
"""

from collections.abc import Iterator

import numpy as np

NEIGHBOURS = 3  # of precision and recall, as in the paper
DENSITY_NEIGHBOURS = 5  # of density and coverage, as in the paper
SIZES = 5  # of the sets from whose Fréchet distances one extrapolates
PAIRS = 2**22  # at a time


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of the normal distributions fitted to two sets of features (Heusel et al. 2017, eq. 6).

    ‖μx − μy‖² + tr Σx + tr Σy − 2 tr (Σx Σy)^½, with unbiased covariances. With centred features X and Y, one row an
    image, divided by √(n − 1), Σx Σy = XᵀX YᵀY has the non-zero eigenvalues of (X Yᵀ)(X Yᵀ)ᵀ: the trace of its root is
    the sum of the singular values of X Yᵀ. That is exact for covariances of any rank, and quick where there are fewer
    images than features. It is called FID on the features of Inception 2015-12-05 only.

    Raises ValueError for sets of fewer than two images or of unlike features.
    """
    x, y = _checked(x, y)
    difference = x.mean(0) - y.mean(0)
    x, y = (x - x.mean(0)) / np.sqrt(len(x) - 1), (y - y.mean(0)) / np.sqrt(len(y) - 1)
    root = np.linalg.norm(_factor(x) @ _factor(y).T, "nuc")
    return float(difference @ difference + np.sum(x**2) + np.sum(y**2) - 2 * root)


def _factor(x: np.ndarray) -> np.ndarray:
    """A factor R of xᵀx = RᵀR with no more rows than columns: x itself, or that of its QR decomposition."""
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x


def frechet_infinity(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> float:
    """Fréchet distance of infinitely many images, by extrapolation (FID∞; Chong and Forsyth 2020, section 3).

    A Fréchet distance of n images is too large by about a constant over n. So it is measured at ``SIZES`` sizes, evenly
    spaced from half of the images to all of them, and a straight line in 1/n is fitted: its value at 1/n = 0. The paper
    draws images of the generator alone, since its reals are many; here both sets are few, so both are drawn, without
    replacement, at one n. Where there are more features than images, distances fall faster than the line, so some of
    the excess stays: halves of 550 benign mammography masses (SqueezeNet 1.1, 512 features) have 41, and 18 by this.

    Raises ValueError for sets of fewer than four images or of unlike features.
    """
    x, y = _checked(x, y, at_least=4)
    largest = min(len(x), len(y))
    sizes = np.linspace(largest / 2, largest, SIZES).round().astype(int)
    values = [frechet_distance(*(rng.permutation(z)[:size] for z in (x, y))) for size in sizes]
    return float(np.polyfit(1 / sizes, values, deg=1)[1])


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel (⟨a, b⟩/d + 1)³, unbiased (Bińkowski et al. 2018, eq. 4).

    Zero on average, so at times negative, for two samples of one distribution. It is called KID on the features of
    Inception 2015-12-05 only.

    Raises ValueError for sets of fewer than two images or of unlike features.
    """
    x, y = _checked(x, y)
    n, m = len(x), len(y)
    within = [(_kernel_sum(z, z) - _kernel_of_itself(z)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(sum(within) - 2 * _kernel_sum(x, y) / (n * m))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    total = 0.0
    for rows in blocks(len(x), len(y)):
        base = x[rows] @ y.T / x.shape[1] + 1
        total += np.vdot(base * base, base)
    return total


def _kernel_of_itself(x: np.ndarray) -> float:
    return np.sum((np.sum(x**2, axis=1) / x.shape[1] + 1) ** 3)


def prdc(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Precision, recall, density and coverage, by name.

    Each image has a ball, whose radius is the distance to its k-th nearest neighbour within its own set.

    Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2; k = 3): the share of synthetic images in the
    ball of some real one, how many look real; and of real images in the ball of some synthetic one, how much of the
    real variety there is. One outlier has a large ball, which takes in much. Hence, with balls of real images only
    (Naeem et al. 2020, eq. 4 and 5; k = 5), density: in how many balls a synthetic image is, as a share of k, which may
    exceed 1; and coverage: the share of real images whose ball has a synthetic image in it.

    NaN is what has no k-th neighbours, in sets of no more than k images.

    Raises ValueError for sets of fewer than two images or of unlike features.
    """
    real, synthetic = _checked(real, synthetic)
    real_radius, density_radius = squared_radii(real, [NEIGHBOURS, DENSITY_NEIGHBOURS])
    (synthetic_radius,) = squared_radii(synthetic, [NEIGHBOURS])
    looks_real = np.zeros(len(synthetic), bool)
    within, recalled, covered = 0, 0, 0
    for rows in blocks(len(real), len(synthetic)):
        across = _squared(real[rows], synthetic)
        looks_real |= (across <= real_radius[rows, None]).any(axis=0)
        recalled += (across <= synthetic_radius).any(axis=1).sum()
        in_ball = across <= density_radius[rows, None]
        within += in_ball.sum()
        covered += in_ball.any(axis=1).sum()
    shares = {
        "precision": (looks_real.mean(), len(real) > NEIGHBOURS),
        "recall": (recalled / len(real), len(synthetic) > NEIGHBOURS),
        "density": (within / (DENSITY_NEIGHBOURS * len(synthetic)), len(real) > DENSITY_NEIGHBOURS),
        "coverage": (covered / len(real), len(real) > DENSITY_NEIGHBOURS),
    }
    return {name: float(share) if defined else np.nan for name, (share, defined) in shares.items()}


def squared_radii(x: np.ndarray, neighbours: list[int]) -> np.ndarray:
    """Squared distances [len(neighbours), n] of each row of x [n, d] to its k-th nearest other, or to the farthest."""
    x, places = np.asarray(x, np.float64), np.minimum(neighbours, len(x) - 1)
    away = (np.partition(_squared(x[rows], x), places, axis=1) for rows in blocks(len(x), len(x)))
    return np.concatenate([some[:, places] for some in away]).T


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances [n, m] between the rows of x [n, d] and those of y [m, d]; exactly 0 for equal rows."""
    return np.sqrt(_squared(np.asarray(x, np.float64), np.asarray(y, np.float64)))


def distances_to_others(x: np.ndarray, units: np.ndarray, y: np.ndarray, y_units: np.ndarray) -> Iterator[np.ndarray]:
    """Distances [some, m] of the rows of x [n, d] to those of y [m, d], a few rows at a time; infinite within a unit.

    units [n], y_units [m]: what rows belong to, such as patients.
    """
    y = np.asarray(y, np.float64)
    for rows in blocks(len(x), len(y)):
        yield np.where(units[rows, None] == y_units, np.inf, distances(x[rows], y))


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lengths = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    squared = lengths - 2 * (x @ y.T)
    squared[squared < 1e-12 * lengths] = 0  # what rounding leaves of equal rows
    return squared


def blocks(n: int, m: int) -> Iterator[slice]:
    """Rows of a matrix [n, m], ``PAIRS`` entries at a time; of a matrix without rows, none once."""
    step = max(1, PAIRS // m)
    return (slice(start, min(start + step, n)) for start in range(0, max(n, 1), step))


def _checked(x: np.ndarray, y: np.ndarray, at_least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be [n, d] and [m, d], not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"{len(x)} and {len(y)} images are too few: at least {at_least} in each set")
    return x.astype(np.float64), y.astype(np.float64)
