"""Searching alike images by sketches finds what correlating all pairs finds, to the last pair."""

from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import real
from quality_for_tests import textures

from mammosynth.arrays import likeness
from mammosynth.arrays.likeness import alike, correlate, most_alike
from mammosynth.databases import open_source, read_database
from mammosynth.rois import crop_image


def shown_again() -> np.ndarray:
    """Textures; some of them again, shifted, mirrored, noisy or the same; flat ones, and ones that are nearly so."""
    x = textures(40, 5)
    noisy = np.clip(x[10:20] + np.random.default_rng(0).normal(0, 60, x[10:20].shape), 0, 255).astype(np.uint8)
    flat = np.full((3, 128, 128), 90, np.uint8)
    flat[2, 60, 60] = 255
    return np.concatenate([x, np.roll(x[:10], 4, axis=1)[:, :, ::-1], noisy, x[3:5], flat])


def busi() -> np.ndarray:
    """The ROIs of 150 images of BUSI, among which some show one lesion."""
    settings = {"reader": "busi", "modality": "ultrasound", "root": str(real("busi"))}
    lesions = [lesion for lesion in read_database(open_source("busi", settings)).lesions if not lesion.excluded][:150]
    boxes = [(lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in lesions]
    return np.stack(
        [crop_image(Path(one.image), "ultrasound", [box], 128, 0.2)[0][0] for one, box in zip(lesions, boxes)]
    )


def by_all(images: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    correlation = correlate(images, images)
    both = np.triu(np.maximum(correlation, correlation.T), 1)
    pairs = np.argwhere(both > least)
    return pairs, both[tuple(pairs.T)]


@pytest.mark.parametrize("make", [shown_again, busi])
@pytest.mark.parametrize("least", [0.3, 0.6])
@pytest.mark.parametrize("batch", [7, 1000])
def test_pairs_are_those_of_all(make, least, batch, monkeypatch):
    images = make()
    monkeypatch.setattr(likeness, "BATCH", batch)
    pairs, correlation = alike(images, least)
    expected, values = by_all(images, least)
    assert len(pairs) >= 10
    assert pairs.tolist() == expected.tolist()
    np.testing.assert_allclose(correlation, values, atol=1e-5)


@pytest.mark.parametrize("make", [shown_again, busi])
@pytest.mark.parametrize("batch", [7, 1000])
def test_the_nearest_is_that_of_all(make, batch, monkeypatch):
    known = make()
    images = known[::3]
    units, known_units = np.arange(len(images)) % 5, np.arange(len(known)) % 7
    away = np.where(units[:, None] == known_units, -np.inf, correlate(images, known))
    monkeypatch.setattr(likeness, "BATCH", batch)
    nearest, correlation = most_alike(images, units, known, known_units)
    assert nearest.tolist() == away.argmax(axis=1).tolist()
    np.testing.assert_allclose(correlation, away.max(axis=1), atol=1e-5)


def test_of_several_that_are_the_same_the_first_is_the_nearest_and_of_none_there_is_none():
    x = textures(3)
    nearest, correlation = most_alike(x, np.arange(3), np.concatenate([x[::-1], x]), np.repeat([7, 8], 3))
    assert nearest.tolist() == [2, 1, 0]
    np.testing.assert_allclose(correlation, 1, atol=1e-5)
    nearest, correlation = most_alike(x, np.zeros(3), x, np.zeros(3))
    assert nearest.tolist() == [0, 0, 0]
    assert np.isneginf(correlation).all()
    assert [len(found) for found in alike(x[:0], 0.5)] == [0, 0]
    assert [len(found) for found in most_alike(x[:0], np.zeros(0), x, np.zeros(3))] == [0, 0]


def test_products_of_sketches_are_no_less_than_correlations_and_seldom_much_more():
    structures = likeness.structure_of(shown_again())
    middles = likeness._sketches_of_middles(structures)
    ((_, windows),) = likeness._sketches_of_windows(structures)
    slack = likeness._bounds(middles, windows) - likeness.correlate_structures(structures, structures)
    assert slack.min() > 0
    assert np.median(slack) < 0.15
