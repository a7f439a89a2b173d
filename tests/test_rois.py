"""ROIs: the geometry of known boxes, windows, and what is recorded or refused."""

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantom_lesions, real
from PIL import Image
from skimage import filters

from mammosynth.databases.pixels import read_image
from mammosynth.errors import InputError
from mammosynth.rois import (
    MEASURED,
    apply_window,
    crop_image,
    crop_rois,
    cut,
    find_window,
    moved,
    place_square,
    resize,
    share_beyond,
    threshold_li,
)


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((40, 30, 60, 40), 0.0, (40, 25, 60, 45)),  # square of the longer side, about the centre
        ((40, 30, 60, 40), 0.2, (36, 21, 64, 49)),  # 20 × 1.4 = 28
        ((0, 0, 20, 20), 0.2, (0, 0, 28, 28)),  # moved inside
        ((190, 85, 200, 100), 0.2, (179, 79, 200, 100)),
        ((60, 10, 160, 90), 0.2, (40, -20, 180, 120)),  # higher than the image: the image in its middle
        ((-10, 40, 11, 61), 0.2, (0, 36, 29, 65)),  # a circle across the border
        ((0, 0, 200, 100), 0.0, (0, -50, 200, 150)),
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


def test_beyond_the_image_is_black_and_nothing_twice():
    image = np.arange(1, 51, dtype=np.float32).reshape(5, 10)
    patch = cut(image, (0, -2, 10, 8))
    assert patch.shape == (10, 10)
    assert np.array_equal(patch[2:7], image)
    assert not patch[:2].any()
    assert not patch[7:].any()
    assert np.array_equal(cut(image, (2, 1, 5, 4)), image[1:4, 2:5])


def test_an_roi_shows_each_place_of_its_image_once(tmp_path):
    """A wide scan with bright text at its upper border; the lesion's square is higher than the scan."""
    image = np.random.default_rng(0).integers(60, 100, (200, 300), dtype=np.uint8)
    image[:10] = 250
    Image.fromarray(image).save(tmp_path / "a.png")
    ((roi, values),) = crop_image(tmp_path / "a.png", "ultrasound", [(20, 0, 240, 190)], 128, 0.2)
    assert dict(zip(MEASURED, values))["padded"] == pytest.approx(1 - 200 * 300 / 308**2)
    beyond = 54 * 128 / 308  # rows of the ROI above the scan, and below it
    assert not roi[: int(beyond) - 2].any()
    assert not roi[int(128 - beyond) + 3 :].any()
    assert (roi > 240).any(axis=1).sum() == pytest.approx(10 * 128 / 308, abs=2)


def test_a_move_is_measured():
    assert moved((36, 21, 64, 49), (40, 30, 60, 40)) == 0
    assert moved((36, 21, 64, 49), (40, 30, 60, 41)) == 0  # half a pixel
    assert moved((0, 0, 28, 28), (0, 0, 20, 20)) == pytest.approx(4 / 28)
    assert moved((0, 36, 29, 65), (-10, 40, 11, 61)) == pytest.approx(14 / 29)


def test_a_circle_that_crosses_the_border_counts():
    assert share_beyond((0, 0, 20, 20), (100, 200)) == 0
    assert share_beyond((-10, 40, 10, 60), (100, 200)) == pytest.approx(0.5)
    assert share_beyond((190, 90, 210, 110), (100, 200)) == pytest.approx(0.75)
    assert share_beyond((200, 100, 210, 110), (100, 200)) == 1
    assert share_beyond((-10, 0, 210, 100), (100, 200)) == pytest.approx(1 / 11)


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
@pytest.mark.parametrize("white", ["border", "strip", "label"])
def test_what_is_white_about_a_breast_does_not_set_the_window(dtype, white):
    """A border on all sides that the breast touches, a strip beside it that is lit unevenly, a label in the air."""
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    film = np.full((400, 300), 0.02)
    film[60:340, :180] = rng.uniform(0.3, 0.6, (280, 180))
    if white == "border":
        film[:12] = film[-12:] = 1
        film[:, :12] = film[:, -12:] = 1
    elif white == "strip":
        film[:, 250:] = np.linspace(0.9, 1, 50)
    else:
        film[20:50, 220:280] = 0.97
    film = (film * top).astype(dtype)
    low, high = find_window(film, "mammography")
    assert low / top == pytest.approx(0.3, abs=0.01)
    assert high / top == pytest.approx(0.6, abs=0.01)


