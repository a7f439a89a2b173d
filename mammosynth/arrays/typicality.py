"""Whether an image is of the kind that a classifier was trained on, by its features."""

from dataclasses import dataclass, replace

import numpy as np

Array = np.ndarray
COMPONENTS = 32  # at most
FOLDS = 5
WITHIN = 0.99  # share of other patients' ROIs that are within the limit


@dataclass(frozen=True)
class Typicality:
    """A normal distribution of features by probabilistic principal components (Tipping and Bishop, J. R. Stat. Soc. B
    61:611, 1999), and how far from it is too far.

    mean [d]; components [K, d], of unit length; variances [K] along them; noise: the variance in each direction that is
    left; limit: of distances.
    """

    mean: Array
    components: Array
    variances: Array
    noise: float
    limit: float

    def distance(self, features: Array) -> Array:
        """Mahalanobis distances [N] of features [N, d] over the root of d, so that typical ones are about 1."""
        away = features.astype(float) - self.mean
        along = away @ self.components.T
        rest = np.maximum((away**2).sum(1) - (along**2).sum(1), 0)
        return np.sqrt(((along**2 / self.variances).sum(1) + rest / self.noise) / len(self.mean))


def fit(features: Array, patients: Array, seed: int = 0) -> Typicality:
    """The distribution of features [N, d] of training ROIs of patients [N].

    The limit is what 99 % of the distances of ROIs of other patients do not reach: each fifth of the patients stands
    beside the distribution of the others.  Raises ValueError for fewer than two patients.
    """
    names, patient = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        raise ValueError("typicality needs two patients at least")
    fold = np.random.default_rng(seed).permutation(len(names))[patient] % min(FOLDS, len(names))
    away = [_fit(features[fold != k]).distance(features[fold == k]) for k in range(fold.max() + 1)]
    return replace(_fit(features), limit=float(np.quantile(np.concatenate(away), WITHIN)))


def _fit(features: Array) -> Typicality:
    features = features.astype(float)
    mean = features.mean(0)
    _, singular, components = np.linalg.svd(features - mean, full_matrices=False)
    count = min(COMPONENTS, max(1, len(features) // 3))
    variances = singular**2 / max(1, len(features) - 1)
    noise = max(variances[count:].sum() / max(1, features.shape[1] - count), 1e-9)
    kept = np.maximum(variances[:count], noise)
    return Typicality(mean, components[:count], kept, float(noise), np.inf)
