"""Whether synthetic images look like the class that they were made to be."""

import numpy as np


def as_intended(probability: np.ndarray, threshold: float, labels: np.ndarray) -> np.ndarray:
    """1 where an image is taken for its class, else 0 [N].

    probability: of malignancy, by a classifier of real training ROIs; threshold: from which that says malignant;
    labels: 0 benign, 1 malignant.
    """
    return ((probability >= threshold) == labels).astype(float)
