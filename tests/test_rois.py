"""ROIs: the geometry of known boxes, windows, and what is recorded or refused."""

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantom_lesions
from PIL import Image
from skimage import filters

from mammosynth.errors import InputError
from mammosynth.rois import apply_window, crop_image, crop_rois, cut, find_window, place_square, resize, threshold_li


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((40, 30, 60, 40), 0.0, (40, 25, 60, 45)),  # square of the longer side, about the centre
        ((40, 30, 60, 40), 0.2, (36, 21, 64, 49)),  # 20 × 1.4 = 28
        ((0, 0, 20, 20), 0.2, (0, 0, 28, 28)),  # moved inside
        ((190, 85, 200, 100), 0.2, (179, 79, 200, 100)),
        ((60, 10, 160, 90), 0.2, (40, -20, 180, 120)),  # higher than the image: the image in its middle
        ((-10, 40, 11, 61), 0.2, (0, 36, 29, 65)),  # a circle across the border
        ((0, 0, 200, 100), 0.2, (0, -50, 200, 150)),  # ready-made: no margin
    ],
)
def test_squares(box, margin, square):
    assert place_square(box, (100, 200), margin) == square


def test_a_square_holds_its_box_wherever_it_fits():
    rng = np.random.default_rng(0)
    for _ in range(200):
        x0, y0 = rng.integers(0, 150, 2)
        x1, y1 = x0 + rng.integers(1, 50), y0 + rng.integers(1, 50)
        a, b, c, d = place_square((x0, y0, x1, y1), (200, 200), rng.uniform(0, 0.5))
        assert 0 <= a <= x0 < x1 <= c <= 200
        assert 0 <= b <= y0 < y1 <= d <= 200
        assert c - a == d - b


def test_padding_is_measured():
    image = np.arange(1, 51, dtype=np.float32).reshape(5, 10)
    patch, padded = cut(image, (0, -2, 10, 8), "constant")
    assert patch.shape == (10, 10)
    assert padded == pytest.approx(0.5)
    assert not patch[:2].any()
    assert not patch[7:].any()
    mirrored, padded = cut(image, (0, -2, 10, 8), "reflect")
    assert padded == pytest.approx(0.5)
    assert np.array_equal(mirrored[1], image[1])
    assert np.array_equal(mirrored[0], image[2])
    assert cut(image, (2, 1, 5, 4), "constant")[1] == 0


def test_a_window_is_that_of_the_tissue():
    rng = np.random.default_rng(0)
    film = np.full((400, 400), 3, dtype=np.uint8)
    film[100:300, :200] = rng.integers(80, 181, (200, 200))
    low, high = find_window(film, "mammography")
    assert low == pytest.approx(80, abs=1)
    assert high == pytest.approx(180, abs=1)
    scan = rng.integers(20, 201, (300, 300)).astype(np.uint8)
    scan[:, :200] = 0  # beside the sector
    low, high = find_window(scan, "ultrasound")
    assert low == pytest.approx(20, abs=1)
    assert high == pytest.approx(199, abs=1)
    assert apply_window(np.array([0, 20, 110, 200, 250]), 20, 200) == pytest.approx([0, 0, 127.5, 255, 255])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_li_is_that_of_skimage(dtype):
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    for air, tissue in ((0.01, 0.4), (0.1, 0.3), (0.2, 0.9), (0.5, 0.5)):
        pixels = np.concatenate([rng.normal(air, 0.02, 3000), rng.normal(tissue, 0.1, 2000)])
        image = (np.clip(pixels, 0, 1) * top).astype(dtype).reshape(50, 100)
        assert threshold_li(np.bincount(image.ravel())) == pytest.approx(filters.threshold_li(image), rel=1e-3)
    assert threshold_li(np.bincount([7, 7, 7])) == 7
    assert 7 <= threshold_li(np.bincount([7, 8])) < 8