def test_a_film_that_is_all_white_has_a_window_too():
    assert find_window(np.full((50, 50), 255, dtype=np.uint8), "mammography") == (0, 255)


@pytest.mark.parametrize(("film", "tissue"), [("mdb132", 225), ("mdb274", 195), ("mdb252", 185)])
def test_real_films_with_white_borders_and_labels_are_windowed_by_their_tissue(film, tissue):
    """A strip of a sixth of the film, a frame that is broken in places, a label."""
    low, high = find_window(read_image(real("mini-mias") / f"all-mias/{film}.pgm"), "mammography")
    assert low < 60
    assert high < tissue


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
    ((roi, (*measured, low, high)),) = crop_image(tmp_path / "a.png", "ultrasound", [(70, 50, 520, 500)], 128, 0)
    assert measured == [450 / 128, 0, 0, 0, 0]
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
    assert table["moved"][0] == table["beyond"][0] == 0
    assert table["moved"][1] == pytest.approx(35 / 140)  # rows from −35
    assert table.loc[[2, 4], [*MEASURED]].isna().all(axis=None)


def test_what_is_padded_beyond_the_limit_is_excluded(lesions):
    lesions.loc[2, ["x0", "y0", "x1", "y1"]] = [0, 60, 20, 80]
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16, max_padded=0.3)
    assert list(images.ids) == ["x/a", "x/b", "x/c"]
    assert table["excluded"][3] == "ROI padded to more than 0.3"
    assert table.loc[3, [*MEASURED]].isna().all()
    images, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16, max_padded=0.4)
    assert "x/d" in images.ids


def test_a_lesion_beyond_its_image_is_excluded(lesions):
    """Moved inside, its square would show another place."""
    for row, box in ((2, [300, 50, 340, 90]), (3, [-50, -50, 0, 0])):
        lesions.loc[row, ["x0", "y0", "x1", "y1"]] = box
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert list(images.ids) == ["x/a", "x/b"]
    assert list(table["excluded"][2:4]) == ["lesion lies beyond its image"] * 2


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
    assert table.loc[0, [*MEASURED]].tolist() == [1, 0, 0, 0, 0, 0, 255]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_with_smaller_boxes_is_not_ready_made(tmp_path, order, dtype):
    """Whichever lesion is named first, both get their margin and the window of the image's tissue."""
    pixels = np.random.default_rng(0).integers(90, 140, (128, 128)).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    boxes = [(0, 0, 128, 128), (40, 40, 80, 80)]
    found = crop_image(tmp_path / "a.png", "ultrasound", [boxes[i] for i in order], 128, 0.2)
    (_, whole), (_, part) = (found[i] for i in order)
    whole, part = (dict(zip(MEASURED, values)) for values in (whole, part))
    assert (whole["scale"], part["scale"]) == (179 / 128, 56 / 128)
    assert whole["padded"] == pytest.approx(1 - (128 / 179) ** 2)
    for measured in (whole, part):
        assert (measured["window_low"], measured["window_high"]) == (90, 139)


def test_a_ready_made_roi_of_several_lesions_is_one(tmp_path):
    pixels = np.random.default_rng(0).integers(90, 140, (128, 128), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = crop_image(tmp_path / "a.png", "ultrasound", [(0, 0, 128, 128)] * 2, 128, 0.2)
    assert all(np.array_equal(roi, pixels) for roi, _ in found)


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
