"""DICOM images as greys that grow from black to white.

Stored values → modality LUT or rescale → VOI LUT, else the first window → inverted if MONOCHROME1. Each step acts on
a single value, so that all of them are worked out once for every value that a pixel can hold, and looked up.

The greys keep every stored level apart. Without a VOI they are the stored values themselves, from 0 up (signed ones
shifted, and turned over if the rescale slope is negative: a rescale changes only units): uint8 up to 8 bits stored,
else uint16. A window is spread over all 16 bits, since its own range may have fewer levels than the stored values that
it covers. A LUT gives the depth that it declares. Colour of 8 bits is turned to luma.

Only PhotometricInterpretation says whether to invert: PresentationLUTShape INVERSE goes with MONOCHROME1 and repeats
it (PS3.3 C.8.11.3.1.2).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_windowing, pixel_array

WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")


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
    """A grey image, uint8 or uint16 [H, W].

    Raises ValueError for what holds no such image (no pixels, several frames, palettes, colour or greys of more bits),
    and for a broken file whatever pydicom and its decoders raise, which may be any exception.
    """
    dataset = dcmread(path)
    _refuse_others(dataset)
    stored = pixel_array(dataset, view_only=True)
    if dataset.SamplesPerPixel == 3:
        return np.asarray(Image.fromarray(stored).convert("L"))
    unsigned = np.dtype(f"u{stored.dtype.itemsize}")
    values = np.arange(2 ** (8 * unsigned.itemsize)).astype(unsigned)
    greys = find_greys(dataset, values.view(stored.dtype))
    if np.array_equal(greys, values) and greys.dtype == stored.dtype:
        return stored
    return greys[stored.view(unsigned)]


def find_greys(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    """The grey, uint8 or uint16 from black to white, as which each stored value of a dataset is shown."""
    bits = int(dataset.BitsStored)
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    white = 2**bits - 1
    stored = np.clip(values.astype(np.int64), lowest, lowest + white)
    greys = stored - lowest
    if lut := dataset.get("ModalityLUTSequence"):
        greys, white = look_up(stored, lut[0])
        output = greys
    else:
        slope, intercept = (dataset.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
        slope, intercept = float(1 if slope is None else slope), float(intercept or 0)
        if slope == 0:
            raise ValueError("its rescale slope is 0")
        output = stored * slope + intercept
        greys = greys if slope > 0 else white - greys
    if lut := dataset.get("VOILUTSequence"):
        greys, white = look_up(np.rint(output).astype(np.int64), lut[0])
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        white = 2**16 - 1
        greys = np.floor(apply_windowing(output, _sixteen_bits(dataset)) + 0.5)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        greys = white - greys
    return greys.astype(np.uint8 if white < 2**8 else np.uint16)


def look_up(values: np.ndarray, lut: Dataset) -> tuple[np.ndarray, int]:
    """Integers mapped by a LUT of a dataset, and the greatest that it can give.

    Written out, as pydicom 3.0.2 wraps at 256 the index into a LUT of 8 bits with more entries.
    """
    count, first, bits = (int(number) for number in lut.LUTDescriptor)
    data = lut.LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
    count = count or 2**16
    if len(entries) < count or not 1 <= bits <= 16:
        raise ValueError(f"its LUT has {len(entries)} entries of {bits} bits, not {count} of up to 16")
    return entries[np.clip(values - first, 0, count - 1)].astype(np.int64), 2**bits - 1


def _sixteen_bits(dataset: Dataset) -> Dataset:
    """The window of a dataset as one whose output is 0…65535, whatever its stored values."""
    window = Dataset()
    for name in WINDOW:
        if name in dataset:
            window[name] = dataset[name]
    window.PhotometricInterpretation = "MONOCHROME2"
    window.BitsStored, window.PixelRepresentation = 16, 0
    return window


def _refuse_others(dataset: Dataset) -> None:
    if "PixelData" not in dataset:
        raise ValueError("it holds no pixels of whole numbers")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise ValueError(f"it holds {dataset.NumberOfFrames} frames: save the one with the lesion as a file")
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        raise ValueError("its colours are a palette: save it in RGB or grey")
    most = 16 if dataset.SamplesPerPixel == 1 else 8
    if dataset.BitsStored > most:
        raise ValueError(f"it has {dataset.BitsStored} bits where {most} are read")


__all__ = ["find_greys", "look_up", "read_header", "read_image", "read_size"]
