"""No-reference quality of single images: NIQE, as published and refitted, BRISQUE and PIQE. Lower is better for all.

They were made for photographs (LIVE's models of natural images), not for ultrasound or mammography: a value means
something only beside the real set's own. NIQE as published reads blocks of 96 px, so of a 128 px image one block, whose
covariance is then zero: the value is finite but inflated, for comparison within a study only, never with published
ones. NIQE refitted has real images in the place of photographs, and blocks of 32 px.

BRISQUE follows LIVE's release, PIQE MATLAB's ``piqe``; both as pyiqa does, which tests compare with.
"""

import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import gamma

from mammosynth.errors import InputError

BATCH = 16
BLOCK = 96  # px, of NIQE as published
REFITTED_BLOCK = 32  # px: sixteen blocks of a 128 px image, of 16 px at half the size
FLAT = 1e-8  # how far below its mean what is flat counts, as a share of the mean
SHAPES = np.arange(0.2, 10, 0.001)  # of a generalised normal distribution, among which the fit searches
# Neighbours whose products with a pixel have a distribution of their own: rows down, columns to the right.
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))

# BRISQUE: least and greatest value of each feature among LIVE's training images (the release's file allrange), which
# its regression has as -1 and 1; 18 at full size, then 18 at half size.
RANGES = np.array(
    [
        (0.338, 10), (0.017204, 0.806612), (0.236, 1.642), (-0.123884, 0.20293), (0.000155, 0.712298),
        (0.001122, 0.470257), (0.244, 1.641), (-0.123586, 0.179083), (0.000152, 0.710456), (0.000975, 0.470984),
        (0.249, 1.555), (-0.135687, 0.100858), (0.000174, 0.684173), (0.000913, 0.534174), (0.258, 1.561),
        (-0.143408, 0.100486), (0.000179, 0.685696), (0.000888, 0.536508), (0.471, 3.264), (0.012809, 0.703171),
        (0.218, 1.046), (-0.094876, 0.187459), (0.000015, 0.442057), (0.001272, 0.40803), (0.222, 1.042),
        (-0.115772, 0.162604), (0.000016, 0.444362), (0.001374, 0.40243), (0.227, 0.996), (-0.117188, 0.098323),
        (0.00003, 0.531903), (0.001122, 0.369589), (0.228, 0.99), (-0.12243, 0.098658), (0.000028, 0.530092),
        (0.001118, 0.370399),
    ]
)  # fmt: skip

# PIQE, by its paper: side of a block and of the parts of its edges (px), the variance above which a block counts, and
# the standard deviation below which a part of an edge is an artefact.
PIQE_BLOCK, SEGMENT, ACTIVE, IMPAIRED = 16, 6, 0.1, 0.1

Measure = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W] -> [B]


class NiqeModel(NamedTuple):
    """The normal distribution of the features of blocks: mean [36], covariance [36, 36].

    failures: images left out of the fit, since none of their blocks has features.
    """

    mean: np.ndarray
    covariance: np.ndarray
    failures: int = 0


def niqe_published(images: np.ndarray, file: str | Path) -> np.ndarray:
    """NIQE [N] of grey images uint8 [N, H, W] by the model in *file*, which is of photographs.

    NaN where this measure, or one of the others here, has no value: a flat or a perfectly regular image has no
    statistics to fit. That is its own failure, which the caller counts, and leaves the others as they are.

    Raises ValueError if *images* is anything else, and InputError if *file* is not whole.
    """
    try:
        with np.load(file) as arrays:
            model = NiqeModel(arrays["mu_pris_param"].ravel(), arrays["cov_pris_param"])
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file} is no whole file of NIQE's model: delete it and run again") from error
    return _scores(images, lambda batch: niqe(batch, model, BLOCK))


def niqe_refitted(images: np.ndarray, model: NiqeModel) -> np.ndarray:
    """NIQE [N] of grey images uint8 [N, H, W] by a model of real ones, see `fit_niqe`; NaN as for `niqe_published`."""
    return _scores(images, lambda batch: niqe(batch, model, REFITTED_BLOCK))


def brisque(images: np.ndarray, file: str | Path) -> np.ndarray:
    """BRISQUE [N] of grey images uint8 [N, H, W] by the regression in *file*; NaN as for `niqe_published`.

    Support vector regression on 36 features (Mittal, Moorthy and Bovik 2012, section III).
    """
    regression = read_regression(file)
    return _scores(images, lambda batch: regression(brisque_features(batch)))


