"""Images that classifiers learn in seconds."""

import numpy as np

from mammosynth.imageset import ImageSet


def bright_middles(n: int, seed: int = 0, size: int = 32) -> ImageSet:
    """Noise; malignant images, every third, have a bright middle."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(np.uint8)
    images = rng.integers(60, 120, (n, size, size))
    images[labels == 1, 10:22, 10:22] += 100
    return ImageSet(images, labels, [f"s{seed}_{i}" for i in range(n)], [f"p{seed}_{i // 2}" for i in range(n)])
