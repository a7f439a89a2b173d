"""Structural similarity of pairs of images, and which pairs.

MS-SSIM of random pairs within a set tells how little variety it has (Odena et al. 2017): low is diverse, and the real
set's own value is the mark. SSIM between a synthetic and a real image is a matter of the pair: with the real image that
is nearest in features, with a random one, or with the one that it is a translation of.
"""

from collections.abc import Callable

import numpy as np

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales (Wang, Simoncelli and Bovik 2003)
WINDOW, SIGMA = 11, 1.5  # of the Gaussian window (Wang et al. 2004)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BATCH = 4  # pairs at a time: they stay in the cache


def ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM [P] of pairs of grey images uint8 [P, H, W] (Wang et al. 2004): a Gaussian window of 11 px, sigma 1.5."""
    return _in_batches(lambda a, b: np.mean(np.multiply(*_terms(a, b)), axis=(1, 2)), x, y)


def ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """MS-SSIM [P] of pairs of grey images uint8 [P, H, W], sides of 16 px at least.

    Five scales halve the image four times, and a window of 11 px needs 161 px for that. Here, as in the code of ProGAN
    (Karras et al. 2018), the window is min(11, side) px wide with a sigma in proportion: so 128 px images keep all five
    scales, and from 176 px on it is the usual measure. Other answers give other numbers (four scales; a window of 7
    px): compare within one study only.
    """
    return ssim_and_ms_ssim(x, y)[1]


def ssim_and_ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Both [2, P] of the same pairs, for the price of MS-SSIM: its first scale is where SSIM is measured."""
    return _in_batches(_ssim_and_ms_ssim, x, y)


def _in_batches(measure: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.asarray(x), np.asarray(y)
    starts = range(0, max(len(x), 1), BATCH)  # no pairs are one empty batch
    parts = [measure(*(images[i : i + BATCH].astype(np.float64) for images in (x, y))) for i in starts]
    return np.concatenate(parts, axis=-1)


def _ssim_and_ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    means = []
    for _ in WEIGHTS:
        luminance, contrast = _terms(x, y)
        means.append([(luminance * contrast).mean((1, 2)), contrast.mean((1, 2))])
        x, y = _halved(x), _halved(y)
    similarities, contrasts = np.swapaxes(means, 0, 1)
    terms = [*contrasts[:-1], similarities[-1]]
    # a negative term (inverted structure) has no real power
    ms = np.prod([np.maximum(term, 0) ** weight for term, weight in zip(terms, WEIGHTS)], axis=0)
    return np.stack([similarities[0], ms])


def _terms(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM's luminance term, and its contrast and structure term, wherever the window lies within the image."""
    width = min(WINDOW, *x.shape[1:])
    mx, my, xx, yy, xy = (_smoothed(image, width) for image in (x, y, x * x, y * y, x * y))
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    contrast = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
    return luminance, contrast


def _smoothed(images: np.ndarray, width: int) -> np.ndarray:
    """Gaussian means under a window: the window's rows as a banded matrix, from the left and from the right."""
    position = np.arange(width) - (width - 1) / 2
    window = np.exp(-(position**2) / (2 * (SIGMA * width / WINDOW) ** 2))
    rows, columns = (_banded(window / window.sum(), side) for side in images.shape[1:])
    return rows @ images @ columns.T


def _banded(window: np.ndarray, side: int) -> np.ndarray:
    """The matrix [side − width + 1, side] whose every row is the window, one further to the right."""
    places = side - len(window) + 1
    matrix = np.zeros((places, side))
    for place in range(places):
        matrix[place, place : place + len(window)] = window
    return matrix


def _halved(images: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels; an odd last row or column is left out."""
    height, width = (side - side % 2 for side in images.shape[1:])
    blocks = images[:, :height, :width].reshape(len(images), height // 2, 2, width // 2, 2)
    return blocks.mean((2, 4))


def random_pairs(units: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Up to *count* different pairs [P, 2] of images, of two units each.

    units [N]: what each image belongs to. Two images of one patient are alike for a reason that is not want of variety.
    """
    order = np.argsort(units, kind="stable")
    others = len(units) - np.searchsorted(units[order], units[order], "right")  # of each image, those of later units
    last = np.cumsum(others)  # pairs are numbered by their first images: up to here
    chosen = rng.choice(others.sum(), min(count, others.sum()), replace=False)
    first = np.searchsorted(last, chosen, "right")
    return order[np.stack([first, len(units) + chosen - last[first]], axis=1)]


def random_others(units: np.ndarray, real_units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each image that belongs to units [N], the position of a random one of real_units [M] that is another's.

    Raises ValueError if an image has none.
    """
    order = np.argsort(real_units, kind="stable")
    first, end = (np.searchsorted(real_units[order], units, side) for side in ("left", "right"))
    place = rng.integers(len(order) - (end - first))  # among those that are not from first to end
    return order[np.where(place < first, place, place + end - first)]
