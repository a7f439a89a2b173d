"""No-reference quality of single images: NIQE, as published and refitted, BRISQUE and PIQE. Lower is better for all.

They were made for photographs (LIVE's models of natural images), not for ultrasound or mammography: a value means
something only beside the real set's own. NIQE as published reads blocks of 96 px, so of a 128 px image one block, whose
covariance is then zero: the value is finite but inflated, for comparison within a study only, never with published
ones. NIQE refitted has real images in the place of photographs, and blocks of 32 px.

BRISQUE and PIQE are pyiqa's.
"""

import contextlib
import io
import logging
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
DEGENERATE = AssertionError  # what pyiqa raises where statistics cannot be fitted
BLOCK = 96  # px, of NIQE as published
REFITTED_BLOCK = 32  # px: sixteen blocks of a 128 px image, of 16 px at half the size
FLAT = 1e-8  # how far below its mean what is flat counts, as a share of the mean
SHAPES = np.arange(0.2, 10, 0.001)  # of a generalised normal distribution, among which the fit searches

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


def brisque(images: np.ndarray, file: str | Path, device: torch.device | str = "cpu") -> np.ndarray:
    """BRISQUE [N] of grey images uint8 [N, H, W] by the regression in *file*; NaN as for `niqe_published`."""
    model = io.BytesIO()
    torch.save(support_vectors(file), model)
    return _scores(images, _create("brisque", device, model))


def piqe(images: np.ndarray, device: torch.device | str = "cpu") -> np.ndarray:
    """PIQE [N] of grey images uint8 [N, H, W]; NaN as for `niqe_published`."""
    return _scores(images, _create("piqe", device))


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
    height, width = (side - side % block for side in images.shape[1:])
    whole = images[:, :height, :width].astype(np.float64)
    halved = _half(height) @ whole @ _half(width).T
    scales = [_block_features(_normalised(image), side) for image, side in ((whole, block), (halved, block // 2))]
    return np.concatenate(scales, axis=2)


def _with_features(blocks: np.ndarray) -> np.ndarray:
    return blocks[np.isfinite(blocks).all(axis=1)]


def _normalised(images: np.ndarray) -> np.ndarray:
    """Deviations from the local mean over the local standard deviation + 1 (eq. 1 to 3): a window of 7 px.

    What is flat and not black counts as just below its mean, as it does by rounding where published values are from.
    """
    mean, of_squares = (gaussian_filter(x, 7 / 6, radius=3, mode="nearest", axes=(1, 2)) for x in (images, images**2))
    return (images - (1 + FLAT) * mean) / (np.sqrt(np.abs(of_squares - mean**2)) + 1)


def _block_features(normalised: np.ndarray, side: int) -> np.ndarray:
    """18 features of each block of *side* px: [N, blocks, 18]."""
    n, height, width = normalised.shape
    blocks = normalised.reshape(n, height // side, side, width // side, side).swapaxes(2, 3)
    blocks = blocks.reshape(n, -1, side, side)
    shape, left, right = _asymmetric_normal(blocks)
    columns = [shape, (left + right) / 2]
    for neighbour in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _asymmetric_normal(blocks * np.roll(blocks, neighbour, axis=(2, 3)))
        columns += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(columns, axis=2)


def _asymmetric_normal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape, left and right scale [...] of asymmetric generalised normal distributions fitted to x [..., H, W].

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
    shape = np.where(np.isnan(ratio), np.nan, SHAPES[np.searchsorted(_shape_limits(), moments)])
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


@cache
def _shape_limits() -> np.ndarray:
    """Up to which ratio of squared mean magnitude to mean square each of ``SHAPES`` is the nearest."""
    ratios = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
    return (ratios[:-1] + ratios[1:]) / 2


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
        try:
            scores[batch] = measure(images[batch])
        except DEGENERATE:  # some image of the batch: each for itself
            for index in batch:
                with contextlib.suppress(DEGENERATE):
                    scores[index] = measure(images[[index]]).item()
    scores[~np.isfinite(scores)] = np.nan
    return scores


def support_vectors(path: str | Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients [S] and vectors [S, 36] of BRISQUE's regression, of LIVE's libsvm model.

    After a header that has one line ``coefficient 1:value 2:value …`` for each support vector.

    Raises InputError if it is anything else, or has fewer lines than its header says.
    """
    try:
        head, _, lines = Path(path).read_text(encoding="ascii").partition("\nSV\n")
        rows = [line.replace(":", " ").split() for line in lines.splitlines()]
        vectors = np.zeros((len(rows), 36), np.float32)
        for vector, row in zip(vectors, rows):
            vector[np.array(row[1::2], int) - 1] = np.array(row[2::2], float)
        coefficients = torch.tensor([float(row[0]) for row in rows])
        if f"total_sv {len(rows)}" not in head.splitlines() or not lines.endswith("\n"):
            raise ValueError
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no whole file of BRISQUE's regression: delete it and run again") from error
    return coefficients, torch.from_numpy(vectors)


def _create(name: str, device: torch.device | str, model: io.BytesIO | None = None) -> Measure:
    """pyiqa's measure, on the model that it would read from a file."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before pyiqa)
    import pyiqa

    options = {}
    if model is not None:
        model.seek(0)
        options = {"pretrained_model_path": model}
    logging.getLogger("pyiqa").setLevel(logging.WARNING)
    metric = pyiqa.create_metric(name, device=torch.device(device), **options)

    def measure(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(images)[:, None].to(device).float() / 255
            return metric(batch).reshape(-1).cpu().numpy()

    return measure