def piqe(images: np.ndarray) -> np.ndarray:
    """PIQE [N], 0 to 100, of grey images uint8 [N, H, W]; NaN as for `niqe_published`."""
    return _scores(images, _piqe)


def fit_niqe(images: np.ndarray) -> NiqeModel:
    """NIQE's model of images uint8 [N, H, W], for NIQE refitted: the blocks of all images together.

    The paper takes the sharpest blocks of photographs, as a photograph's others may be out of focus. All are taken
    here: a smooth block is tissue, and leaving it out would make real images unlike their own model. Blocks without
    features, such as those in a black background, are left out here as in the scores.

    Raises ValueError if *images* is anything else, and InputError if no more than 36 of their blocks have features.
    """
    _check(images)
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    blocks = [_with_features(image) for batch in batches for image in niqe_features(batch, REFITTED_BLOCK)]
    if sum(map(len, blocks)) <= 36:  # the covariance of 36 features would be singular
        raise InputError(
            f"the {len(images)} training ROIs have too few blocks with features ({sum(map(len, blocks))}, and 37 are "
            "needed) to fit NIQE's model to: add more lesions, or look at the ROIs in contact_sheet.png"
        )
    found = np.concatenate(blocks)
    return NiqeModel(found.mean(0), np.cov(found, rowvar=False), sum(len(image) == 0 for image in blocks))


def niqe(images: np.ndarray, model: NiqeModel, block: int) -> np.ndarray:
    """NIQE [N] of grey images uint8 [N, H, W] (Mittal, Soundararajan and Bovik 2013, eq. 10).

    The distance between the model and the normal distribution of the image's blocks of *block* px; NaN if none of them
    has features.
    """
    scores = np.full(len(images), np.nan)
    for i, features in enumerate(map(_with_features, niqe_features(images, block))):
        if len(features):
            difference = features.mean(0) - model.mean
            covariance = np.cov(features, rowvar=False) if len(features) > 1 else 0.0
            precision = np.linalg.pinv((model.covariance + covariance) / 2, hermitian=True)
            scores[i] = np.sqrt(difference @ precision @ difference)
    return scores


