"""Masses with a known truth, and a GAN that gives back what is planted: it stands in the package's copy of a test.

Malignant masses lie in coarser speckle, while all else varies in both classes: a task that a few dozen ROIs begin to
teach, and more ROIs teach better.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from mammosynth.gans.gan import Gan, synthetic_set
from mammosynth.imageset import CLASSES

SIZE = 128
# Of the speckle, the standard deviation of its blur, in px: of real masses, and of such as show plainly what they are.
COARSENESS = {"benign": 1.5, "malignant": 1.6}
PLAIN = {"benign": 1.3, "malignant": 1.9}


def mass(coarseness: float, rng: np.random.Generator) -> np.ndarray:
    """An ROI, uint8 [128, 128]."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + rng.normal(0, 5, (2, 1, 1))
    distance = np.hypot(y, x) * (1 + 0.1 * np.cos(rng.integers(2, 6) * np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)))
    inside = 1 / (1 + np.exp((distance - SIZE * rng.uniform(0.2, 0.34)) / rng.uniform(1, 5)))
    tissue = rng.uniform(0.4, 0.7) + rng.uniform(0.3, 1.2) * gaussian_filter(rng.normal(size=(SIZE, SIZE)), 10)
    speckle = gaussian_filter(rng.normal(size=(SIZE, SIZE)), coarseness * np.exp(rng.normal(0, 0.04)))
    speckle = 1 + rng.uniform(0.2, 0.5) * speckle / speckle.std()
    return (255 * ((tissue * (1 - inside) + rng.uniform(0.1, 0.4) * inside) * speckle).clip(0, 1)).astype(np.uint8)


class Planted(Gan):
    """``turning``: of what mixes draw first, up to a dose of 2, new plain masses; then such of the wrong class.

    ``memoriser``: training ROIs with a little noise.
    """

    betas = (0.0, 0.9)

    def make_networks(self):
        self.generators["all"], self.critics["all"] = nn.Linear(1, 1), nn.Linear(1, 1)

    def step(self, reals):
        return {"all": {"d_loss": torch.zeros(()), "g_loss": torch.zeros(())}}

    def synthesise(self, per_class, reals, seed):
        rng = np.random.default_rng((seed, len(reals), int(reals.images[0].sum())))
        images, labels = np.empty((len(CLASSES), per_class, SIZE, SIZE), np.uint8), [0, 1]
        order = np.random.default_rng(seed).permutation(per_class)  # in which mixes draw images of a class
        for label, pathology in enumerate(CLASSES):
            known = reals.of_class(pathology).images
            for number, place in enumerate(order):
                if self.settings.own["truth"] == "memoriser":
                    noisy = known[number % len(known)] + rng.normal(0, 4, (SIZE, SIZE))
                    images[label, place] = noisy.round().clip(0, 255)
                else:
                    shown = label if number < len(reals) else 1 - label
                    images[label, place] = mass(PLAIN[CLASSES[shown]], rng)
        return synthetic_set([*images.reshape(-1, SIZE, SIZE)], np.repeat(labels, per_class).tolist())
