"""How alike two images are, whatever their light, a mirror or a small shift.

Where many images are compared with many, only those pairs are correlated that may matter: of each window a **sketch**
is kept, its lowest frequencies and how much is in all others, and by Cauchy and Schwarz's inequality the product of two
sketches is no less than the correlation. So nothing is missed, and results are those of comparing all; a sketch is a
sixth as long as a window.
"""

from collections.abc import Iterator

import numpy as np

GRID = 48  # cells a side of the images that are correlated
REACH = 2  # cells that an image may have been shifted by
FINE, COARSE = 1 / 48, 1 / 16  # sigmas, as shares of the side: what lies between is structure
FLATNESS = 0.1  # of the image's mean power, added to the local one: nearly flat places are not blown up
GREY_LEVEL = 0.5  # fainter structure than this is noise
BATCH = 1000  # images at a time, and training ROIs
INNER = GRID - 2 * REACH  # cells a side of the windows that are correlated
SKETCH = 320  # numbers of a sketch: of BUSI's and CBIS-DDSM's ROIs a fifth is in the other frequencies
ROUNDING = 1e-4  # by which a product of sketches may be too small, in single precision


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
    """Pairs [P, 2] of positions, the lower first and in order, of images uint8 [N, H, W] that correlate by more than
    *least*, and their correlations [P]: either way round, see `correlate`.
    """
    structures = structure_of(images)
    middles = _sketches_of_middles(structures)
    candidates = [np.empty((0, 2), int)]
    for first, windows in _sketches_of_windows(structures):
        for start in range(0, len(images), BATCH):
            i, j = np.nonzero(_bounds(middles[:, start : start + BATCH], windows) > least)
            pairs = np.stack([start + i, first + j], axis=1)
            candidates.append(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    forth, back = (_correlate_pairs(structures, structures, pairs[:, k], pairs[:, 1 - k]) for k in (0, 1))
    correlation = np.maximum(forth, back)
    return pairs[correlation > least], correlation[correlation > least]


def most_alike(
    images: np.ndarray, units: np.ndarray, known: np.ndarray, known_units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of images [N, H, W] the one of *known* [M, H, W] that it correlates with best, as `correlate(images,
    known)` has it: its position [N], the lowest if several do, and the correlation [N]. Of the same unit [N], [M] none;
    0 and −∞ if there is no other.
    """
    own = structure_of(images)
    theirs = own if known is images else structure_of(known)
    middles = _sketches_of_middles(own)
    nearest, best = np.zeros(len(images), int), np.full(len(images), -np.inf, np.float32)
    for first, windows in _sketches_of_windows(theirs):
        for start in range(0, len(images), BATCH):
            rows = np.arange(start, min(start + BATCH, len(images)))
            bound = _bounds(middles[:, rows], windows)
            bound[units[rows, None] == known_units[first : first + bound.shape[1]]] = -np.inf
            found = best[rows]
            likely = np.flatnonzero(bound.max(axis=1) > found)  # first: then few others can be better
            others = first + bound.argmax(axis=1)[likely]
            found[likely] = np.maximum(found[likely], _correlate_pairs(own, theirs, rows[likely], others))
            i, j = np.nonzero(bound > found[:, None])
            correlation = _correlate_pairs(own, theirs, rows[i], first + j)
            np.maximum.at(found, i, correlation)
            better = (correlation == found[i]) & (correlation > best[rows[i]])
            nearest[rows[i[better]][::-1]] = first + j[better][::-1]  # the lowest is written last
            best[rows] = found
    return nearest, best


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
    best = np.full((len(x), len(y)), -1, np.float32)
    turned = _middles(x)
    for window in _windows(y):
        for middle in turned:
            np.maximum(best, middle @ window.T, out=best)
    return best


def _correlate_pairs(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """The same [P], of the pairs x[i], y[j] alone."""
    best = np.full(len(i), -1, np.float32)
    for start in range(0, len(i), BATCH):
        some = slice(start, start + BATCH)
        turned = _middles(x[i[some]])
        for window in _windows(y[j[some]]):
            for middle in turned:
                np.maximum(best[some], np.einsum("pk,pk->p", middle, window), out=best[some])
    return best


def _middles(structures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle windows [n, INNER²] of structures, plain and mirrored, as `_standardised` has them."""
    middle = structures[:, REACH:-REACH, REACH:-REACH]
    return _standardised(middle), _standardised(middle[:, :, ::-1])


def _windows(structures: np.ndarray) -> Iterator[np.ndarray]:
    """All windows of that size [n, INNER²], place by place."""
    for i in range(2 * REACH + 1):
        for j in range(2 * REACH + 1):
            yield _standardised(structures[:, i : i + INNER, j : j + INNER])


def _sketches_of_middles(structures: np.ndarray) -> np.ndarray:
    """Sketches [2, n, SKETCH] of `_middles`."""
    found = [np.empty((2, 0, SKETCH), np.float32)]
    for start in range(0, len(structures), BATCH):
        found.append(np.stack([_sketch(middle) for middle in _middles(structures[start : start + BATCH])]))
    return np.concatenate(found, axis=1)


def _sketches_of_windows(structures: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The first position of each batch, and the sketches [n, SKETCH] of its windows, place by place."""
    for start in range(0, len(structures), BATCH):
        yield start, [_sketch(window) for window in _windows(structures[start : start + BATCH])]


def _bounds(middles: np.ndarray, windows: list[np.ndarray]) -> np.ndarray:
    """What correlations [n, m] are no more than."""
    best = np.full((middles.shape[1], len(windows[0])), -np.inf, np.float32)
    for window in windows:
        for middle in middles:
            np.maximum(best, middle @ window.T, out=best)
    return best + np.float32(ROUNDING)


def _cosines() -> tuple[np.ndarray, np.ndarray]:
    """The orthonormal cosine transform [INNER, INNER], and which of a window's coefficients are the lowest but the
    constant one, which is 0."""
    cells = np.arange(INNER)
    rows = np.sqrt(2 / INNER) * np.cos(np.pi * (cells + 0.5) * cells[:, None] / INNER)
    rows[0] /= np.sqrt(2)
    lowest = np.argsort((cells**2 + cells[:, None] ** 2).ravel(), kind="stable")[1:SKETCH]
    return rows.astype(np.float32), lowest


COSINES, LOWEST = _cosines()


def _sketch(windows: np.ndarray) -> np.ndarray:
    """Sketches [n, SKETCH] of windows [n, INNER²]: the lowest of their frequencies, then the size of the rest."""
    spectrum = COSINES @ windows.reshape(-1, INNER, INNER) @ COSINES.T
    low = spectrum.reshape(len(windows), INNER**2)[:, LOWEST]
    rest = np.sqrt(np.maximum((windows**2).sum(axis=1) - (low**2).sum(axis=1), 0))
    return np.concatenate([low, rest[:, None]], axis=1)


def _standardised(windows: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and norm 1, so that products are correlations; 0 where a window has no structure."""
    rows = windows.reshape(len(windows), np.prod(windows.shape[1:]))
    rows = rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 0.01 * np.sqrt(rows.shape[1]))
