"""Images from and to other tools: what is read back, and what is refused with one sentence."""

import re

import numpy as np
import pytest
from PIL import Image
from quality_for_tests import image_set

from mammosynth import exchange
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet


@pytest.fixture
def images():
    found = image_set(5, 3, seed=3, per_patient=2)
    return found[np.array([7, 0, 6, 1, 5, 2, 3, 4])]  # classes mixed, as in a study


def equal(one: ImageSet, other: ImageSet) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def fill(folder, names, image=None):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(
            np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8) if image is None else image
        ).save(path)
    return folder


def test_a_folder_gives_back_the_very_set_that_was_exported(images, tmp_path):
    images.sources[0] = "a real one"
    exchange.write_folder(images, tmp_path / "out")
    found = exchange.read(tmp_path / "out")
    assert equal(found.images, images)
    assert found.labelled
    assert found.patients_known


def test_medmnists_form_is_as_medmnist_says_and_gives_every_part_back(images, tmp_path):
    exchange.write_medmnist({"train": images, "test": images[:2]}, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as file:
        assert file["train_images"].shape == (8, 128, 128)
        assert file["train_labels"].shape == (8, 1)
        assert file["train_labels"].dtype == np.uint8
    assert exchange.has_parts(tmp_path / "out.npz")
    assert equal(exchange.read(tmp_path / "out.npz", parts=("train",)).images, images)
    assert equal(exchange.read(tmp_path / "out.npz", parts=("val", "test")).images, images[:2])


def test_an_image_set_of_a_study_is_read_as_it_is(images, tmp_path):
    images.save(tmp_path / "set.npz")
    assert equal(exchange.read(tmp_path / "set.npz").images, images)


def test_nothing_is_written_over(images, tmp_path):
    exchange.write_folder(images, tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        exchange.write_folder(images, tmp_path / "out")


def test_classes_are_those_of_folders_at_any_depth_and_of_any_name(tmp_path):
    fill(tmp_path, ["a/B/1.png", "a/M/2.png", "m/3.png"])
    found = exchange.read(tmp_path, names={"benign": "b", "malignant": "m"})
    assert found.images.labels.tolist() == [0, 1, 1]
    assert exchange.read(tmp_path).labelled is False


def test_labels_may_be_the_other_way_round_as_in_breastmnist(tmp_path):
    pixels = np.zeros((3, 28, 28), np.uint8)
    np.savez(tmp_path / "x.npz", train_images=pixels, train_labels=np.array([[0], [1], [1]]))
    found = exchange.read(tmp_path / "x.npz", names={"benign": "1", "malignant": "0"})
    assert found.images.labels.tolist() == [1, 0, 0]


def test_the_patient_is_found_in_the_path(tmp_path):
    fill(tmp_path, ["P1_a.png", "P1_b.png", "P2_a.png"])
    assert exchange.read(tmp_path, patient="(P[0-9])_").images.patients.tolist() == ["P1", "P1", "P2"]
    with pytest.raises(InputError, match=r"--patient P1 finds no patient in P2_a\.png"):
        exchange.read(tmp_path, patient="P1")
    with pytest.raises(InputError, match="is no regular expression"):
        exchange.read(tmp_path, patient="(P1")


def test_grey_images_saved_in_three_channels_are_grey(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    fill(tmp_path, ["a.png"], np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(exchange.read(tmp_path).images.images[0], grey)
    assert np.array_equal(exchange.read(np.repeat(grey[None, ..., None], 3, axis=3)).images.images[0], grey)


def test_square_images_are_resized_if_it_is_asked_for(tmp_path):
    fill(tmp_path, ["a.png"])
    fill(tmp_path, ["b.png"], np.zeros((32, 32), np.uint8))
    assert exchange.read(tmp_path, size=48).images.images.shape == (2, 48, 48)


COLOUR = np.zeros((64, 64, 3), np.uint8)
COLOUR[..., 0] = 200
REFUSED = {
    "an empty folder": ({}, "holds no images"),
    "several sizes": (
        {"a.png": None, "b.png": np.zeros((32, 32), np.uint8)},
        r"images of 2 sizes, 64×64 \(1\), 32×32 \(1\): crop all alike, or have square ones resized by --size",
    ),
    "16 bits": ({"a.png": None, "b.png": np.zeros((64, 64), np.uint16)}, r"1 images of more than 8 bits \(.*b\.png"),
    "colour": ({"a.png": COLOUR}, r"1 images in colour \(.*a\.png is one\)"),
    "images outside the classes": (
        {"benign/a.png": None, "malignant/b.png": None, "normal/c.png": None},
        r"1 images outside its folders benign and malignant \(normal/c\.png",
    ),
    "images in both classes": ({"benign/malignant/a.png": None}, "folders of both classes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_in_one_sentence(name, tmp_path):
    files, message = REFUSED[name]
    for file, image in files.items():
        fill(tmp_path, [file], image)
    with pytest.raises(InputError, match=message) as caught:
        exchange.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_image_is_named(tmp_path):
    fill(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(InputError, match=r"b\.png cannot be read"):
        exchange.read(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "neither images, train_images nor arr_0"),
        ({"images": np.zeros((2, 8, 8))}, "images of float64"),
        ({"images": np.zeros((8, 8), np.uint8)}, "2 dimensions"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array([0, 7])}, "has the label 7"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array([0])}, "1 labels for 2 images"),
        ({"arr_0": np.broadcast_to(np.array([200, 0, 0], np.uint8), (2, 8, 8, 3))}, "in colour"),
    ],
)
def test_arrays_that_are_no_images_are_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        exchange.read(tmp_path / "x.npz")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "x.npz").write_text("no arrays")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'x.npz'} is neither a folder of images nor a .npz")):
        exchange.read(tmp_path / "x.npz")
    with pytest.raises(InputError, match="does not exist"):
        exchange.read(tmp_path / "nothing")
