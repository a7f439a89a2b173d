"""Masses with a known truth, and a GAN that gives back what is planted: it stands in the package's copy of a test.

A mass is a dark blob in speckle whose margin wobbles, that of a malignant one more: a task that a few dozen ROIs begin
to teach, and more ROIs teach better.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from mammosynth.gans.gan import Gan, synthetic_set
from mammosynth.imageset import CLASSES

SIZE = 128
WOBBLE = {"benign": 0.05, "malignant": 0.12}  # of real masses: amplitude of the margin, as a share of the radius
PLAIN = {"benign": 0.0, "malignant": 0.22}  # of masses that show plainly what they are


def mass(wobble: float, rng: np.random.Generator) -> np.ndarray:
    """An ROI, uint8 [128, 128]."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + rng.normal(0, 3, (2, 1, 1))
    angle, distance = np.arctan2(y, x), np.hypot(y, x)
    waves = rng.normal(size=6)
    waves /= np.sqrt((waves**2).sum() / 2)
    phases = rng.uniform(0, 2 * np.pi, 6)
    margin = sum(height * np.cos(k * angle + phase) for k, height, phase in zip(range(3, 9), waves, phases))
    radius = SIZE * rng.uniform(0.22, 0.3) * (1 + wobble * margin)
    inside = 1 / (1 + np.exp((distance - radius) / 2))
    tissue = 0.55 + 1.2 * gaussian_filter(rng.normal(size=(SIZE, SIZE)), 8)
    speckle = 1 + gaussian_filter(rng.normal(size=(SIZE, SIZE)), 1)
    image = (tissue * (1 - inside) + rng.uniform(0.15, 0.25) * inside) * speckle
    return (255 * image.clip(0, 1)).astype(np.uint8)


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
