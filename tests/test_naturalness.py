"""NIQE, BRISQUE and PIQE: published values, and images that have none."""

import importlib.metadata
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from quality_for_tests import parameter_file, real_rois, textures
from scipy.ndimage import gaussian_filter

import mammosynth.vision  # noqa: F401  isort: skip  (before pyiqa)
import pyiqa
from pyiqa.archs.niqe_arch import niqe as pyiqas_niqe
from pyiqa.utils.color_util import to_y_channel

from mammosynth.errors import InputError
from mammosynth.quality.naturalness import (
    BATCH,
    REFITTED_BLOCK,
    NiqeModel,
    brisque,
    fit_niqe,
    niqe,
    niqe_published,
    niqe_refitted,
    piqe,
)

# Of the five images that pyiqa ships, by its authors' calibration against the measures' own releases.
IMAGES = ("I03", "I04", "I06", "I08", "I19")
PUBLISHED = {
    "NIQE": ([15.6538, 3.6549, 3.2342, 3.1922, 9.0722], 3e-3),
    "BRISQUE": ([94.6443, -0.1068, 1.0732, 5.1447, 66.8415], 2e-2),
    "PIQE": ([100, 21.6243, 35.8646, 41.1471, 76.9485], 1e-3),
}


def alone(images):
    """By measure, the values of images, each measured without real ones."""
    return {
        "NIQE": niqe_published(images, parameter_file("niqe")),
        "BRISQUE": brisque(images, parameter_file("brisque")),
        "PIQE": piqe(images),
    }


def naturalness(images, refitted):
    return alone(images) | {"NIQE refitted": niqe_refitted(images, refitted)}


@pytest.mark.parametrize("measure", PUBLISHED)
def test_published_values(measure):
    score = {
        "NIQE": lambda images: niqe_published(images, parameter_file("niqe")),
        "BRISQUE": lambda images: brisque(images, parameter_file("brisque")),
        "PIQE": piqe,
    }[measure]
    expected, tolerance = PUBLISHED[measure]
    for name, value in zip(IMAGES, expected):
        path = importlib.metadata.distribution("pyiqa").locate_file(f"ResultsCalibra/dist_dir/{name}.bmp")
        pixels = torch.from_numpy(np.array(Image.open(str(path)).convert("RGB"))).permute(2, 0, 1)
        grey = to_y_channel(pixels[None].float() / 255, 255).round()[0].numpy()  # ties rounded otherwise: I03 + 0.02
        assert score(grey.astype(np.uint8)).item() == pytest.approx(value, abs=tolerance), name


def test_brisque_and_piqe_equal_pyiqas():
    images = textures(12)
    batch = torch.from_numpy(images)[:, None].float() / 255
    regression = io.BytesIO()
    torch.save(_as_pyiqa_reads_it(parameter_file("brisque")), regression)
    regression.seek(0)
    with torch.inference_mode():
        theirs = {
            "BRISQUE": pyiqa.create_metric("brisque", device="cpu", pretrained_model_path=regression)(batch),
            "PIQE": pyiqa.create_metric("piqe", device="cpu")(batch),
        }
    ours = alone(images)
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values.numpy().ravel(), abs=0.02), name


def _as_pyiqa_reads_it(path):
    """Coefficients [S] and vectors [S, 36]."""
    lines = Path(path).read_text(encoding="ascii").partition("\nSV\n")[2].splitlines()
    rows = [dict(pair.split(":") for pair in line.split()[1:]) for line in lines]
    vectors = [[float(row.get(str(i), 0)) for i in range(1, 37)] for row in rows]
    return torch.tensor([float(line.split()[0]) for line in lines]), torch.tensor(vectors)


@pytest.mark.parametrize("block", [16, 32, 96])
def test_niqe_equals_pyiqas_with_blocks_of_any_size(block):
    images, model = textures(4), fit_niqe(textures(20, 1))
    mean, covariance = (torch.from_numpy(array) for array in model[:2])
    batch = torch.from_numpy(images)[:, None].double()
    theirs = pyiqas_niqe(batch, mean.expand(4, -1), covariance.expand(4, -1, -1), block, block)
    assert niqe(images, model, block) == pytest.approx(theirs.numpy(), rel=1e-4)


def degenerate():
    """Flat at every level, ramps, halves, a checkerboard."""
    ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    flat = [np.full((128, 128), level, np.uint8) for level in (0, 128, 255)]
    board = ((np.indices((128, 128)).sum(0) % 2) * 255).astype(np.uint8)
    return np.stack([*flat, ramp, ramp.T, np.where(ramp < 64, 0, 200).astype(np.uint8), board])


