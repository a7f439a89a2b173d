"""Grids of images: each stands where it belongs, and those shown are spread over all."""

import numpy as np
import pytest

from mammosynth.arrays.grid import evenly_spaced, tile


@pytest.mark.parametrize(("total", "most"), [(0, 5), (1, 5), (5, 5), (7, 1), (7, 5), (1000, 56), (57, 56)])
def test_those_shown_are_spread_from_the_first_to_the_last(total, most):
    shown = evenly_spaced(total, most)
    assert len(set(shown)) == len(shown) == min(total, most)
    assert all(np.diff(shown) > 0)
    if most > 1 and total:
        assert (shown[0], shown[-1]) == (0, total - 1)
        assert len(set(np.diff(shown))) <= 2


def test_images_stand_row_by_row_with_white_between_and_after_them():
    images = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)
    white = np.full((2, 3), 255)
    grid = tile(images, 3, gap=1)
    assert grid.shape == (2 * 2 + 1, 3 * 3 + 2)
    for k, image in enumerate([*images, white]):
        row, column = divmod(k, 3)
        np.testing.assert_array_equal(grid[3 * row : 3 * row + 2, 4 * column : 4 * column + 3], image)
    assert (grid[2] == 255).all()
    assert (grid[:, [3, 7]] == 255).all()
    close = np.block([[images[0], images[1]], [images[2], images[3]]])
    np.testing.assert_array_equal(tile(images[:4], 2, gap=0), close)


def test_no_image_is_a_row_of_white():
    assert (tile(np.empty((0, 2, 3), np.uint8), 2, gap=1) == 255).all()
    assert tile(np.empty((0, 2, 3), np.uint8), 2, gap=1).shape == (2, 7)
