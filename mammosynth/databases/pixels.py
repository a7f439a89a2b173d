"""What an image file and a mask may be, and how their pixels are read: the one policy of all readers.

``docs/images.md`` says it as a table. An image is turned to 8 or 16 bits of grey, as it would be shown on black; a mask
to the pixels of a lesion. What cannot be read rightly is refused with one sentence.
"""

import logging
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import ExifTags, Image, ImageFile
from scipy import ndimage

from mammosynth.errors import InputError

log = logging.getLogger(__name__)

Box = tuple[int, int, int, int]

DICOM_SUFFIXES = {".dcm", ".dicom"}
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how classic and big TIFF begin, in either byte order
FORMATS = ("PNG", "JPEG", "MPO", "PPM", "BMP", "GIF", "WEBP")  # Pillow's names; of others it may cut 16 bits to 8
BIT_DEPTHS = (8, 10, 12, 14, 16)  # that scanners give, in words of 8 or 16 bits

# A mask of an aliased or JPEG-compressed edge has greys, but none that fills a square of this side: of masks at JPEG
# qualities of 10 to 90 and scales of 0.3 to 4.3 none had such a square but of black and white.
FLAT = 5
NEITHER = 0.25  # how far, as a share of their distance, a pixel may lie from the nearer of a mask's two values
# Pixels of neither value, as a share of those marked. Masks as above have up to 0.37 where the lesion is 7 pixels wide
# (below 0.2 from 20 pixels on); photographs of tissue, in BUSI and mini-MIAS, 0.8 to 3.3.
UNCLEAR = 0.5
BEYOND = 0.01  # likewise of pixels beyond the two values: no blurring makes these, least of all a spot of LEAST
GREY = 1 / 3  # pixels that are not exactly of either value, as a share of the image: 0.12 and 0.41 to 1.0 as above
# Of BUSI's 665 masks none marks more than 0.03 of its border, 0.56 of its image or fewer than 569 pixels.
LIGHT_BORDER = 0.5  # share of the border from which a mask does not look drawn light on dark
DARK_ON_LIGHT = 0.9  # and from which it is drawn dark on light, if what is dark is no more than half of the image
MOST = 0.9  # an ellipse that touches all four borders fills 0.79
LEAST = 9  # pixels: less is a slip of the pen; a calcification has more
# A part is errant if its area, or its shorter side, is below this share of the largest part's (a speck, or a line), and
# it widens the box by more than this share of its longer side and these pixels. 23 of BUSI's masks have parts of 1 to 8
# pixels, all of which widen it by 3 pixels or fewer.
ERRANT, ERRANT_SHARE, ERRANT_PIXELS = 0.1, 0.05, 5
MOST_PARTS = 20  # more are speckle, as thresholds leave it; BUSI's masks have up to 3

MEND = "redraw it, or list its image in its source's exclusions"