@pytest.fixture(scope="module")
def refitted():
    return fit_niqe(textures(40, 1))


def test_degenerate_images_have_no_value_and_leave_the_others_as_they_are(refitted):
    good, bad = textures(20), degenerate()
    apart = naturalness(good, refitted)
    together = naturalness(np.concatenate([good[:5], bad, good[5:]]), refitted)
    for measure, values in together.items():
        assert np.isfinite(apart[measure]).all()
        assert np.delete(values, range(5, 5 + len(bad))) == pytest.approx(apart[measure], rel=1e-4), measure
        assert np.isnan(values[5:8]).all(), "flat images have no texture"
    for measure in ("NIQE", "NIQE refitted"):
        assert np.isnan(together[measure][5 : 5 + len(bad)]).all(), "regular images have no distribution"


def test_the_refitted_model_leaves_degenerate_images_out_and_counts_them(refitted):
    good, bad = textures(40, 1), degenerate()
    model = fit_niqe(np.concatenate([bad[:4], good, bad[4:]]))
    assert (refitted.failures, model.failures) == (0, len(bad))
    assert model.mean == pytest.approx(refitted.mean)
    assert model.covariance == pytest.approx(refitted.covariance)
    with pytest.raises(InputError, match=r"training ROIs have too few blocks with features .*: add more lesions"):
        fit_niqe(bad)


@pytest.mark.parametrize(
    ("name", "measure", "model"),
    [("niqe", niqe_published, "NIQE's model"), ("brisque", brisque, "BRISQUE's regression")],
)
@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_damaged_parameter_file_is_one_sentence(name, measure, model, share, tmp_path):
    whole = Path(parameter_file(name)).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"{name} is no whole file of {model}: delete it and run again$"):
        measure(textures(1), tmp_path / name)


def test_the_refitted_model_is_stored_as_arrays(refitted, tmp_path):
    np.savez(tmp_path / "model.npz", **refitted._asdict())
    with np.load(tmp_path / "model.npz") as file:
        loaded = NiqeModel(**file)
    images = textures(3)
    assert (niqe(images, loaded, REFITTED_BLOCK) == niqe(images, refitted, REFITTED_BLOCK)).all()


def one_grain(n):
    """Noise of one sharpness: unlike `textures`, of which some are so sharp that blur makes them more like the rest."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(n, 128, 128)), 0.8, axes=(1, 2))
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def worse_and_worse(images, change):
    return [np.clip(change(images.astype(float), amount), 0, 255).astype(np.uint8) for amount in (0, 1, 2, 4)]


def blurred(images, amount):
    return gaussian_filter(images, amount / 2, axes=(1, 2))


def noisy(images, amount):
    return images + 5 * amount * np.random.default_rng(0).normal(size=images.shape)


@pytest.mark.parametrize("change", [blurred, noisy])
@pytest.mark.parametrize("images", [one_grain, real_rois])
def test_niqe_refitted_rises_with_blur_and_with_noise(images, change):
    pool = images(120)
    model = fit_niqe(pool[:80])
    values = [np.mean(niqe(changed, model, REFITTED_BLOCK)) for changed in worse_and_worse(pool[80:], change)]
    assert values == sorted(values)
    assert values[1] > 1.1 * values[0]


def test_order_and_batch_do_not_matter(refitted):
    images = textures(BATCH + 3)
    forward, backward = (naturalness(x, refitted) for x in (images, images[::-1]))
    for measure in forward:
        assert forward[measure] == pytest.approx(backward[measure][::-1], rel=1e-4), measure
    last = naturalness(images[-1:], refitted)
    assert all(last[measure] == pytest.approx(forward[measure][-1:], rel=1e-4) for measure in forward)


def test_a_set_of_flat_images_only():
    values = alone(np.zeros((3, 128, 128), np.uint8))
    assert all(np.isnan(scores).all() for scores in values.values())


def test_images_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        piqe(np.zeros((1, 128, 128)))


def test_piqe_without_an_active_block_is_100():
    slow = np.tile(np.arange(128, dtype=np.uint8) + 127, (128, 1))  # local contrast is a hundredth
    assert piqe(slow[None]).item() == 100


def test_sides_of_any_length_have_values():
    images = textures(3)[:, :101, :115]
    assert all(np.isfinite(values).all() for name, values in alone(images).items())
