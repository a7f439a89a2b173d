"""Fidelity's intervals hold what they are about: simulated patients and images, of which the truth is known.

Each study has other patients, two ROIs each, and other images of one generator, all by normal distributions in place of
features. The truth is the mean over fresh ones of the same number.
"""

from functools import cache

import numpy as np
import pytest

from mammosynth.imageset import ImageSet
from mammosynth.quality.distances import frechet_distance, frechet_infinity, kernel_distance, prdc
from mammosynth.quality.fidelity import draw_sides, estimate, make_reference, units_of
from mammosynth.quality import fidelity
from mammosynth.quality.features import EXTRACTORS, Extractor
from mammosynth.quality.reference import Reference

DIMENSIONS, HALF = 12, 40  # features; ROIs of half of the training part
SCALES = np.arange(1, DIMENSIONS + 1) ** -0.5
FAR, NEAR = (1.2, 1.2), (0.0, 1.0)  # how far off a generator's mean is, and how its spread compares
HALVINGS = 15
MEASURES = ("FD", "KD", "precision", "recall", "density", "coverage", "floor/FD")


def patients(count, rng):
    """Features [2 · count, d]: two ROIs a patient, correlated by a half."""
    own, each = rng.normal(size=(count, 1, DIMENSIONS)), rng.normal(size=(count, 2, DIMENSIONS))
    return (SCALES * (own + each) / np.sqrt(2)).reshape(-1, DIMENSIONS)


def synthesised(count, generator, rng):
    shift, spread = generator
    return SCALES * (spread * rng.normal(size=(count, DIMENSIONS)) + shift * (np.arange(DIMENSIONS) == 0))


def values(x, y):
    distance = frechet_distance(x, y)
    return {"FD": distance, "KD": kernel_distance(x, y), **prdc(x, y)}


@cache
def truth(generator):
    """By measure, the mean over 3,000 fresh sets of ``HALF`` ROIs and as many images."""
    rng = np.random.default_rng(99)
    found = [values(patients(HALF // 2, rng), synthesised(HALF, generator, rng)) for _ in range(3000)]
    floor = np.mean([frechet_distance(*(patients(HALF // 2, rng) for _ in "ab")) for _ in range(3000)])
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    return means | {"floor/FD": floor / means["FD"]}


def labelled(count, of=None):
    """Image sets without pixels: a benign ROI or image in every place, and beside them what malignant ones need."""
    names = np.arange(count + 8).astype(str)
    labels = np.repeat([0, 1], [count, 8])
    return ImageSet(np.empty((count + 8, 0, 0)), labels, names, of)


def study(seed, dose, generator, monkeypatch):
    """What a generator of *dose* · HALF images is said to be worth: by measure, value, low, high."""
    rng = np.random.default_rng([seed, int(dose * 8)])
    train = labelled(2 * HALF, np.repeat(np.arange(HALF + 4).astype(str), 2))
    synthetic = labelled(int(dose * HALF))
    found = np.concatenate([patients(HALF, rng), np.zeros((8, DIMENSIONS))])
    monkeypatch.setattr(fidelity, "features", lambda *_: found)
    monkeypatch.setattr(fidelity, "CLASSES", ("benign", "malignant"))
    _, reference = make_reference(train, ["toy"], {"toy": ""}, rng, "cpu", HALVINGS)
    made = np.concatenate([synthesised(int(dose * HALF), generator, rng), np.zeros((8, DIMENSIONS))])
    sides = draw_sides("gan", synthetic, units_of("gan", synthetic, train), train, reference, rng)
    return estimate("toy", "benign", made, reference, sides)