def niqe_features(images: np.ndarray, block: int) -> np.ndarray:
    """Features [N, blocks, 36] of blocks of *block* px, an even number, of grey images uint8 [N, H, W].

    Of each block at full and at half size: 18 parameters of the distributions of contrast-normalised grey levels and
    of their products with neighbours (section 2.3). NaN where a distribution has no negative or no positive values.
    What is left of an image on the right and below is cut off before.
    """
    scales = zip(_at_two_sizes(images, block), (block, block // 2))
    return np.concatenate([_block_features(_normalised(image), side) for image, side in scales], axis=2)


def brisque_features(images: np.ndarray) -> np.ndarray:
    """Features [N, 36] of grey images uint8 [N, H, W].

    At full and at half size: shape and variance of the contrast-normalised grey levels' distribution; and of that of
    their products with neighbours the shape, mean and both variances. NaN where a distribution cannot be fitted. Of an
    odd side the last row or column is cut off before.
    """
    return np.concatenate(
        [_image_features(_normalised_in_float32(image)) for image in _at_two_sizes(images, 2)], axis=1
    )


def _at_two_sizes(images: np.ndarray, multiple: int) -> tuple[np.ndarray, np.ndarray]:
    """Images float [N, H, W], cut to a multiple of pixels on the right and below, and the same at half the size."""
    height, width = (side - side % multiple for side in images.shape[1:])
    whole = images[:, :height, :width].astype(np.float64)
    return whole, _half(height) @ whole @ _half(width).T


def _with_features(blocks: np.ndarray) -> np.ndarray:
    return blocks[np.isfinite(blocks).all(axis=1)]


def _normalised(images: np.ndarray) -> np.ndarray:
    """Deviations from the local mean over the local standard deviation + 1 (eq. 1 to 3): a window of 7 px.

    What is flat and not black counts as just below its mean, as it does by rounding where published values are from.
    """
    mean, of_squares = (gaussian_filter(x, 7 / 6, radius=3, mode="nearest", axes=(1, 2)) for x in (images, images**2))
    return (images - (1 + FLAT) * mean) / (np.sqrt(np.abs(of_squares - mean**2)) + 1)


def _normalised_in_float32(images: np.ndarray) -> np.ndarray:
    """The same for BRISQUE, black beyond the edge, and computed in float32 as pyiqa does.

    In flat areas rounding alone decides on which side of its mean a pixel is, and of an image with many of them on its
    value: in float64 one of pyiqa's five images has 67.1, and not the published 66.84.
    """
    squares = torch.arange(-3.0, 4.0, dtype=torch.float64) ** 2
    window = torch.exp(-(squares[:, None] + squares) / (2 * (7 / 6) ** 2))
    window = (window / window.sum()).float()[None, None]
    x = torch.from_numpy(images).float()[:, None]
    mean, of_squares = (torch.nn.functional.conv2d(y, window, padding=3) for y in (x, x**2))
    spread = torch.sqrt((of_squares - mean**2).abs() + torch.finfo(x.dtype).eps)
    return ((x - mean) / (spread + 1))[:, 0].double().numpy()


def _block_features(normalised: np.ndarray, side: int) -> np.ndarray:
    """18 features of each block of *side* px: [N, blocks, 18]."""
    n, height, width = normalised.shape
    blocks = normalised.reshape(n, height // side, side, width // side, side).swapaxes(2, 3)
    blocks = blocks.reshape(n, -1, side, side)
    shape, left, right = _asymmetric_normal(blocks)
    columns = [shape, _scale(shape) * (left + right) / 2]
    for neighbour in NEIGHBOURS:
        shape, left, right = _asymmetric_normal(blocks * np.roll(blocks, neighbour, axis=(2, 3)))
        columns += [shape, _mean(shape, left, right), _scale(shape) * left, _scale(shape) * right]
    return np.stack(columns, axis=2)


def _image_features(normalised: np.ndarray) -> np.ndarray:
    """18 features of each image: [N, 18]."""
    columns = list(_normal(normalised))
    for neighbour in NEIGHBOURS:
        shape, left, right = _asymmetric_normal(normalised * np.roll(normalised, neighbour, axis=(1, 2)))
        columns += [shape, _mean(shape, left, right), left**2, right**2]
    return np.stack(columns, axis=1)


def _normal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and variance [...] of generalised normal distributions about 0 fitted to x [..., H, W].

    By matching moments (Sharifi and Leon-Garcia 1995).
    """
    variance = (x**2).mean((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        moments = variance / np.abs(x).mean((-2, -1)) ** 2
    # in the order of the reciprocal, which rises with the shape as searchsorted wants it
    return SHAPES[np.searchsorted(-_limits_of_normal(), -moments)], variance


def _asymmetric_normal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape, left and right deviation [...] of asymmetric generalised normal distributions fitted to x [..., H, W].

    By matching moments (Lasmar, Stitou and Berthoumieu 2009). NaN if all negative or all positive values are those of
    flat areas.
    """
    axes = (-2, -1)
    size = x.shape[-2] * x.shape[-1]
    sides = np.minimum(x, 0), np.maximum(x, 0)
    squares = [np.einsum("...ij,...ij->...", side, side) for side in sides]
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (np.sqrt(square / np.count_nonzero(side, axes)) for square, side in zip(squares, sides))
        ratio = np.where(np.minimum(left, right) > 100 * FLAT, left / right, np.nan)
        magnitude = (sides[1].sum(axes) - sides[0].sum(axes)) / size
        moments = magnitude**2 / (sum(squares) / size) * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    return np.where(np.isnan(ratio), np.nan, SHAPES[np.searchsorted(_shape_limits(), moments)]), left, right


def _scale(shape: np.ndarray) -> np.ndarray:
    """What a deviation is times to be the scale of a generalised normal distribution."""
    return np.sqrt(gamma(1 / shape) / gamma(3 / shape))


def _mean(shape: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The mean of asymmetric generalised normal distributions by their shapes and deviations."""
    return _scale(shape) * (right - left) * gamma(2 / shape) / gamma(1 / shape)


def _ratios() -> np.ndarray:
    """The ratio of squared mean magnitude to mean square of each of ``SHAPES``; it rises."""
    return gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


@cache
def _shape_limits() -> np.ndarray:
    """Up to which ratio each of ``SHAPES`` is the nearest."""
    return (_ratios()[:-1] + _ratios()[1:]) / 2


@cache
def _limits_of_normal() -> np.ndarray:
    """Down to which reciprocal ratio each of ``SHAPES`` is the nearest."""
    return (1 / _ratios()[:-1] + 1 / _ratios()[1:]) / 2


@cache
def _half(side: int) -> np.ndarray:
    """The matrix [side / 2, side] that halves an even side as MATLAB's imresize does, which NIQE was released with.

    Cubic convolution (Keys 1981) stretched to eight pixels; beyond its edge the image is its own mirror.
    """
    first = 2 * np.arange(side // 2)[:, None] - 3
    distance = np.abs(np.arange(8) - 3.5) / 2
    near, far = 1.5 * distance**3 - 2.5 * distance**2 + 1, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance <= 1, near, far) / 2
    position = first + np.arange(8)
    position = np.where(position < 0, -1 - position, np.where(position >= side, 2 * side - 1 - position, position))
    matrix = np.zeros((side // 2, side))
    np.add.at(matrix, (np.arange(side // 2)[:, None], position), weights)
    return matrix


def _check(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"images must be uint8 [N, H, W], not {images.dtype} {list(images.shape)}")


def _scores(images: np.ndarray, measure: Measure) -> np.ndarray:
    _check(images)
    scores = np.full(len(images), np.nan)
    textured = np.flatnonzero(images.min((1, 2)) < images.max((1, 2)))
    for start in range(0, len(textured), BATCH):
        batch = textured[start : start + BATCH]
        scores[batch] = measure(images[batch])
    scores[~np.isfinite(scores)] = np.nan
    return scores


def read_regression(path: str | Path) -> Measure:
    """BRISQUE's support vector regression, from features [N, 36] to values [N], of LIVE's libsvm model.

    Its header has a line each for ``gamma``, ``rho`` and ``total_sv``; then comes one line ``coefficient 1:value
    2:value …`` for each support vector.

    Raises InputError if it is anything else, or has fewer lines than its header says.
    """
    try:
        head, _, lines = Path(path).read_text(encoding="ascii").partition("\nSV\n")
        header = dict(line.split(maxsplit=1) for line in head.splitlines())
        rows = [line.replace(":", " ").split() for line in lines.splitlines()]
        vectors = np.zeros((len(rows), 36))
        for vector, row in zip(vectors, rows):
            vector[np.array(row[1::2], int) - 1] = np.array(row[2::2], float)
        coefficients = np.array([float(row[0]) for row in rows])
        width, rho = float(header["gamma"]), float(header["rho"])
        if int(header["total_sv"]) != len(rows) or not lines.endswith("\n"):
            raise ValueError
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{path} is no whole file of BRISQUE's regression: delete it and run again") from error

    def regression(features: np.ndarray) -> np.ndarray:
        low, high = RANGES.T
        scaled = 2 * (features - low) / (high - low) - 1
        squares = (scaled**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * scaled @ vectors.T
        return np.exp(-width * squares) @ coefficients - rho

    return regression


def _piqe(images: np.ndarray) -> np.ndarray:
    """PIQE [N] of grey images [N, H, W], none of them black (Venkatanath et al. 2015).

    Images are stretched to their greatest grey level (halves rounded up, as in MATLAB) and mirrored at the right and
    below to whole blocks. As MATLAB's function has it, what surrounds the centre, the two columns in the middle, is all
    but the left one of these and the column right of both.
    """
    peak = images.max((1, 2), keepdims=True)
    beyond = [(0, -side % PIQE_BLOCK) for side in images.shape[1:]]
    stretched = np.pad(np.floor(255 * (images / peak) + 0.5), [(0, 0), *beyond], mode="symmetric")
    n, height = stretched.shape[:2]
    blocks = _normalised(stretched).reshape(n, height // PIQE_BLOCK, PIQE_BLOCK, -1, PIQE_BLOCK)
    blocks = blocks.swapaxes(2, 3).reshape(n, -1, PIQE_BLOCK, PIQE_BLOCK)
    variance = blocks.var((2, 3), ddof=1)
    middle = PIQE_BLOCK // 2 - 1
    centre = blocks[..., middle : middle + 2].std((2, 3), ddof=1)
    surround = np.delete(blocks, (middle, middle + 2), axis=3).std((2, 3), ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nan_to_num(centre / surround)
        unlike = np.abs(np.sqrt(variance) - ratio) / np.maximum(np.sqrt(variance), ratio)
    noisy = np.sqrt(variance) > 2 * unlike  # False where both are 0
    edges = np.stack([blocks[:, :, 0], blocks[:, :, -1], blocks[..., 0], blocks[..., -1]], axis=2)
    segments = np.lib.stride_tricks.sliding_window_view(edges, SEGMENT, axis=3)
    impaired = (segments.std(4, ddof=1) < IMPAIRED).any((2, 3))
    active = variance > ACTIVE
    distortion = active * (impaired * (1 - variance) + noisy * variance)
    return 100 * (distortion.sum(1) + 1) / (active.sum(1) + 1)