@dataclass(frozen=True)
class Picture:
    """An image file as it is shown on black, turned upright.

    *shown*: uint8 or uint16, [H, W] or in colour [H, W, 3]; black where transparent. *alpha*: [H, W] of the same depth,
    or None where the file is opaque all over.
    """

    shown: np.ndarray
    alpha: np.ndarray | None = None


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as it is shown, from its header. Raises InputError if there is none."""
    with _readable(path):
        width, height, orientation = _read_header(path)
    return (height, width) if orientation >= 5 else (width, height)


def read_orientation(path: Path) -> int:
    """How an image lies in its file, 1 (upright) to 8, by its EXIF or TIFF tag. Raises InputError if it is none."""
    with _readable(path):
        return _read_header(path)[2]


def read_image(path: Path) -> np.ndarray:
    """A grey image, uint8 or uint16 [H, W], with all levels of the file; colour is turned to luma (ITU-R BT.601).

    DICOM, told by its suffix, as `mammosynth.databases.dicom` says. Raises InputError if the file is not an image, is
    cut short, holds several, or is of a kind that would not be read rightly.
    """
    return _luma(read_picture(path).shown)


def read_picture(path: Path) -> Picture:
    """An image with its colours and transparency. Raises InputError as `read_image` does."""
    with _readable(path):
        if path.suffix.lower() in DICOM_SUFFIXES:
            return Picture(_dicom().read_image(path))
        return _decode_tiff(path) if _is_tiff(path) else _decode(path)


def read_header(path: Path, names: Iterable[str]) -> list[str]:
    """The text of some elements of a DICOM file, "" where it has none. Raises InputError if its header is broken."""
    with _readable(path, "download it again, or take it out of the folder"):
        return _dicom().read_header(path, names)


_notes: ContextVar[dict[str, list[str]] | None] = ContextVar("notes", default=None)


@contextmanager
def noting() -> Iterator[dict[str, list[str]]]:
    """What the log is told of single files in this block, by path: what a person who looks at them should know."""
    notes: dict[str, list[str]] = {}
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def _note(path: Path, remark: str) -> None:
    log.warning("%s: %s", path, remark)
    if (notes := _notes.get()) is not None and remark not in notes.setdefault(str(path), []):
        notes[str(path)].append(remark)


def masks_box(image: Path, masks: Iterable[Path]) -> Box:
    """Half-open box x0, y0, x1, y1 of the united masks of an image. Raises InputError for bad files."""
    size = read_size(image)
    masks = list(masks)
    for mask in masks:
        if read_orientation(mask) != read_orientation(image):
            _note(mask, "its orientation tag is not that of its image: both are taken upright, as shown")
    return bounding_box(reduce(np.logical_or, (read_mask(path, size) for path in masks)))


def bounding_box(mask: np.ndarray) -> Box:
    """Half-open box x0, y0, x1, y1 of the true pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A mask as bool [H, W], as `decode_mask`. Raises InputError also if it is not of *size* (width, height)."""
    if (own := read_size(path)) != tuple(size):
        raise InputError(
            f"{path} is {own[0]}×{own[1]} but its image {size[0]}×{size[1]}: "
            "give it the image's size, or list the image in its source's exclusions"
        )
    return decode_mask(path)


def decode_mask(path: Path) -> np.ndarray:
    """What a mask marks, as bool [H, W] with at least LEAST pixels.

    A mask has two values, or what blurring makes of them. Raises InputError if it is unreadable or has other values, as
    a label map or a picture does, marks nothing or nearly all, or an errant spot, or if it cannot be told whether it is
    drawn light on dark or dark on light.
    """
    picture = read_picture(path)
    try:
        marks = find_foreground(picture)
        if inverted := _is_dark_on_light(marks):
            marks = ~marks
        parts = _refuse_implausible(marks)
    except ValueError as error:
        raise InputError(f"{path} {error}") from error
    if inverted:
        _note(path, "mask drawn dark on light: the dark is taken for the lesion")
    if parts > 1:
        _note(path, f"mask of {parts} parts that lie apart: they are taken for one lesion")
    return marks


def find_foreground(picture: Picture) -> np.ndarray:
    """The lighter of a mask's two values, as bool [H, W]; where its colour is one, the more opaque.

    A pixel belongs to the value that is nearer. Raises ValueError, the end of a sentence that begins with the file, if
    it has other values.
    """
    colours = picture.shown
    if not _varies(colours) and picture.alpha is not None:
        colours = picture.alpha  # the shape is in what is transparent
    if colours.ndim == 3 and (colours == colours[..., :1]).all():
        colours = colours[..., 0]
    if not _varies(colours):
        marked = "every pixel" if colours.any() else "no pixel"
        raise ValueError(f"marks {marked}: {MEND}")
    is_light = colours == colours.max()
    if colours.ndim == 2 and (is_light | (colours == colours.min())).all():
        return is_light
    dark, light = _two_values(colours)
    is_dark, is_light = ((colours == value).reshape(*colours.shape[:2], -1).all(axis=2) for value in (dark, light))
    grey = ~(is_dark | is_light)
    step = np.atleast_1d(np.subtract(light, dark, dtype=np.float32))
    way = np.subtract(colours[grey], dark, dtype=np.float32).reshape(-1, len(step))
    share = way @ step / np.sum(step**2)  # 0 at the dark value, 1 at the light one
    beside = np.sqrt(np.sum((way - share[:, None] * step) ** 2, axis=1) / np.sum(step**2))
    beyond = (share < -NEITHER) | (share > 1 + NEITHER) | (beside > 2 * NEITHER)
    marks = is_light
    marks[grey] = (share > 0.5) & ~beyond
    area = np.count_nonzero(marks)
    third = np.zeros(marks.shape, dtype=bool)
    third[grey] = beyond
    spot = np.bincount(_label(third)[0][third], minlength=1).max()
    if np.count_nonzero(beyond) > BEYOND * area or spot >= LEAST:
        _refuse_values([dark, light, *np.unique(colours[grey][beyond], axis=0)])
    unclear = np.count_nonzero((np.abs(share - 0.5) < 0.5 - NEITHER) | (beside > NEITHER))
    if unclear > UNCLEAR * area or np.mean(grey) > GREY:
        raise ValueError(
            f"is a picture rather than a mask ({np.mean(grey):.0%} of its pixels are neither of two values): "
            "name the lesion's mask, which is white on black"
        )
    return marks


def _two_values(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values, or colours, that are the dark and the light of a mask, in this order."""
    flat = _flat_values(colours)
    if len(flat) > 2:
        _refuse_values(flat)
    if len(flat) < 2:  # the lesion is small, or blurred
        pixels = colours.reshape(-1, *colours.shape[2:])
        if not len(flat):
            every, count = np.unique(pixels, axis=0, return_counts=True)
            flat = every[[count.argmax()]]
        away = np.subtract(pixels, flat[0], dtype=np.float32).reshape(len(pixels), -1)
        flat = np.stack([flat[0], pixels[np.sum(away**2, axis=1).argmax()]])
    dark, light = sorted(flat, key=lambda value: float(_luma(np.array(value))))
    return dark, light


