"""DICOM images as greys that grow from black to white.

Stored values → modality LUT or rescale → VOI LUT, else the first window → inverted if MONOCHROME1 → black where a value
is no tissue but padding, or a place lies beyond the shutter. All but the last act on a single value, so that they are
worked out once for every value that a pixel can hold, and looked up.

The greys keep every stored level apart. Without a VOI they are the stored values themselves, from 0 up (signed ones
shifted, and turned over if the rescale slope is negative: a rescale changes only units): uint8 up to 8 bits stored,
else uint16. A window is spread over all 16 bits, since its own range may have fewer levels than the stored values that
it covers. A LUT gives the depth that it declares. Colour of 8 bits is turned to luma.

Only PhotometricInterpretation says whether to invert: PresentationLUTShape INVERSE goes with MONOCHROME1 and repeats
it (PS3.3 C.8.11.3.1.2). What else a header may say, and what is done with it, is in ``docs/dicom.md``.
"""

import io
import logging
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageDraw
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.pixels import apply_windowing, pixel_array
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

log = logging.getLogger(__name__)

WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
NEEDED = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "PixelRepresentation",
)  # fmt: skip
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
SPACINGS = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
EDGES = (
    "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge",
)  # fmt: skip
SQUARE = 0.02  # by which the sides of a pixel may differ, as that changes no shape that an eye could see
CENTIMETRES = 3  # as the unit of an ultrasound region's axis
REMARKS = (  # element, its value, and what it says
    ("BurnedInAnnotation", "YES", "text or marks are burnt in"),
    ("LossyImageCompression", "01", "lossily compressed"),
    ("PresentationIntentType", "FOR PROCESSING", "raw, not meant to be looked at"),
    ("QualityControlImage", "YES", "for quality control, as of a phantom"),
    ("UltrasoundColorDataPresent", "1", "some of its colours are no echoes, but flow or stiffness"),
)
_logged: set[str] = set()


def read_size(path: Path) -> tuple[int, int]:
    """Width and height, from the header alone."""
    header = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
    return int(header.Columns), int(header.Rows)


def read_header(path: Path, names: Iterable[str]) -> list[str]:
    """The text of elements by their keywords, "" where the file has none; pixels are not read.

    Raises ValueError for a file without an image, as one that is cut short may be.
    """
    names = list(names)
    header = dcmread(path, stop_before_pixels=True, specific_tags=[*names, "Rows"])
    if "Rows" not in header:
        raise ValueError("its header has no Rows")
    return [str(header.get(name) or "").strip() for name in names]


def read_image(path: Path) -> np.ndarray:
    """A grey image, uint8 or uint16 [H, W]; what is padding or beyond the shutter is 0.

    Raises ValueError for what holds no such image (no pixels, several frames, palettes, colour or greys of more bits,
    pixels that are not square), or whose header contradicts itself; and for a broken file whatever pydicom and its
    decoders raise, which may be any exception. The log says, once each, what a person should know of such images.
    """
    dataset = dcmread(path)
    lift_frame(dataset)
    refuse_others(dataset)
    shown = find_shown(dataset)
    # no copy where pydicom needs none; else it would say so of each file, among the warnings that a person must read
    whole = dataset.SamplesPerPixel == 1 and dataset.BitsStored == dataset.BitsAllocated
    stored = pixel_array(dataset, view_only=whole)
    _refuse_other_size(dataset)
    image = to_luma(dataset, stored) if dataset.SamplesPerPixel == 3 else to_grey(dataset, stored)
    for remark in find_remarks(dataset):
        _log_once(remark, path)
    return image if shown is None else np.where(shown, image, 0).astype(image.dtype)


