"""Fidelity's intervals hold what they are about: simulated patients and images, of which the truth is known.

Each study has other patients, two ROIs each, and other images of one generator, all by normal distributions in place of
features. The truth is the mean over fresh ones of the same number. Of 400 studies of each dose .93 to .97 hold it; by
kernel distances .930 to .955 of 200 and of 250, with 60 and 40 ROIs a half. Here fewer are simulated.
"""

from functools import cache

import numpy as np
import pytest

from mammosynth.arrays.distances import frechet_distance, kernel_distance, prdc
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS, Network
from mammosynth.quality import measures
from mammosynth.quality.fidelity import ALL, draw_sides, estimate, measure_floor
from mammosynth.quality.novelty import units_of

DIMENSIONS, HALF = 12, 60  # features; ROIs of half of the training part
SCALES = np.arange(1, DIMENSIONS + 1) ** -0.5
FAR, NEAR = (1.2, 1.2), (0.0, 1.0)  # how far off a generator's mean is, and how its spread compares
HALVINGS, STUDIES = 15, 120
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


def study(seed, dose, generator):
    """What a generator of *dose* · HALF images is said to be worth: by measure, value, low, high."""
    rng = np.random.default_rng([seed, int(dose * 8)])
    real, made = patients(HALF, rng), synthesised(int(dose * HALF), generator, rng)
    train = image_set(len(real), np.repeat(np.arange(HALF).astype(str), 2))
    synthetic = image_set(len(made))
    _, floor = measure_floor(train, {"toy": real}, rng, HALVINGS)
    sides = draw_sides("gan", synthetic, units_of("gan", synthetic, train), train, floor, rng)
    return estimate("toy", ALL, made, floor, sides)


def image_set(count, of=None):
    """An image set of benign ROIs without pixels."""
    return ImageSet(np.empty((count, 0, 0)), np.zeros(count), [f"image {i}" for i in range(count)], of)


@pytest.fixture(autouse=True, scope="module")
def one_class():
    """No FD∞: its five distances a halving would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "toy", Network("toy", DIMENSIONS, {}, ""))
        patch.setattr(measures, "MEASURES", [m for m in measures.MEASURES if m.name != "FD∞"])
        yield


def coverage(studies, generator, measure):
    low, high = np.array([found[measure][1:] for found in studies]).T
    return np.mean((low < truth(generator)[measure]) & (truth(generator)[measure] < high))


@pytest.mark.parametrize("dose", [1, 2, 8])
def test_intervals_hold_the_truth_as_often_as_they_say_whatever_the_dose(dose):
    studies = [study(seed, dose, FAR) for seed in range(STUDIES)]
    found = {measure: coverage(studies, FAR, measure) for measure in MEASURES}
    assert all(0.89 <= share <= 0.99 for share in found.values()), found  # 93 to 97 %, ± 2 % by the number of studies
    assert 0.93 <= np.mean([*found.values()]) <= 0.97
    for measure in MEASURES:
        values = [one[measure][0] for one in studies]
        assert np.mean(values) == pytest.approx(truth(FAR)[measure], abs=0.3 * np.std(values)), (
            "of one number of images"
        )
