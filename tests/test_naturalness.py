"""NIQE, BRISQUE and PIQE: published values, and images that have none."""

import importlib.metadata

import numpy as np
import pytest
import torch
from PIL import Image
from quality_for_tests import parameter_file, textures

from mammosynth.quality.naturalness import MEASURES, PARAMETERS, naturalness

# Of the five images that pyiqa ships, by its authors' calibration against the measures' own releases.
IMAGES = ("I03", "I04", "I06", "I08", "I19")
PUBLISHED = {
    "NIQE": ([15.6538, 3.6549, 3.2342, 3.1922, 9.0722], 3e-3),
    "BRISQUE": ([94.6443, -0.1068, 1.0732, 5.1447, 66.8415], 2e-2),
    "PIQE": ([100, 21.6243, 35.8646, 41.1471, 76.9485], 1e-3),
}


def parameters():
    return {name: parameter_file(name) for name in PARAMETERS}


@pytest.mark.parametrize("measure", PUBLISHED)
def test_published_values(measure):
    own = {name: parameter_file(name) for name in PARAMETERS if name == measure.lower()}  # PIQE needs none
    score = MEASURES[measure](own, "cpu")
    expected, tolerance = PUBLISHED[measure]
    for name, value in zip(IMAGES, expected):
        path = importlib.metadata.distribution("pyiqa").locate_file(f"ResultsCalibra/dist_dir/{name}.bmp")
        pixels = torch.from_numpy(np.array(Image.open(str(path)).convert("RGB"))).permute(2, 0, 1)
        assert score(pixels[None].float() / 255).item() == pytest.approx(value, abs=tolerance), name


def degenerate():
    """Flat at every level, ramps, halves, a checkerboard."""
    ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    flat = [np.full((128, 128), level, np.uint8) for level in (0, 128, 255)]
    board = ((np.indices((128, 128)).sum(0) % 2) * 255).astype(np.uint8)
    return np.stack([*flat, ramp, ramp.T, np.where(ramp < 64, 0, 200).astype(np.uint8), board])


def test_degenerate_images_have_no_value_and_leave_the_others_as_they_are():
    good, bad = textures(20), degenerate()
    alone = naturalness(good, parameters())
    together = naturalness(np.concatenate([good[:5], bad, good[5:]]), parameters())
    for measure, values in together.items():
        assert np.isfinite(alone[measure]).all()
        assert np.delete(values, range(5, 5 + len(bad))) == pytest.approx(alone[measure], rel=1e-4), measure
        assert np.isnan(values[5:8]).all(), "flat images have no texture"


def test_order_does_not_matter():
    images = textures(6)
    forward, backward = naturalness(images, parameters()), naturalness(images[::-1], parameters())
    for measure in MEASURES:
        assert forward[measure] == pytest.approx(backward[measure][::-1], rel=1e-4)


def test_a_set_of_flat_images_only():
    values = naturalness(np.zeros((3, 128, 128), np.uint8), parameters())
    assert all(np.isnan(scores).all() for scores in values.values())


def test_images_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        naturalness(np.zeros((1, 128, 128)), {})
