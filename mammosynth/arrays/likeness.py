"""How alike two images are, whatever their light, a mirror or a small shift."""

import numpy as np

GRID = 48  # cells a side of the images that are correlated
REACH = 2  # cells that an image may have been shifted by
FINE, COARSE = 1 / 48, 1 / 16  # sigmas, as shares of the side: what lies between is structure
FLATNESS = 0.1  # of the image's mean power, added to the local one: nearly flat places are not blown up
GREY_LEVEL = 0.5  # fainter structure than this is noise
BATCH = 1000  # images at a time, and training ROIs: memory stays flat


def correlate(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlations [n, m] of images uint8 [n, H, W] and [m, H, W], at the best of shifts, plain or mirrored.

    Images are smoothed and sampled on a grid of 48×48; a wider smoothing is subtracted, and what is left is divided by
    its local standard deviation. So light, shade and a single strong edge (a film's border, the rim of a cyst), which
    many patients share, count no more than texture, which none do. Of x the middle is taken, and of y all windows of
    its size up to 2 cells off (5 px of 128), of its mirror image too: the largest of their Pearson correlations.

    Where there is no structure, as in a constant image, the correlation is 0: with all, itself included. So a constant
    image is no near copy of anything.
    """
    return correlate_structures(structure_of(x), structure_of(y))


def alike(images: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [P, 2] of positions, the lower first, of images uint8 [N, H, W] that correlate by more than *least*, and
    their correlations [P].

    Either way round, see `correlate`; ``BATCH`` by ``BATCH``.
    """
    pairs, correlations = [np.empty((0, 2), int)], [np.empty(0)]
    for first in range(0, len(images), BATCH):
        x = images[first : first + BATCH]
        for second in range(first, len(images), BATCH):
            y = images[second : second + BATCH]
            forth = correlate(x, y)
            back = forth if second == first else correlate(y, x)
            likeness = np.maximum(forth, back.T)
            i, j = np.nonzero(likeness > least)
            pairs.append(np.stack([first + i, second + j], axis=1))
            correlations.append(likeness[i, j])
    found = np.concatenate(pairs)
    once = found[:, 0] < found[:, 1]
    return found[once], np.concatenate(correlations)[once]


def structure_of(images: np.ndarray) -> np.ndarray:
    """Locally normalised structure float32 [n, GRID, GRID] of images."""
    rows, columns = (_smoothing(side, FINE) for side in images.shape[1:])
    wide = _smoothing(GRID, COARSE)
    result = np.zeros((len(images), GRID, GRID), np.float32)
    for start in range(0, len(images), BATCH):
        smooth = rows @ images[start : start + BATCH].astype(np.float32) @ columns.T
        detail = smooth - wide @ smooth @ wide.T
        power = wide @ detail**2 @ wide.T
        least = FLATNESS * power.mean((1, 2), keepdims=True) + GREY_LEVEL**2
        result[start : start + BATCH] = detail / np.sqrt(power + least)
    return result


def _smoothing(side: int, sigma: float) -> np.ndarray:
    """The matrix [GRID, side] of Gaussian means around the middles of GRID cells; sigma as a share of the side."""
    middles = (np.arange(GRID) + 0.5) * side / GRID - 0.5
    weights = np.exp(-((np.arange(side) - middles[:, None]) ** 2) / (2 * (sigma * side) ** 2))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def correlate_structures(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As `correlate`, of what `structure_of` returns, so that it is made once where it is asked for often."""
    inner, places = GRID - 2 * REACH, range(2 * REACH + 1)
    middle = x[:, REACH:-REACH, REACH:-REACH]
    plain, mirrored = _standardised(middle), _standardised(middle[:, :, ::-1])
    best = np.full((len(x), len(y)), -1, np.float32)
    for i in places:
        for j in places:
            window = _standardised(y[:, i : i + inner, j : j + inner]).T
            for turned in (plain, mirrored):
                np.maximum(best, turned @ window, out=best)
    return best


def _standardised(windows: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and norm 1, so that products are correlations; 0 where a window has no structure."""
    rows = windows.reshape(len(windows), np.prod(windows.shape[1:]))
    rows = rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 0.01 * np.sqrt(rows.shape[1]))