def _flat_values(colours: np.ndarray) -> np.ndarray:
    """The values that fill a square of FLAT × FLAT pixels, of a grid of such squares."""
    height, width = (n // FLAT * FLAT for n in colours.shape[:2])
    squares = colours[:height, :width].reshape(height // FLAT, FLAT, width // FLAT, FLAT, -1)
    lowest = squares.min(axis=(1, 3))
    flat = (lowest == squares.max(axis=(1, 3))).all(axis=2)
    return np.unique(lowest[flat].reshape(-1, *colours.shape[2:]), axis=0)


def _refuse_values(values: Iterable[np.ndarray]) -> None:
    names = list(dict.fromkeys(map(_name, values)))
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    raise ValueError(
        f"has {len(names)} values ({shown}) and a mask two, as a map of several labels or a picture has: "
        "make a mask of the lesion's value alone"
    )


def _name(value: np.ndarray) -> str:
    return str(value) if np.ndim(value) == 0 else f"({' '.join(map(str, value))})"


def _is_dark_on_light(marks: np.ndarray) -> bool:
    """Whether what is dark must be the lesion. Raises ValueError where neither is likely to be."""
    border = _border(marks).mean()
    if border < LIGHT_BORDER:
        return False
    if border >= DARK_ON_LIGHT and np.mean(~marks) <= 0.5 and (border == 1 or _label(~marks)[1] == 1):
        return True
    raise ValueError(
        f"is light on {border:.0%} of its border and {np.mean(marks):.0%} of its area, which does not tell whether the "
        "lesion is light or dark: draw the lesion white on black, or give its box"
    )


def _border(marks: np.ndarray) -> np.ndarray:
    return np.concatenate([marks[0], marks[-1], marks[1:-1, 0], marks[1:-1, -1]])


def _label(marks: np.ndarray) -> tuple[np.ndarray, int]:
    """Marks numbered by their parts, from 1 up, where corners join too, and the number of parts."""
    return ndimage.label(marks, np.ones((3, 3)))


def _refuse_implausible(marks: np.ndarray) -> int:
    """How many parts of a lesion's marks lie apart. Raises ValueError if marks are too few, too many or scattered."""
    count = np.count_nonzero(marks)
    if count < LEAST:
        raise ValueError(f"marks {count or 'no'} pixel{'s' if count > 1 else ''}: {MEND}")
    if np.mean(marks) > MOST:
        raise ValueError(
            f"marks {np.mean(marks):.0%} of its image, which is no lesion in its surroundings: {MEND}, "
            "or read ready-made ROIs by the reader rois or with their boxes"
        )
    x0, y0, x1, y1 = bounding_box(marks)
    parts, number = _label(marks[y0:y1, x0:x1])
    if number > MOST_PARTS:
        raise ValueError(f"marks {number} separate parts, more than a lesion has: {MEND}")
    areas = np.bincount(parts.ravel())[1:]
    starts, stops = (
        np.array([[getattr(side, end) for side in place] for place in ndimage.find_objects(parts)])
        for end in ("start", "stop")
    )
    sides, main = (stops - starts), areas.argmax()
    widening = np.maximum(starts[main] - starts, stops - stops[main]).max(axis=1)
    apart = widening > max(ERRANT_PIXELS, ERRANT_SHARE * sides[main].max())
    small = (areas < ERRANT * areas[main]) | (sides.min(axis=1) < ERRANT * sides[main].min())
    for part in np.flatnonzero(apart & small)[:1]:
        (y, x), area = starts[part], areas[part]
        raise ValueError(
            f"marks a spot of {area} pixel{'s' if area > 1 else ''} at x {x0 + x}, y {y0 + y}, away from the lesion of "
            f"{areas[main]}: erase it, or give it a mask of its own if it is part of the lesion"
        )
    return 1 + int(np.count_nonzero(apart))


def _varies(values: np.ndarray) -> bool:
    return bool((values != values[:1, :1]).any())


def _luma(colours: np.ndarray) -> np.ndarray:
    """Grey of the depth of *colours* [..., 3] in RGB, as Pillow rounds it; other arrays as they are."""
    if colours.ndim not in (1, 3):
        return colours
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).astype(colours.dtype)


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in TIFF


def _read_header(path: Path) -> tuple[int, int, int]:
    """Width and height as stored, and the orientation (1 to 8, as EXIF and TIFF count)."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return *_dicom().read_size(path), 1
    if _is_tiff(path):
        with _tifffile().TiffFile(path) as file:
            page = _only_page(file)
            return page.imagewidth, page.imagelength, _orientation(page.tags.valueof("Orientation"))
    with Image.open(path) as image:
        return *image.size, _exif_orientation(image, path)


def _decode(path: Path) -> Picture:
    """Whatever is not TIFF nor DICOM."""
    with Image.open(path) as image:
        if image.format not in FORMATS:
            raise ValueError(f"{image.format} is not read: convert it to PNG")
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise ValueError(f"it holds {frames} images: save the one with the lesion as a file")
        orientation = _exif_orientation(image, path)
        if image.format == "PNG":
            import imagecodecs  # Pillow cuts colours and transparency of 16 bits to 8

            samples = imagecodecs.png_decode(path.read_bytes())
        else:
            samples = _pillow_samples(image, path)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colours, alpha = (samples[..., :-1], samples[..., -1]) if channels in (2, 4) else (samples, None)
    return _picture(colours[..., 0] if channels == 2 else colours, alpha, orientation)


def _pillow_samples(image: ImageFile.ImageFile, path: Path) -> np.ndarray:
    if image.mode == "F":
        raise ValueError("its greys are no whole numbers")
    if image.mode.startswith("I"):  # a PGM of more than 8 bits, spread over 16
        return _sixteen_bits(np.asarray(image))
    if image.format == "PPM" and image.mode == "L" and image.tile[0].codec_name == "raw":
        # a raw PGM lies in its file as an array; Pillow would copy it twice
        width, height = image.size
        return np.frombuffer(path.read_bytes(), np.uint8, width * height, image.tile[0].offset).reshape(height, width)
    if image.format == "PPM" and isinstance(how := image.tile[0].args, tuple) and image.mode == "RGB" and how[1] > 255:
        raise ValueError("colours of more than 8 bits are not read from a PPM: save it as PNG")
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        raise ValueError(f"its colours are {image.mode}: save it in grey or RGB")
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _decode_tiff(path: Path) -> Picture:
    """TIFF as it is stored, which Pillow would cut to 8 bits, turn into noise or show as a negative."""
    with _tifffile().TiffFile(path) as file:
        page = _only_page(file)
        _refuse_giant(page.imagewidth, page.imagelength)
        if any(start + length > file.filehandle.size for start, length in zip(page.dataoffsets, page.databytecounts)):
            raise ValueError("it is cut short")
        if page.dtype is None or page.dtype.kind not in "bui":
            raise ValueError("its greys are no whole numbers")
        if not isinstance(page.bitspersample, int):
            raise ValueError("its channels are of different depths")
        samples, palette = page.asarray(), page.colormap
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"its axes are {page.axes}: save it as a flat image")
    samples = np.moveaxis(samples, 0, 2) if page.axes == "SYX" else samples.reshape(*samples.shape[:2], -1)
    photometric = page.photometric.name
    if page.bitspersample < 8 and photometric != "PALETTE":
        samples = samples.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
    elif samples.dtype != np.uint8:
        samples = _sixteen_bits(samples)
    if photometric == "YCBCR" and page.compression.name in ("JPEG", "OJPEG"):
        photometric = "RGB"  # which their decoder gives
    if photometric == "PALETTE":
        shown = _look_up(palette.T, samples)
    elif photometric == "RGB":
        shown = samples[..., :3]
    elif photometric in ("MINISBLACK", "MINISWHITE"):
        shown = samples[..., 0]
    else:
        raise ValueError(f"its colours are {photometric}: save it in grey or RGB")
    if photometric == "MINISWHITE":
        black = next(2**depth - 1 for depth in BIT_DEPTHS if shown.max() < 2**depth)
        shown = (black - shown).astype(samples.dtype)
    alpha, premultiplied = None, False
    for kind, extra in zip(page.extrasamples, np.moveaxis(samples, 2, 0)[3 if shown.ndim == 3 else 1 :]):
        if kind.name != "UNSPECIFIED":
            alpha, premultiplied = extra, kind.name == "ASSOCALPHA"
        elif _varies(extra):
            raise ValueError("it has a channel and does not say what for: save it without")
    return _picture(shown, alpha, _orientation(page.tags.valueof("Orientation")), premultiplied)


def _only_page(file):
    """The one image of a TIFF, beside which there may be small previews."""
    pages = [page for page in file.pages if not page.is_reduced]
    if len(pages) != 1:
        raise ValueError(f"it holds {len(pages)} images: save the one with the lesion as a file")
    return pages[0]


def _look_up(colours: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """RGB [H, W, 3] by a palette [N, 3] of a TIFF, uint8 unless it has finer colours."""
    if indices.shape[2] > 1:
        raise ValueError("it has a palette and more channels: save it in grey or RGB")
    if colours.max() >= 2**8 and any((colours % factor == 0).all() for factor in (256, 257)):
        colours = colours >> 8
    return colours.astype(np.uint8 if colours.max() < 2**8 else np.uint16)[indices[..., 0]]


def _sixteen_bits(greys: np.ndarray) -> np.ndarray:
    if greys.min() < 0 or greys.max() > np.iinfo(np.uint16).max:
        raise ValueError("its greys do not fit into 16 bits")
    return greys.astype(np.uint16)


def _picture(colours: np.ndarray, alpha: np.ndarray | None, orientation: int, premultiplied: bool = False) -> Picture:
    white = np.iinfo(colours.dtype).max
    if alpha is not None and (alpha == white).all():
        alpha = None
    if alpha is not None:
        if not alpha.any():
            raise ValueError("all of it is transparent: save it without transparency")
        if not premultiplied:
            share = alpha.astype(np.uint32).reshape(*alpha.shape, *(1,) * (colours.ndim - 2))
            colours = ((colours * share + white // 2) // white).astype(colours.dtype)
        alpha = _upright(alpha, orientation)
    return Picture(_upright(colours, orientation), alpha)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels [H, W, …] as they are shown, by the tag Orientation of TIFF 6.0."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows, columns = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[
        orientation
    ]
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _exif_orientation(image: Image.Image, path: Path) -> int:
    if image.format == "PNG" and _is_told_late(path):
        image.load()
    # Pillow's own method for PNG would decode all pixels in any case
    return _orientation(Image.Image.getexif(image).get(ExifTags.Base.Orientation))


def _is_told_late(path: Path) -> bool:
    """Whether a PNG has anything but pixels and its end after its first pixels, such as EXIF."""
    with path.open("rb") as file:
        file.seek(8)
        pixels = False
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if pixels and name not in (b"IDAT", b"IEND"):
                return True
            pixels = pixels or name == b"IDAT"
            file.seek(length + 4, 1)
    return False


def _orientation(tag: object) -> int:
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _refuse_giant(width: int, height: int) -> None:
    """Raise ValueError where Pillow would: a small file may claim to hold more than any memory."""
    if Image.MAX_IMAGE_PIXELS and width * height > 2 * Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"its {width}×{height} pixels are too many")


@contextmanager
def _readable(path: Path, mend: str = "repair it, or list it in its source's exclusions") -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of broken files the decoders raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({reason}): {mend}") from error


def _dicom() -> ModuleType:
    # pydicom takes longer to import than all else here, and most databases have no DICOM
    from mammosynth.databases import dicom

    return dicom


def _tifffile() -> ModuleType:
    import tifffile

    return tifffile


__all__ = [
    "DICOM_SUFFIXES", "Box", "Picture", "bounding_box", "decode_mask", "find_foreground", "masks_box", "noting",
    "read_header", "read_image", "read_mask", "read_orientation", "read_picture", "read_size",
]  # fmt: skip
