"""Image sets: what goes in comes out, and half a file is no file."""

import numpy as np
import pytest

from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet


@pytest.fixture
def images() -> ImageSet:
    pixels = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    return ImageSet(pixels, [0, 1, 0], ["a", "b", "ü"], ["p1", "p1", "p2"], ["", "a", ""])


def test_saved_and_loaded_is_the_same(images, tmp_path):
    images.save(tmp_path / "set.npz")
    loaded = ImageSet.load(tmp_path / "set.npz")
    for name in ("images", "labels", "ids", "patients", "sources"):
        assert np.array_equal(getattr(loaded, name), getattr(images, name))
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_selection_keeps_rows_together(images):
    benign = images.of_class("benign")
    assert benign.ids.tolist() == ["a", "ü"]
    assert benign.patients.tolist() == ["p1", "p2"]
    assert np.array_equal(benign.images[1], images.images[2])
    both = ImageSet.concatenate([images.of_class("malignant"), benign])
    assert both.ids.tolist() == ["b", "a", "ü"]
    assert both.sources.tolist() == ["a", "", ""]


def test_the_bytes_of_a_file_do_not_depend_on_the_set_that_its_images_were_cut_from(images, tmp_path):
    more = ImageSet(images.images, images.labels, images.ids, [f"a longer name, {name}" for name in images.patients])
    images.save(tmp_path / "alone")
    ImageSet.concatenate([images, more])[:3].save(tmp_path / "cut")
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "cut").read_bytes()


def test_fields_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="ids has 1 entries for 2 images"):
        ImageSet(np.zeros((2, 4, 4)), [0, 1], ["a"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"text"])
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"set\.npz is not an image set"):
        ImageSet.load(tmp_path / "set.npz")
