"""Images side by side: which of many are shown, and all in one grid."""

import numpy as np

GAP = 4  # pixels between images


def evenly_spaced(total: int, most: int) -> np.ndarray:
    """Positions of up to *most* of *total* items, from the first to the last; int [min(total, most)]."""
    return np.linspace(0, total - 1, min(total, most)).round().astype(int)


def tile(images: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Images uint8 [N, H, W] in rows of *columns*, with white between them and where there are none.

    uint8 [rows × (H + gap) − gap, columns × (W + gap) − gap]; one row at least.
    """
    n, height, width = images.shape
    rows = max(-(-n // columns), 1)
    cells = np.full((rows * columns, height + gap, width + gap), 255, dtype=np.uint8)
    cells[:n, :height, :width] = images
    grid = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2).reshape(rows * (height + gap), -1)
    return grid[: len(grid) - gap, : grid.shape[1] - gap]
