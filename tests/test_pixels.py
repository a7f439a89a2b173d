"""What an image file and a mask may be: each kind is read to the values that are known, or refused by name."""

import io
import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from databases_for_tests import mask_of, picture, save, save_csv, settings
from PIL import Image, ImageDraw, ImageFilter

from mammosynth.curation import read_lesions, save_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.pixels import bounding_box, masks_box, read_image, read_mask, read_size
from mammosynth.errors import InputError
from mammosynth.report import figures
from mammosynth.report.curation import find_groups, plot_groups
from mammosynth.rois import crop_rois

HEIGHT, WIDTH = 200, 240
BOX = (90, 70, 140, 115)  # a lesion of 50 × 45
WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def lesion(dark=0, light=255) -> np.ndarray:
    """A mask of an ellipse that fills BOX, uint8 [HEIGHT, WIDTH]."""
    x0, y0, x1, y1 = BOX
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = ((x + 0.5 - (x0 + x1) / 2) / 25) ** 2 + ((y + 0.5 - (y0 + y1) / 2) / 22.5) ** 2 <= 1
    return np.where(inside, light, dark).astype(np.uint8)


def scan(seed: int = 5) -> np.ndarray:
    """A picture with smooth greys and noise, uint8 [HEIGHT, WIDTH]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    greys = 90 + 50 * np.sin(x / 23) * np.cos(y / 17) + rng.normal(0, 8, (HEIGHT, WIDTH))
    return np.clip(greys, 0, 255).astype(np.uint8)


def spots(*places, value=255, on=None) -> np.ndarray:
    mask = lesion() if on is None else on.copy()
    for y, x in places:
        mask[y, x] = value
    return mask


def with_alpha(colours, alpha) -> np.ndarray:
    return np.dstack([np.broadcast_to(colours, (HEIGHT, WIDTH, 3)), alpha]).astype(np.uint8)


def jpeg(mask: np.ndarray, quality: int) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def filtered(mask: np.ndarray, kind: ImageFilter.Filter) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).filter(kind))


def resampled(factor: float) -> np.ndarray:
    """The mask as a smaller or larger one that was brought to the image's size."""
    small = Image.fromarray(lesion()).resize((round(WIDTH * factor), round(HEIGHT * factor)), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def on_colour(light, dark=(0, 0, 0)) -> np.ndarray:
    return np.where(lesion()[..., None] > 0, light, dark).astype(np.uint8)


def map_of_labels(breast: int, label: int) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[20:180, 40:228] = breast  # 188 × 160
    return np.where(lesion() > 0, label, labels).astype(np.uint8)


def overlay() -> np.ndarray:
    image = Image.fromarray(scan()).convert("RGB")
    x0, y0, x1, y1 = BOX
    ImageDraw.Draw(image).ellipse((x0, y0, x1 - 1, y1 - 1), outline=(255, 0, 0), width=2)
    return np.asarray(image)


def outline() -> np.ndarray:
    image = Image.new("L", (WIDTH, HEIGHT))
    x0, y0, x1, y1 = BOX
    ImageDraw.Draw(image).ellipse((x0, y0, x1 - 1, y1 - 1), outline=255, width=2)
    return np.asarray(image)


# masks of one lesion in BOX, and by how many pixels each edge may be off: blurring moves where half lies
READ = {
    "black and white": (lesion(), 0),
    "0 and 1": (lesion(0, 1), 0),
    "two greys": (lesion(40, 90), 0),
    "254 and 255": (lesion(254, 255), 0),
    "one bit": (lesion() > 0, 0),
    "16 bits": (lesion().astype(np.uint16) * 257, 0),
    "12 of 16 bits": (lesion(0, 1).astype(np.uint16) * 4095, 0),
    "dark on white": (lesion(255, 0), 0),
    "dark on grey": (lesion(200, 30), 0),
    "dark on white, blurred": (filtered(lesion(255, 0), ImageFilter.GaussianBlur(1)), 1),
    "black shape in alpha": (with_alpha((0, 0, 0), lesion()), 0),
    "white shape in alpha": (with_alpha((255, 255, 255), lesion()), 0),
    "red shape in alpha": (with_alpha((255, 0, 0), lesion()), 0),
    "half transparent shape": (with_alpha((255, 0, 0), lesion(0, 128)), 0),
    "hole in alpha": (with_alpha((0, 0, 0), lesion(255, 0)), 0),
    "opaque alpha": (with_alpha(on_colour((255, 255, 255)), np.full((HEIGHT, WIDTH), 255)), 0),
    "white below transparent": (with_alpha((255, 255, 255), lesion() // 255 * 255), 0),
    "red": (on_colour((255, 0, 0)), 0),
    "blue on white": (on_colour((0, 0, 255), (255, 255, 255)), 0),
    "red, blurred": (np.asarray(Image.fromarray(on_colour((255, 0, 0))).filter(ImageFilter.GaussianBlur(1))), 1),
    "JPEG 90": (jpeg(lesion(), 90), 1),
    "JPEG 30": (jpeg(lesion(), 30), 1),
    "JPEG 10": (jpeg(lesion(), 10), 2),
    "JPEG in colour": (jpeg(on_colour((0, 255, 0)), 75), 2),
    "resampled from a half": (resampled(0.5), 1),
    "resampled from 1.7": (resampled(1.7), 1),
    "blurred": (filtered(lesion(), ImageFilter.GaussianBlur(2)), 2),
    "stray ones and twos": (spots((5, 5), (190, 200), value=1, on=spots((9, 230), value=2)), 0),
    "stray greys": (spots((5, 5), (190, 200), value=100), 0),
    "stray white in 0 and 1": (spots((5, 5), value=255, on=lesion(0, 1)), 0),
    "outline": (outline(), 0),
    "spot beside the lesion": (spots((90, 88)), 2),
}


@pytest.mark.parametrize("kind", READ)
def test_masks_are_read_to_the_box_that_is_known(tmp_path, kind):
    mask, tolerance = READ[kind]
    save(scan(), tmp_path / "a.png")
    save(mask, tmp_path / "m.png")
    box = masks_box(tmp_path / "a.png", [tmp_path / "m.png"])
    assert np.abs(np.subtract(box, BOX)).max() <= tolerance
    marks = read_mask(tmp_path / "m.png", (WIDTH, HEIGHT))
    if kind != "outline":
        assert np.mean(marks ^ (lesion() > 0)) < 0.003 * max(tolerance, 0.01)


REFUSED = {
    "label map of small numbers": (map_of_labels(1, 2), "3 values (0, 1, 2)"),
    "label map of greys": (map_of_labels(127, 255), "3 values (0, 127, 255)"),
    "label map with near values": (map_of_labels(254, 255), "3 values (0, 254, 255)"),
    "label map with dark values": (map_of_labels(1, 255), "3 values (0, 1, 255)"),
    "label map in colour": (
        np.where(lesion()[..., None] > 0, (255, 0, 0), np.array([[0, 0, 0], [0, 0, 255]])[map_of_labels(1, 1)]).astype(
            np.uint8
        ),
        "(255 0 0)",
    ),
    "label map in colours of one luma": (
        np.where(lesion()[..., None] > 0, (255, 0, 0), np.array([[0, 0, 0], [76, 76, 76]])[map_of_labels(1, 1)]).astype(
            np.uint8
        ),
        "3 values",
    ),
    "label map in alpha": (with_alpha((255, 255, 255), map_of_labels(127, 255)), "3 values"),
    "thin third label": (np.where(np.arange(WIDTH) % 80 == 3, 2, lesion(0, 1)).astype(np.uint8), "values (0, 1, 2)"),
    "label map of a lesion of few pixels": (
        spots((slice(98, 101), slice(98, 102)), value=2, on=np.minimum(map_of_labels(1, 1), 1)),
        "3 values (0, 1, 2)",
    ),
    "label map with a thin third colour": (
        np.eye(3, dtype=np.uint8)[spots((99, slice(94, 104)), value=2, on=np.minimum(map_of_labels(1, 1), 1))] * 255,
        "3 values",
    ),
    "picture": (scan(), "or a picture has"),
    "dark picture with white text": (spots((5, slice(5, 60)), (6, slice(5, 60)), on=scan() // 12), "picture"),
    "picture on black": (np.where(lesion() > 0, scan(), 0).astype(np.uint8), "picture"),
    "overlay": (overlay(), "picture"),
    "blurred to nothing": (filtered(lesion(), ImageFilter.GaussianBlur(12)), "picture"),
    "black": (lesion(0, 0), "marks no pixel"),
    "white": (lesion(255, 255), "marks every pixel"),
    "ones": (lesion(1, 1), "marks every pixel"),
    "transparent": (with_alpha(on_colour((255, 255, 255)), np.zeros((HEIGHT, WIDTH))), "transparent"),
    "nearly all": (mask_of((3, 3, WIDTH - 3, HEIGHT - 3), height=HEIGHT, width=WIDTH), "marks 95% of its image"),
    "few pixels": (spots((5, slice(5, 9)), on=lesion(0, 0)), "marks 4 pixels"),
    "errant pixel": (spots((5, 5)), "marks a spot of 1 pixel at x 5, y 5"),
    "errant blob": (spots((slice(180, 188), slice(200, 210))), "marks a spot of 80 pixels at x 200, y 180"),
    "line along the border": (spots((slice(None), WIDTH - 1)), "marks a spot of 200 pixels at x 239, y 0"),
    "dark on light in a dark corner": (
        np.where(np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) < 40, 0, lesion(255, 0)).astype(np.uint8),
        "light on 9",
    ),
    "speckle": (spots((slice(0, 200, 12), slice(0, 240, 12))), "separate parts"),
    "neither on the border": (mask_of((0, 0, WIDTH, 120), height=HEIGHT, width=WIDTH), "light on 55% of its border"),
    "framed": (np.pad(lesion()[2:-2, 2:-2], 2, constant_values=255), "light on 100% of its border"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_mask_of_a_lesion_is_refused(tmp_path, kind):
    mask, words = REFUSED[kind]
    save(scan(), tmp_path / "a.png")
    save(mask, tmp_path / "m.png")
    with pytest.raises(InputError) as error:
        masks_box(tmp_path / "a.png", [tmp_path / "m.png"])
    assert str(error.value).startswith(str(tmp_path / "m.png"))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mask_drawn_dark_on_light_is_said(tmp_path, caplog):
    save(lesion(255, 0), tmp_path / "m.png")
    save(lesion(), tmp_path / "n.png")
    with caplog.at_level(logging.WARNING):
        read_mask(tmp_path / "n.png", (WIDTH, HEIGHT))
        assert not caplog.text
        read_mask(tmp_path / "m.png", (WIDTH, HEIGHT))
    assert f"{tmp_path / 'm.png'}: mask drawn dark on light" in caplog.text


def test_what_the_log_is_told_of_a_mask_stands_in_the_table_as_a_remark(tmp_path):
    """A second part, far off, that widens the box, and a mask that is drawn dark on light."""
    rows = ["image,mask,pathology,patient"]
    two = mask_of((10, 10, 60, 60), (150, 100, 200, 130), height=HEIGHT, width=WIDTH)
    for name, mask in (("plain", lesion()), ("two", two), ("dark", lesion(255, 0))):
        save(picture(1, HEIGHT, WIDTH), tmp_path / f"{name}.png")
        save(mask, tmp_path / f"{name}_mask.png")
        rows.append(f"{name}.png,{name}_mask.png,benign,{name}")
    (tmp_path / "lesions.csv").write_text("\n".join(rows))
    read = read_database(open_source("db", settings("table", tmp_path)))
    plain, parts, dark = (lesion.remark for lesion in read.lesions)
    assert plain == ""
    assert parts == "mask of 2 parts that lie apart: they are taken for one lesion"
    assert dark.startswith("mask drawn dark on light")


def test_a_lesion_at_the_border_and_two_of_a_size_are_read(tmp_path, caplog):
    save(mask_of((0, 0, 120, 90), height=HEIGHT, width=WIDTH), tmp_path / "corner.png")
    save(mask_of((10, 10, 60, 60), (150, 100, 200, 130), height=HEIGHT, width=WIDTH), tmp_path / "two.png")
    assert bounding_box(read_mask(tmp_path / "corner.png", (WIDTH, HEIGHT))) == (0, 0, 120, 90)
    save(255 - mask_of((0, 50, 60, 90), height=HEIGHT, width=WIDTH), tmp_path / "dark.png")
    assert bounding_box(read_mask(tmp_path / "dark.png", (WIDTH, HEIGHT))) == (0, 50, 60, 90)
    assert "parts" not in caplog.text
    assert bounding_box(read_mask(tmp_path / "two.png", (WIDTH, HEIGHT))) == (10, 10, 200, 130)
    assert "two.png: mask of 2 parts that lie apart" in caplog.text


# ---- images -------------------------------------------------------------------------------------------------------


def greys(bits: int, dtype=np.uint16) -> np.ndarray:
    """Every grey of so many bits, from 0 up."""
    ramp = np.arange(2**bits).astype(dtype)
    return np.tile(ramp, -(-4096 // len(ramp))).reshape(64, -1)


def write_png(pixels: np.ndarray, path: Path) -> None:
    """PNG of 16 bits and any number of channels, which Pillow does not write."""
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(pixels))


def opaque(pixels: np.ndarray) -> np.ndarray:
    return np.full_like(pixels, WHITE[pixels.dtype])


CHANNELS = {
    "grey": lambda g: g,
    "grey and alpha": lambda g: np.dstack([g, opaque(g)]),
    "RGB": lambda g: np.dstack([g, g, g]),
    "RGBA": lambda g: np.dstack([g, g, g, opaque(g)]),
}
TIFF = {
    "contiguous": {},
    "big-endian": {"byteorder": ">"},
    "big": {"bigtiff": True},
    "LZW": {"compression": "lzw"},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "tiled": {"tile": (32, 32)},
    "strips": {"rowsperstrip": 7},
}


def write_tiff(pixels: np.ndarray, path: Path, **options) -> None:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path, pixels, metadata=None,
        **{
            "photometric": "rgb" if channels >= 3 else "minisblack",
            "planarconfig": "contig" if channels > 1 else None,
            "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
        } | options,
    )  # fmt: skip


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", CHANNELS)
def test_sixteen_bit_files_keep_every_grey(tmp_path, channels, bits):
    ramp = greys(bits)
    write_png(CHANNELS[channels](ramp), tmp_path / "a.png")
    write_tiff(CHANNELS[channels](ramp), tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        read = read_image(tmp_path / name)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, ramp)
        assert read_size(tmp_path / name) == ramp.shape[::-1]


@pytest.mark.parametrize("storage", TIFF)
def test_every_storage_of_tiff_is_read(tmp_path, storage):
    for number, pixels in enumerate((greys(12), CHANNELS["RGBA"](greys(10)), picture(1))):
        write_tiff(pixels, tmp_path / f"{number}.tif", **TIFF[storage])
        read = read_image(tmp_path / f"{number}.tif")
        np.testing.assert_array_equal(read, pixels if pixels.ndim == 2 else pixels[..., 0])


def test_a_png_may_be_interlaced(tmp_path):
    """The four pixels of one, written pass by pass: pixel 1, pixel 2 (pass 6), then the row below (pass 7)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 1)
    rows = [[(1, 1, 1)], [(300, 300, 300)], [(1000, 1000, 1000), (4095, 4095, 4095)]]
    data = b"".join(b"\0" + np.array(row, ">u2").tobytes() for row in rows)
    pixels = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + pixels)
    assert read_image(tmp_path / "a.png").tolist() == [[1, 300], [1000, 4095]]


def test_planes_of_a_tiff_may_lie_apart(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([greys(10)] * 3), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), greys(10))


def test_luma_of_sixteen_bits_is_that_of_eight(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint16)
    write_png(colours * 257, tmp_path / "a.png")
    save(colours.astype(np.uint8), tmp_path / "b.png")
    eight = read_image(tmp_path / "b.png")
    np.testing.assert_array_equal(eight, np.asarray(Image.open(tmp_path / "b.png").convert("L")))
    assert np.abs(read_image(tmp_path / "a.png") / 257 - eight).max() <= 0.51


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 10), (np.uint16, 12), (np.uint16, 16)])
def test_white_may_be_zero(tmp_path, dtype, bits):
    ramp = greys(bits, dtype)
    write_tiff(ramp, tmp_path / "a.tif", photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), 2**bits - 1 - ramp)
    write_tiff(np.dstack([ramp, opaque(ramp)]), tmp_path / "b.tif", photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), 2**bits - 1 - ramp)


def test_a_mask_of_one_bit_may_have_white_as_zero(tmp_path):
    write_tiff(lesion() == 0, tmp_path / "m.tif", photometric="miniswhite")
    assert bounding_box(read_mask(tmp_path / "m.tif", (WIDTH, HEIGHT))) == BOX


# where the pixel that is shown upper left lies in the file, as (row from the top, column from the left), and whether
# rows of the file are columns of the picture; from the table of TIFF 6.0
ORIENTATIONS = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].T, 8: lambda a: np.rot90(a, -1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["png", "png, told late", "jpg", "raw tif", "deflated tif", "16-bit tif"])
def test_images_are_turned_upright(tmp_path, kind, orientation):
    shown = picture(3)
    shown[:20, :20] = 255
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](shown))
    path = tmp_path / f"a.{kind[-3:] if kind.endswith('tif') else kind[:3]}"
    exif = Image.Exif()
    exif[274] = orientation
    tag = {"extratags": [(274, 3, 1, orientation, True)]}
    if kind == "raw tif":
        write_tiff(stored, path, **tag)
    elif kind == "deflated tif":
        write_tiff(stored, path, compression="zlib", **tag)
    elif kind == "16-bit tif":
        write_tiff(stored.astype(np.uint16) * 16, path, **tag)
    else:
        Image.fromarray(stored).save(path, exif=exif, **({"quality": 95} if kind == "jpg" else {}))
    if kind == "png, told late":
        data = path.read_bytes()
        start = data.index(b"eXIf") - 4
        chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4])]
        data = data.replace(chunk, b"")
        path.write_bytes(data[:-12] + chunk + data[-12:])
    read = read_image(path).astype(int)
    assert read_size(path) == shown.shape[::-1] == read.shape[::-1]
    assert np.abs(read // (16 if kind == "16-bit tif" else 1) - shown).max() <= (30 if kind == "jpg" else 0)


def test_a_mask_lies_on_the_image_as_it_is_shown(tmp_path, caplog):
    exif = Image.Exif()
    exif[274] = 6
    save(lesion(), tmp_path / "m.png")
    Image.fromarray(np.rot90(scan(), 1)).save(tmp_path / "a.jpg", exif=exif)
    with caplog.at_level(logging.WARNING):
        assert masks_box(tmp_path / "a.jpg", [tmp_path / "m.png"]) == BOX
    assert "orientation tag is not that of its image" in caplog.text
    Image.fromarray(np.rot90(lesion(), 1)).save(tmp_path / "t.png", exif=exif)
    caplog.clear()
    assert masks_box(tmp_path / "a.jpg", [tmp_path / "t.png"]) == BOX
    assert not caplog.text


@pytest.mark.parametrize("modality", ["ultrasound", "mammography"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_transparent_neither_appears_nor_sets_the_window(tmp_path, modality, bits):
    """As in BrEaST, where lines of a frame lie hidden beside the sector."""
    from mammosynth.rois import find_window

    shown = scan()
    alpha = np.full_like(shown, 255)
    alpha[:, :60] = 0
    hidden = np.where(alpha == 0, 0, shown)
    with_lines = shown.copy()
    with_lines[::2, :60] = 255
    if bits == 16:
        shown, alpha, hidden, with_lines = (a.astype(np.uint16) * 257 for a in (shown, alpha, hidden, with_lines))
    rgba = np.dstack([with_lines] * 3 + [alpha])
    write_png(rgba, tmp_path / "a.png")
    write_tiff(rgba, tmp_path / "a.tif")
    write_tiff(np.dstack([with_lines, alpha]), tmp_path / "b.tif")
    for name in ("a.png", "a.tif", "b.tif"):
        read = read_image(tmp_path / name)
        np.testing.assert_array_equal(read, hidden)
        assert find_window(read, modality) == find_window(hidden, modality)


def test_half_transparent_pixels_are_shown_on_black(tmp_path):
    rgba = np.dstack([picture(1)] * 3 + [np.full((60, 80), 128, np.uint8)])
    save(rgba, tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rint(picture(1) * (128 / 255)).astype(int))
    write_tiff(rgba, tmp_path / "a.tif", extrasamples=["assocalpha"])  # multiplied already
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), picture(1))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_transparent_grey_or_colour_is_black(tmp_path, mode):
    image = Image.fromarray(np.where(picture(1) > 120, 255, 90).astype(np.uint8)).convert("L")
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    value = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=int(value > 0) if mode == "1" else value)
    expected = np.where(np.asarray(image.convert("L")) == image.convert("L").getpixel((0, 0)), 0, image.convert("L"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_palettes_are_looked_up(tmp_path):
    pixels = (picture(1) // 64).astype(np.uint8)
    colours = [0, 80, 160, 240]
    table = np.zeros((3, 256), np.uint16)
    table[:, :4] = np.array(colours) * 257
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="palette", colormap=table)
    image = Image.fromarray(pixels).convert("P")
    image.putpalette([value for value in colours for _ in range(3)])
    image.save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        read = read_image(tmp_path / name)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, np.array(colours)[pixels])


def test_what_would_not_be_read_rightly_is_refused(tmp_path):
    floats = tmp_path / "floats.tif"
    write_tiff(picture(1).astype(np.float32), floats)
    signed = tmp_path / "signed.tif"
    write_tiff(picture(1).astype(np.int16) - 100, signed)
    two = tmp_path / "two.tif"
    with tifffile.TiffWriter(two) as file:
        for number in (1, 2):
            file.write(picture(number), photometric="minisblack", metadata=None)
    inks = tmp_path / "inks.tif"
    write_tiff(np.dstack([picture(n) for n in range(4)]), inks, photometric="separated", extrasamples=None)
    channel = tmp_path / "channel.tif"
    write_tiff(np.dstack([picture(n) for n in range(2)]), channel, extrasamples=["unspecified"])
    hidden = tmp_path / "hidden.png"
    save(np.dstack([picture(1)] * 3 + [np.zeros((60, 80), np.uint8)]), hidden)
    colours = tmp_path / "colours.pgm"
    colours.write_bytes(b"P6 40 30 1023\n" + bytes(40 * 30 * 6))
    moving = tmp_path / "moving.png"
    Image.fromarray(picture(1)).save(moving, save_all=True, append_images=[Image.fromarray(picture(2))])
    cut = tmp_path / "cut.tif"
    write_tiff(greys(12), cut)
    cut.write_bytes(cut.read_bytes()[:-50])
    jpeg2000 = tmp_path / "wavelet.png"
    Image.fromarray(picture(1)).save(jpeg2000, "JPEG2000")
    printed = tmp_path / "printed.jpg"
    Image.fromarray(picture(1)).convert("CMYK").save(printed)
    words = {
        floats: "no whole numbers", signed: "16 bits", two: "holds 2 images", inks: "SEPARATED",
        channel: "does not say what for", hidden: "transparent", colours: "PPM", moving: "holds 2 images",
        cut: "cut short", jpeg2000: "JPEG2000", printed: "CMYK",
    }  # fmt: skip
    for path, word in words.items():
        with pytest.raises(InputError, match=word) as error:
            read_image(path)
        assert str(error.value).startswith(f"{path} cannot be read as an image")


# ---- a study ------------------------------------------------------------------------------------------------------


def table_of(root: Path, masks: dict[str, np.ndarray]) -> dict:
    rows = [["image", "mask", "pathology", "patient"]]
    for number, (name, mask) in enumerate(masks.items()):
        save(scan(number), root / f"{name}.png")
        save(mask, root / f"{name}_mask.png")
        rows.append([f"{name}.png", f"{name}_mask.png", "malignant" if number % 2 else "benign", f"P{number}"])
    save_csv(rows, root / "lesions.csv")
    return {"own": settings("table", root)}


def test_a_table_of_odd_inputs_is_read_rightly_to_the_last_roi(tmp_path):
    """Each ROI is that of the plain image and the plain mask."""
    odd = {"inverted": lesion(255, 0), "alpha": with_alpha((0, 0, 0), lesion()), "ones": lesion(0, 1)}
    odd |= {"jpeg": jpeg(lesion(), 60), "deep": lesion(), "negative": lesion(), "turned": lesion(), "clear": lesion()}
    sources = table_of(tmp_path / "odd", odd)
    plain = table_of(tmp_path / "plain", dict.fromkeys(odd, lesion()))
    names = list(odd)
    deep, negative, turned, clear = (scan(names.index(name)) for name in ("deep", "negative", "turned", "clear"))
    write_png(np.dstack([deep.astype(np.uint16) * 4] * 3), tmp_path / "odd/deep.png")
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(turned[::-1, ::-1]).save(tmp_path / "odd/turned.png", exif=exif)
    alpha = np.full_like(clear, 255)
    alpha[:, -40:] = 0
    save(np.dstack([clear, clear, np.where(alpha == 0, 255, clear), alpha]), tmp_path / "odd/clear.png")
    save(np.where(alpha == 0, 0, clear), tmp_path / "plain/clear.png")
    write_tiff(1023 - negative.astype(np.uint16) * 4, tmp_path / "odd/negative.tif", photometric="miniswhite")
    table = tmp_path / "odd/lesions.csv"
    table.write_text(table.read_text().replace("negative.png", "negative.tif"))
    (tmp_path / "odd/negative.png").unlink()
    images, expected = (crop_rois(read_lesions(s), 64, 0.2, 16)[0] for s in (sources, plain))
    assert len(images) == len(odd)
    for name, roi, other in zip(names, images.images, expected.images):
        assert np.abs(roi.astype(int) - other).mean() < (4 if name == "jpeg" else 1), name


def test_a_table_of_six_wrong_masks_is_refused_at_once(tmp_path):
    wrong = ["label map of greys", "picture", "overlay", "white", "errant blob", "framed"]
    masks = {name.replace(" ", "_"): REFUSED[name][0] for name in wrong}
    sources = table_of(tmp_path, {"good": lesion()} | masks)
    with pytest.raises(InputError) as error:
        read_lesions(sources)
    lines = str(error.value).splitlines()
    assert len(lines) == 6
    for name in masks:
        assert sum(f"{name}_mask.png" in line for line in lines) == 1


def test_an_image_is_not_its_own_mask(tmp_path):
    save(lesion(), tmp_path / "a.png")
    (tmp_path / "lesions.csv").write_text("image,mask,pathology,patient\na.png,./a.png,benign,P\n")
    with pytest.raises(InputError, match=r"line 2 names a.png as image and as mask"):
        read_lesions({"own": settings("table", tmp_path)})


def test_the_box_of_a_turned_image_is_said(tmp_path, caplog):
    exif = Image.Exif()
    exif[274] = 8
    Image.fromarray(scan()).save(tmp_path / "a.png", exif=exif)
    (tmp_path / "lesions.csv").write_text("image,x0,y0,x1,y1,pathology,patient\na.png,5,5,190,230,benign,P\n")
    (found,) = read_database(open_source("own", settings("table", tmp_path))).lesions
    assert (found.x1, found.y1) == (190, 230)  # inside the image as it is shown, which is high
    assert "a.png is turned by its orientation tag" in caplog.text


# ---- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["rois", "table"])
def test_a_name_that_is_not_utf8_is_refused_by_name(tmp_path, reader):
    folder = tmp_path / ("benign" if reader == "rois" else os.fsdecode(b"M\xfcller"))
    save(picture(1), folder / "a.png")
    save(picture(2), tmp_path / "malignant/b.png")
    more = {}
    if reader == "rois":
        os.rename(folder / "a.png", os.fsencode(folder) + b"/caf\xe9.png")
        more = {"benign": "benign", "malignant": "malignant"}
    else:
        (folder / "lesions.csv").write_text("image,x0,y0,x1,y1,pathology,patient\na.png,5,5,40,40,benign,P\n")
    with pytest.raises(InputError, match=r"\\xe9|M\\xfcller") as error:
        read_lesions({"db": settings(reader, tmp_path if reader == "rois" else folder, **more)})
    str(error.value).encode()


def test_names_in_other_scripts_are_no_matter(tmp_path):
    save(picture(1, 40, 40), tmp_path / "benign/名 ö.png")
    save(picture(2, 40, 40), tmp_path / "malignant/b.png")
    table = read_lesions({"db": settings("rois", tmp_path, benign="benign", malignant="malignant")})
    save_lesions(table, tmp_path / "lesions.csv")


@pytest.mark.parametrize("name", ["US$1 a_$2", "x^$y$", r"$\frac{1}$", "50 % & #_{}"])
def test_names_of_files_and_reasons_are_drawn_as_they_are_written(tmp_path, name):
    """A name with two dollars was set as mathematics, or ended in a traceback of its parser."""
    save(picture(1), tmp_path / f"{name}.png")
    save(picture(2), tmp_path / "b.png")
    images = pd.DataFrame({"image": [f"{tmp_path}/{name}.png", f"{tmp_path}/b.png"], "shows": "benign"})
    groups = find_groups(images.assign(database="a", lesions=1, duplicates="1"))
    figure = plot_groups(groups, "ultrasound", "Groups", "none")
    (text,) = [text for text in figure.axes[0].texts if text.get_text() == name]
    figure.savefig(tmp_path / "a.svg")
    drawn = text.get_window_extent()
    text.set_parse_math(False)
    assert text.get_window_extent().bounds == pytest.approx(drawn.bounds)
    figures.plt.close(figure)