def test_a_large_image_has_the_window_of_its_sample():
    rng = np.random.default_rng(0)
    tissue = rng.integers(20000, 50001, (2000, 1500)).astype(np.uint16)
    film = np.concatenate([rng.integers(0, 300, tissue.shape).astype(np.uint16), tissue], axis=1)
    low, high = find_window(film, "mammography")
    assert low == pytest.approx(20150, abs=30)
    assert high == pytest.approx(49850, abs=30)


def test_a_ready_made_roi_has_no_air_to_leave_out():
    crop = np.random.default_rng(0).integers(20000, 50001, (300, 200)).astype(np.uint16)
    crop[:, :50] = 0  # beside the film
    low, high = find_window(crop, "mammography", ready_made=True)
    assert (low, high) == pytest.approx((20150, 49850), abs=60)


def test_a_window_does_not_depend_on_the_depth_of_the_file():
    film = np.random.default_rng(0).integers(0, 256, (700, 600), dtype=np.uint8) // 2
    for modality in ("mammography", "ultrasound"):
        assert find_window(film, modality) == find_window(film.astype(np.uint16), modality)


def test_a_flat_image_has_a_window_too():
    for modality in ("ultrasound", "mammography"):
        low, high = find_window(np.zeros((50, 50), dtype=np.uint8), modality)
        assert high > low


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], dtype=np.float32), (512, 256))
    small = resize(stripes, 128)
    assert small.shape == (128, 128)
    assert np.abs(small[:, 4:-4].astype(int) - 127).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_roi_is_its_windowed_patch_resized(tmp_path, dtype):
    top = np.iinfo(dtype).max
    coarse = np.random.default_rng(0).uniform(0, top, (40, 40)).astype(np.float32)
    image = np.clip(resize(coarse, 640), 0, top).astype(dtype)  # its darkest and brightest lie beyond the window
    Image.fromarray(image).save(tmp_path / "a.png")
    (roi, (scale, padded, low, high)), *_ = crop_image(
        tmp_path / "a.png", "ultrasound", [(70, 50, 520, 500)], 128, 0, 1
    )
    assert (scale, padded) == (450 / 128, 0)
    patch = apply_window(image[50:500, 70:520], low, high)
    assert (patch == 0).any()
    assert (patch == 255).any()
    assert np.abs(resize(patch, 128).clip(0, 255) - roi).max() <= 0.51  # rounded to whole greys, and no more


@pytest.fixture
def lesions(tmp_path):
    """Images with a bright square on a grey gradient, the box known."""
    rng = np.random.default_rng(0)
    rows = []
    boxes = {"a": (100, 80, 164, 144), "b": (10, 10, 110, 60), "c": (50, 50, 56, 56), "d": (20, 0, 240, 190)}
    for name, (x0, y0, x1, y1) in boxes.items():
        image = rng.integers(60, 100, (200, 300), dtype=np.uint8)
        image[y0:y1, x0:x1] = 200
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        rows.append((f"x/{name}", str(tmp_path / f"{name}.png"), x0, y0, x1, y1))
    rows.append(("x/e", str(tmp_path / "absent.png"), pd.NA, pd.NA, pd.NA, pd.NA))
    table = pd.DataFrame(rows, columns=["lesion_id", "image", "x0", "y0", "x1", "y1"]).assign(
        modality="ultrasound",
        pathology=["benign", "malignant", "benign", "benign", "benign"],
        group=["g1", "g2", "g3", "g1", "g4"],
        excluded=["", "", "", "", "no coordinates"],
    )
    return table.astype(dict.fromkeys(["x0", "y0", "x1", "y1"], "Int64"))


def test_rois_and_what_is_recorded(lesions):
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert list(images.ids) == ["x/a", "x/b", "x/d"]
    assert list(images.labels) == [0, 1, 0]
    assert list(images.patients) == ["g1", "g2", "g1"]
    assert images.images.shape == (3, 128, 128)
    assert list(table["lesion_id"]) == list(lesions["lesion_id"])
    assert list(table["excluded"]) == ["", "", "ROI side below 16 source pixels", "", "no coordinates"]
    assert table["scale"][0] == pytest.approx(90 / 128)  # 64 × 1.4 = 89.6
    assert table["scale"][1] == pytest.approx(140 / 128)
    assert table["padded"][3] == pytest.approx(1 - 200 * 300 / 308**2)
    assert table["padded"][:2].tolist() == [0, 0]
    assert table.loc[[2, 4], ["scale", "padded", "window_low", "window_high"]].isna().all(axis=None)


