"""SSIM and MS-SSIM against other implementations, and which pairs are compared."""

import numpy as np
import pytest
import torch
from quality_for_tests import textures
from scipy.signal import convolve2d
from skimage.metrics import structural_similarity

from mammosynth.quality.similarity import ms_ssim, random_others, random_pairs, ssim, ssim_and_ms_ssim


def waves(side=256):
    """Three pairs of patterns that any implementation can make again."""
    y, x = np.indices((side, side))
    first = np.stack([(127 + 60 * np.sin(x / 9) + 60 * np.cos(y / (7 + k))).astype(np.uint8) for k in range(3)])
    return first, (first.astype(int) // 2 + (x * 7 + y * 13) % 97).astype(np.uint8)


def by_definition(x, y):
    """MS-SSIM of one pair, scale by scale, with a full two-dimensional window."""
    result = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        width = min(11, len(x))
        axis = np.arange(width) - (width - 1) / 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * (1.5 * width / 11) ** 2))
        mx, my, xx, yy, xy = (
            convolve2d(image, window / window.sum(), "valid") for image in (x, y, x * x, y * y, x * y)
        )
        contrast = (2 * (xy - mx * my) + 58.5225) / (xx - mx**2 + yy - my**2 + 58.5225)
        luminance = (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
        result *= np.mean(contrast * luminance if scale == 4 else contrast) ** weight
        x, y = ((image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4 for image in (x, y))
    return result


def test_ms_ssim_equals_pytorch_msssim_at_256_px():
    """Values of pytorch-msssim 1.0.0, whose window is in single precision."""
    assert ms_ssim(*waves()) == pytest.approx([0.6314794, 0.6205549, 0.6097168], abs=1e-5)


def test_ms_ssim_equals_the_package_pytorch_msssim_at_256_px():
    theirs = pytest.importorskip("pytorch_msssim", reason="of requirements-dev.txt").ms_ssim
    x, y = textures(6, 0, 256), textures(6, 1, 256)
    y[:3] = x[:3] // 2 + y[:3] // 2
    a, b = (torch.from_numpy(images)[:, None].double() for images in (x, y))
    assert ms_ssim(x, y) == pytest.approx(theirs(a, b, data_range=255, size_average=False).numpy(), abs=1e-5)


@pytest.mark.parametrize("side", [128, 256])
def test_ms_ssim_by_its_definition(side):
    x, y = waves(side)
    assert ms_ssim(x, y) == pytest.approx([by_definition(*pair) for pair in zip(x.astype(float), y.astype(float))])


def test_ssim_equals_scikit_images():
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for x, y in (waves(128), waves(97), (textures(3), textures(3, 1))):
        assert ssim(x, y) == pytest.approx([structural_similarity(*pair, **options) for pair in zip(x, y)], abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 20])
def test_both_of_the_same_pairs_are_each_alone(n):
    x, y = textures(20)[:n], textures(20, 1)[:n]
    assert ssim_and_ms_ssim(x, y).shape == (2, n)
    assert ssim_and_ms_ssim(x, y) == pytest.approx(np.stack([ssim(x, y), ms_ssim(x, y)]))


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_of_an_image_with_itself_and_with_worse_and_worse_copies(measure):
    x = textures(4)
    noise = np.random.default_rng(0).normal(size=x.shape)
    values = [measure(x, np.clip(x + sigma * noise, 0, 255).astype(np.uint8)).mean() for sigma in (0, 5, 20, 60)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert measure(x, x[::-1]) == pytest.approx(measure(x[::-1], x))


def test_ms_ssim_of_inverted_and_of_flat_images_is_a_number():
    x = textures(2)
    assert ms_ssim(x, 255 - x) == pytest.approx([0, 0], abs=0.05)
    flat = np.full((1, 128, 128), 90, np.uint8)
    assert ms_ssim(flat, flat) == pytest.approx([1])
    assert np.isfinite(ms_ssim(flat, x[:1])).all()


def test_ms_ssim_of_one_pair_does_not_depend_on_the_others():
    x, y = textures(40, 1, 32), textures(40, 2, 32)
    assert ms_ssim(x, y)[35] == pytest.approx(ms_ssim(x[35:36], y[35:36])[0])


def test_random_pairs_are_different_and_of_two_patients():
    units = np.array(["a", "a", "b", "b", "c"])
    pairs = random_pairs(units, 100, np.random.default_rng(0))
    assert len(pairs) == len({tuple(pair) for pair in pairs.tolist()}) == 8  # 10 pairs, two of them within a patient
    assert (units[pairs[:, 0]] != units[pairs[:, 1]]).all()
    assert len(random_pairs(units, 3, np.random.default_rng(0))) == 3
    assert len(random_pairs(np.array(["a", "a"]), 3, np.random.default_rng(0))) == 0


def test_all_pairs_of_two_patients_are_as_likely():
    units, rng = np.array(["b", "a", "c", "a", "b"]), np.random.default_rng(0)
    pairs = np.concatenate([random_pairs(units, 1, rng) for _ in range(4000)])
    found, counts = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    assert len(found) == 8
    assert np.abs(counts - 500).max() < 4 * np.sqrt(500)


def test_pairs_of_many_images_take_no_table_of_all():
    pairs = random_pairs(np.arange(10**6), 100, np.random.default_rng(0))
    assert len({tuple(pair) for pair in pairs.tolist()}) == 100
    assert pairs.min() < 10**5 < 9 * 10**5 < pairs.max()


def test_a_random_other_is_of_another_unit_and_all_of_those_are_as_likely():
    units, real_units = np.array(["a", "b", ""]), np.array(["b", "a", "c", "a", "b", "d"])
    rng = np.random.default_rng(0)
    drawn = np.stack([random_others(units, real_units, rng) for _ in range(4000)])
    for image, others in enumerate(([0, 2, 4, 5], [1, 2, 3, 5], range(6))):
        found, counts = np.unique(drawn[:, image], return_counts=True)
        assert found.tolist() == list(others)
        assert np.abs(counts - 4000 / len(found)).max() < 4 * np.sqrt(4000 / len(found))
    with pytest.raises(ValueError, match=r"high <= 0|low >= high"):
        random_others(np.array(["a"]), np.array(["a", "a"]), rng)