def to_grey(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """The greys of stored values [H, W]. Raises ValueError if these need more bits than the header says."""
    lowest, highest = _limits(dataset)
    if dataset.BitsStored < 8 * stored.dtype.itemsize and (stored.min() < lowest or stored.max() > highest):
        raise ValueError(f"it holds values from {stored.min()} to {stored.max()}, but says {dataset.BitsStored} bits")
    unsigned = np.dtype(f"u{stored.dtype.itemsize}")
    values = np.arange(2 ** (8 * unsigned.itemsize)).astype(unsigned)
    greys = find_greys(dataset, values.view(stored.dtype))
    if np.array_equal(greys, values) and greys.dtype == stored.dtype:
        return stored
    return greys[stored.view(unsigned)]


def to_luma(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """The luma, uint8 [H, W], of RGB [H, W, 3], which an ICC profile is first applied to. Raises ValueError for a
    profile that is none of RGB."""
    image = Image.fromarray(stored)
    if profile := dataset.get("ICCProfile"):
        srgb = ImageCms.createProfile("sRGB")
        try:
            ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb, inPlace=True)
        except (OSError, ImageCms.PyCMSError) as error:
            raise ValueError(f"its ICCProfile cannot be used ({error})") from error
    return np.asarray(image.convert("L"))


def find_greys(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    """The grey, uint8 or uint16 from black to white, as which each stored value of a dataset is shown."""
    lowest, highest = _limits(dataset)
    white = highest - lowest
    stored = np.clip(values.astype(np.int64), lowest, highest)
    greys = stored - lowest
    if lut := dataset.get("ModalityLUTSequence"):
        greys, white = look_up(stored, lut[0], _byte_order(dataset))
        output: np.ndarray = greys
    else:
        slope, intercept = _rescale(dataset)
        output = stored * slope + intercept
        greys = greys if slope > 0 else white - greys
    if lut := dataset.get("VOILUTSequence"):
        greys, white = look_up(np.rint(output).astype(np.int64), lut[0], _byte_order(dataset))
    elif _windows(dataset):
        white = 2**16 - 1
        greys = np.floor(apply_windowing(output, _sixteen_bits(dataset)) + 0.5)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        greys = white - greys
    return np.where(is_padding(dataset, stored), 0, greys).astype(np.uint8 if white < 2**8 else np.uint16)


def look_up(values: np.ndarray, lut: Dataset, order: str = "<") -> tuple[np.ndarray, int]:
    """Integers mapped by a LUT of a dataset, and the greatest that it can give. *order* is that of its bytes.

    Written out, as pydicom 3.0.2 wraps at 256 the index into a LUT of 8 bits with more entries.
    """
    count, first, bits = (int(number) for number in lut.LUTDescriptor)
    data = lut.LUTData
    entries = np.frombuffer(data, f"{order}u2") if isinstance(data, bytes) else np.asarray(data)
    count = count or 2**16
    if len(entries) < count or not 1 <= bits <= 16:
        raise ValueError(f"its LUT has {len(entries)} entries of {bits} bits, not {count} of up to 16")
    return entries[np.clip(values - first, 0, count - 1)].astype(np.int64), 2**bits - 1


def is_padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Which stored values are no tissue but fill the image up (PS3.3 C.7.5.1.1.2), bool of their shape.

    The two limits may come in either order, and as unsigned where the values are signed, or the other way round, as
    writers do. Raises ValueError for a limit that no pixel can have.
    """
    lowest, highest = _limits(dataset)
    limits = []
    for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if dataset.get(name) is None:
            continue
        number, values = int(dataset[name].value), 2 ** int(dataset.BitsAllocated)
        if not lowest <= number <= highest:
            number = (number + values // 2) % values - values // 2 if lowest < 0 else number % values
        if not lowest <= number <= highest:
            raise ValueError(f"its {name} is {dataset[name].value}, which {dataset.BitsStored} bits cannot hold")
        limits.append(number)
    if not limits:
        return np.zeros(stored.shape, dtype=bool)
    return (stored >= min(limits)) & (stored <= max(limits))


def find_shown(dataset: Dataset) -> np.ndarray | None:
    """The pixels that the display shutter leaves to be seen (PS3.3 C.7.6.11), bool [H, W]; None without a shutter.

    Raises ValueError for a shape that is not described as it should be, or if nothing is left.
    """
    if not dataset.get("ShutterShape"):
        return None
    rows, columns = np.ogrid[1 : dataset.Rows + 1, 1 : dataset.Columns + 1]
    shown = np.ones((dataset.Rows, dataset.Columns), dtype=bool)
    for shape in np.atleast_1d(dataset.ShutterShape):
        if shape == "RECTANGULAR":
            left, right, upper, lower = (_numbers(dataset, name, 1)[0] for name in EDGES)
            shown &= (rows >= upper) & (rows <= lower) & (columns >= left) & (columns <= right)
        elif shape == "CIRCULAR":
            row, column = _numbers(dataset, "CenterOfCircularShutter", 2)
            (radius,) = _numbers(dataset, "RadiusOfCircularShutter", 1)
            shown &= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        elif shape == "POLYGONAL":
            corners = np.reshape(_numbers(dataset, "VerticesOfThePolygonalShutter"), (-1, 2))[:, ::-1] - 1
            drawn = Image.new("1", shown.shape[::-1])
            ImageDraw.Draw(drawn).polygon([tuple(corner) for corner in corners], fill=1, outline=1)
            shown &= np.asarray(drawn)
        else:
            raise ValueError(f"its shutter is {shape}")
    if not shown.any():
        raise ValueError("its shutter leaves nothing to be seen")
    return shown


def lift_frame(dataset: Dataset) -> None:
    """Put what the functional groups of an enhanced image say of its one frame where classic images say it."""
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (dataset.get(name) or [])[:1]:
            for macro in group:
                for element in macro.value[0] if macro.VR == "SQ" and macro.value else []:
                    if element.tag not in dataset:
                        dataset[element.tag] = element


def find_remarks(dataset: Dataset) -> list[str]:
    """What a person should know of an image that is read as it is."""
    found = [f"{text} ({name})" for name, value, text in REMARKS if str(dataset.get(name)) == value]
    for name, several in (("WindowCenter", _windows(dataset)), ("VOILUTSequence", dataset.get("VOILUTSequence") or [])):
        if len(several) > 1:
            found.append(f"the first of {len(several)} ways to show it is taken ({name})")
    return found


def _log_once(remark: str, path: Path) -> None:
    if remark not in _logged:  # a database of thousands of such files would fill the log
        _logged.add(remark)
        log.warning("%s: %s; others like it are not named", path.name, remark)


def refuse_others(dataset: Dataset) -> None:
    """Raise ValueError for an image that cannot be read rightly, or whose header contradicts itself."""
    if "PixelData" not in dataset:
        raise ValueError("it holds no pixels of whole numbers")
    for name in NEEDED:
        if dataset.get(name) in (None, ""):
            raise ValueError(f"its header has no {name}")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise ValueError(f"it holds {dataset.NumberOfFrames} frames: save the one with the lesion as a file")
    _refuse_other_samples(dataset)
    _refuse_other_bits(dataset)
    _refuse_contradictions(dataset)
    _refuse_other_presentations(dataset)
    _refuse_oblong_pixels(dataset)


def _refuse_other_samples(dataset: Dataset) -> None:
    kind, samples = dataset.PhotometricInterpretation, dataset.SamplesPerPixel
    if kind == "PALETTE COLOR":
        raise ValueError("its colours are a palette: save it in RGB or grey")
    if kind not in GREY + COLOUR:
        raise ValueError(f"its PhotometricInterpretation is {kind}: save it in RGB or grey")
    if samples != (1 if kind in GREY else 3):
        raise ValueError(f"it has {samples} samples a pixel (SamplesPerPixel), which contradicts {kind}")
    if kind in GREY and "RedPaletteColorLookupTableDescriptor" in dataset:
        raise ValueError("a palette colours some of its greys: save it in RGB or grey")


def _refuse_other_bits(dataset: Dataset) -> None:
    allocated, stored = dataset.BitsAllocated, dataset.BitsStored
    most = 16 if dataset.SamplesPerPixel == 1 else 8
    if max(allocated, stored) > most:
        raise ValueError(f"it has {max(allocated, stored)} bits where {most} are read")
    if not 1 <= stored <= allocated:
        raise ValueError(f"it stores {stored} bits (BitsStored) in {allocated} (BitsAllocated)")
    if dataset.get("HighBit") not in (None, stored - 1):
        raise ValueError(f"its highest bit is {dataset.HighBit} (HighBit), not {stored - 1}, of {stored} stored")
    if dataset.SamplesPerPixel == 3 and (stored < 8 or dataset.PixelRepresentation != 0):
        raise ValueError("its colours are not of 8 bits without a sign")


def _refuse_contradictions(dataset: Dataset) -> None:
    kind, shape = dataset.PhotometricInterpretation, dataset.get("PresentationLUTShape")
    agrees = {"IDENTITY": kind != "MONOCHROME1", "INVERSE": kind == "MONOCHROME1"}
    if shape and not agrees.get(shape, False):
        raise ValueError(f"its PresentationLUTShape {shape} contradicts {kind}: correct the one that is wrong")
    if dataset.get("ModalityLUTSequence") and _rescale(dataset) != (1, 0):
        raise ValueError("it has both a modality LUT and a rescale: take out the one that is wrong")
    _windows(dataset)


def _refuse_other_presentations(dataset: Dataset) -> None:
    for name in ("PresentationLUTSequence", "SoftcopyVOILUTSequence"):
        if dataset.get(name):
            raise ValueError(f"it has a {name}, which is not read")
    if dataset.get("ImageRotation") or dataset.get("ImageHorizontalFlip") == "Y":
        raise ValueError("it is to be shown turned or mirrored (ImageRotation, ImageHorizontalFlip): save it so")
    if dataset.get("RecommendedViewingMode") == "SUB":
        raise ValueError("it is to be subtracted from another (RecommendedViewingMode)")


def _refuse_oblong_pixels(dataset: Dataset) -> None:
    sides = [(name, _numbers(dataset, name, 2)) for name in SPACINGS if dataset.get(name)]
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        if {region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")} == {CENTIMETRES}:
            deltas = _numbers(region, "PhysicalDeltaX", 1) + _numbers(region, "PhysicalDeltaY", 1)
            sides.append(("SequenceOfUltrasoundRegions", [abs(delta) for delta in deltas]))
    for name, (first, second) in sides:
        if abs(first - second) > SQUARE * max(first, second):
            raise ValueError(
                f"its pixels are not square ({name} {first:g} and {second:g}): "
                "resample it, with its mask or box, to square ones"
            )


def _refuse_other_size(dataset: Dataset) -> None:
    """pydicom shapes what a decoder gives by Rows and Columns, also where the compressed image says it otherwise."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in JPEG2000TransferSyntaxes:
        decoder = "openjpeg"
    elif syntax in JPEGTransferSyntaxes + JPEGLSTransferSyntaxes:
        decoder = "libjpeg"
    else:
        return
    coded = import_module(decoder).get_parameters(get_frame(dataset.PixelData, 0, number_of_frames=1))
    if (coded["rows"], coded["columns"]) != (dataset.Rows, dataset.Columns):
        raise ValueError(
            f"its compressed image is {coded['columns']}×{coded['rows']}, but its header says "
            f"{dataset.Columns}×{dataset.Rows}"
        )


def _limits(dataset: Dataset) -> tuple[int, int]:
    """The lowest and the highest value that a pixel can hold."""
    bits = int(dataset.BitsStored)
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    return lowest, lowest + 2**bits - 1


def _byte_order(dataset: Dataset) -> str:
    return "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = (dataset.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = float(1 if slope is None else slope), float(intercept or 0)
    if slope == 0:
        raise ValueError("its rescale slope is 0")
    return slope, intercept


def _windows(dataset: Dataset) -> list[tuple[float, float]]:
    """Centre and width of each window. Raises ValueError where one of the two is missing."""
    centres, widths = (
        [] if dataset.get(name) is None else np.atleast_1d(dataset.get(name)).astype(float).tolist()
        for name in WINDOW[:2]
    )
    if len(centres) != len(widths):
        raise ValueError(f"it has {len(centres)} centres (WindowCenter) and {len(widths)} widths of windows")
    return list(zip(centres, widths))


def _sixteen_bits(dataset: Dataset) -> Dataset:
    """The window of a dataset as one whose output is 0…65535, whatever its stored values."""
    window = Dataset()
    for name in WINDOW:
        if name in dataset:
            window[name] = dataset[name]
    window.PhotometricInterpretation = "MONOCHROME2"
    window.BitsStored, window.PixelRepresentation = 16, 0
    return window


def _numbers(dataset: Dataset, name: str, count: int | None = None) -> list[float]:
    """The values of an element. Raises ValueError if they are not *count*, or, without it, not pairs."""
    value = dataset.get(name)
    found = [] if value is None else np.atleast_1d(value).astype(float).tolist()
    if len(found) != count if count else not found or len(found) % 2:
        raise ValueError(f"its {name} has {len(found)} values")
    return found


__all__ = [
    "find_greys",
    "find_remarks",
    "find_shown",
    "is_padding",
    "look_up",
    "read_header",
    "read_image",
    "read_size",
]
