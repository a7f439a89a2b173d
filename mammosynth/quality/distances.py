"""Distances between two sets of features, and how much of one set the other covers. numpy only.

Features are float [n, d], one row an image. All sums are in double precision: a Fréchet distance is a small difference
of large numbers.
"""

import numpy as np

NEIGHBOURS = 3  # of precision and recall, as in the paper


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
    return np.linalg.qr(x, mode="r") if len(x) > x.shape[1] else x


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel (⟨a, b⟩/d + 1)³, unbiased (Bińkowski et al. 2018, eq. 4).

    Zero on average, so at times negative, for two samples of one distribution. It is called KID on the features of
    Inception 2015-12-05 only.

    Raises ValueError for sets of fewer than two images or of unlike features.
    """
    x, y = _checked(x, y)
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def precision_recall(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    Precision is the share of synthetic images within the manifold of the real ones (no farther from some real image
    than that one's third nearest neighbour among the reals): how many look real. Recall is the same with the sets
    exchanged: how much of the real variety is covered.

    Raises ValueError for sets of no more than three images or of unlike features.
    """
    real, synthetic = _checked(real, synthetic, at_least=NEIGHBOURS + 1)
    across = distances(real, synthetic)
    real_radius, synthetic_radius = (np.sort(distances(a, a), axis=1)[:, NEIGHBOURS] for a in (real, synthetic))
    precision = np.mean((across <= real_radius[:, None]).any(axis=0))
    recall = np.mean((across <= synthetic_radius[None, :]).any(axis=1))
    return float(precision), float(recall)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances [n, m] between the rows of x [n, d] and those of y [m, d]."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    squared = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1)[None, :] - 2 * x @ y.T
    return np.sqrt(np.maximum(squared, 0.0))


def _checked(x: np.ndarray, y: np.ndarray, at_least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be [n, d] and [m, d], not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"{len(x)} and {len(y)} images are too few: at least {at_least} in each set")
    return x.astype(np.float64), y.astype(np.float64)