def test_the_box_lands_where_it_should(lesions):
    images, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    bright = images.images[0] > 200
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    for found in (rows, columns):  # 13 of 90 pixels of context on either side
        assert found[0] == pytest.approx(13 * 128 / 90, abs=1.5)
        assert found[-1] + 1 == pytest.approx(77 * 128 / 90, abs=1.5)


def test_lesions_of_one_image_share_its_window(lesions):
    lesions.loc[1, ["image", "x0", "y0", "x1", "y1"]] = [lesions["image"][0], 0, 0, 40, 40]
    _, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert table["window_low"][0] == table["window_low"][1]
    assert table["window_high"][0] == table["window_high"][1]


def test_a_ready_made_roi_is_left_as_it_is(tmp_path, lesions):
    pixels = np.random.default_rng(0).integers(90, 140, (128, 128), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "ready.png")
    lesions.loc[0, ["image", "x0", "y0", "x1", "y1"]] = [str(tmp_path / "ready.png"), 0, 0, 128, 128]
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert np.array_equal(images.images[0], pixels)
    assert table.loc[0, ["scale", "padded", "window_low", "window_high"]].tolist() == [1, 0, 0, 255]


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_an_roi_of_a_single_grey_is_excluded_with_its_reason(tmp_path, lesions, grey):
    Image.fromarray(np.full((200, 300), grey, np.uint8)).save(tmp_path / "grey.png")
    lesions.loc[0, "image"] = str(tmp_path / "grey.png")
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert table.loc[0, "excluded"] == "ROI of a single grey"
    assert table.loc[0, "lesion_id"] not in images.ids


def test_sixteen_bits_are_windowed(tmp_path, lesions):
    pixels = np.random.default_rng(0).integers(1000, 3000, (200, 300)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    header = b"P5\n300 200\n4095\n"
    (tmp_path / "b.png").write_bytes(header + pixels.astype(">u2").tobytes())  # a PGM by its content
    images, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert images.images[:2].mean(axis=(1, 2)) == pytest.approx(127, abs=12)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(lesions, threads):
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    others, other_table = crop_rois(lesions, size=128, margin=0.2, min_side=16, threads=threads)
    assert np.array_equal(images.images, others.images)
    assert list(images.ids) == list(others.ids)
    pd.testing.assert_frame_equal(table, other_table)


@pytest.mark.parametrize("threads", [1, 3])
def test_all_unreadable_images_are_named_in_order(lesions, tmp_path, threads):
    for name in "ab":
        path = tmp_path / f"{name}.png"
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError) as error:
        crop_rois(lesions, size=128, margin=0.2, min_side=16, threads=threads)
    first, second = str(error.value).splitlines()
    assert "a.png cannot be read" in first
    assert "b.png cannot be read" in second


def test_a_class_without_lesions_is_refused(lesions):
    with pytest.raises(InputError, match=r"ultrasound has no usable malignant lesion \(5 lesions, 2 usable\)"):
        crop_rois(lesions.assign(excluded=["", "no", "", "", "no"]), size=128, margin=0.2, min_side=16)


@pytest.mark.parametrize("reader", ["busi", "mini_mias"])
def test_phantoms_become_rois(reader):
    lesions = phantom_lesions(reader)
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert len(images) == (lesions["excluded"] == "").sum() == (table["excluded"] == "").sum()
    # the lesion is in the middle, darker than its surroundings in ultrasound and brighter on a film
    centre = images.images[:, 48:80, 48:80].mean(axis=(1, 2)) - images.images[:, :, 4:20].mean(axis=(1, 2))
    assert np.mean((centre > 0) == (reader == "mini_mias")) > 0.8
