"""From an image and a lesion's box to an ROI: a square with context, of one size and one grey scale.

Box → square of side max(h, w)·(1 + 2·margin) about its centre → moved inside the image, or padded where the image is
smaller than the square → resized with antialiasing. Grey levels are windowed once per image, not per ROI, so that ROIs
of one film stay comparable. Resizing takes away a lesion's size, which is a sign of malignancy: its scale is recorded.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mammosynth.databases.lesion import Box, Problems, read_image
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.progress import track

log = logging.getLogger(__name__)

# what lies outside the image: air beside the film; tissue that goes on beside the ultrasound sector
PADDING = {"mammography": "constant", "ultrasound": "reflect"}
MEASURED = ("scale", "padded", "window_low", "window_high")  # columns of a table of lesions that cropping adds
WINDOW = (0.5, 99.5)  # percentiles of the tissue
CHUNK = 4  # images that a thread takes at once, as handing over each small one would be a tenth of its work
SAMPLE = 2**16  # the pixels, evenly spread, that suffice for a window: its percentiles hold to 0.06 (two deviations)


def crop_rois(
    lesions: pd.DataFrame, size: int, margin: float, min_side: int, threads: int = 1
) -> tuple[ImageSet, pd.DataFrame]:
    """The ROIs of all usable lesions, *size* × *size*, and the table of all lesions.

    lesions: as `mammosynth.curation.read_lesions` gives them. margin: context on each side, as a share of the box's
    longer side; a box that is the whole image (a ready-made ROI) gets none. min_side: source pixels that the side of
    an ROI must have, else its lesion is excluded; so is that of an ROI of a single grey, of which nothing can be
    learned or measured. The table has, besides the lesions' columns, *scale* (source pixels
    per ROI pixel), *padded* (share of the ROI beyond the image), *window_low* and *window_high* (grey levels).
    Each image is opened once and no more than *threads* are held. Raises InputError, one for all files, for unreadable
    images, and if no lesion of a class is left.
    """
    problems = Problems()
    excluded = lesions["excluded"].tolist()
    usable = [row for row, reason in enumerate(excluded) if reason == ""]
    places = lesions.iloc[usable]
    boxes = dict(zip(usable, places[["x0", "y0", "x1", "y1"]].to_numpy(dtype=int).tolist()))
    on_image: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, image, modality in zip(usable, places["image"], places["modality"]):
        on_image[image, modality].append(row)
    rois: dict[int, np.ndarray] = {}
    measured = np.full((len(lesions), len(MEASURED)), np.nan)

    def crop(job: tuple[tuple[str, str], list[int]]) -> None:
        (image, modality), rows = job
        with problems.gathered():
            found = crop_image(Path(image), modality, [boxes[row] for row in rows], size, margin, min_side)
            for row, cropped in zip(rows, found):
                if cropped is None:
                    excluded[row] = f"ROI side below {min_side} source pixels"
                elif cropped[0].min() == cropped[0].max():
                    excluded[row] = "ROI of a single grey"
                else:
                    rois[row], measured[row] = cropped

    with ThreadPool(threads) as pool:
        for _ in track(pool.imap_unordered(crop, on_image.items(), CHUNK), "crop ROIs", total=len(on_image)):
            pass
    problems.found.sort()  # by file, whichever thread came first
    problems.refuse()
    table = lesions.assign(**dict(zip(MEASURED, measured.T)), excluded=excluded)
    kept = sorted(rois)
    pathologies = table["pathology"].to_numpy()[kept]
    for pathology in CLASSES:
        if pathology not in pathologies:
            modality = ", ".join(table["modality"].unique())
            raise InputError(
                f"{modality} has no usable {pathology} lesion ({len(table)} lesions, {len(kept)} usable): "
                "see excluded in lesions.csv, lower rois: min_side, or add a database"
            )
    log.info("%d ROIs of %d lesions", len(kept), len(table))
    images = ImageSet(
        np.stack([rois[row] for row in kept]),
        [CLASSES.index(pathology) for pathology in pathologies],
        table["lesion_id"].to_numpy(dtype=np.str_)[kept],
        table["group"].to_numpy(dtype=np.str_)[kept],
    )
    return images, table


def crop_image(
    path: Path, modality: str, boxes: Sequence[Box], size: int, margin: float, min_side: int
) -> list[tuple[np.ndarray, tuple[float, ...]] | None]:
    """The ROI of each box of an image, uint8 [size, size], with its MEASURED; None where it is too small.

    All else as for `crop_rois`. Raises InputError for an unreadable image.
    """
    image = read_image(path)
    ready_made = is_ready_made(boxes[0], image.shape)
    # the makers of a ready-made ROI of 8 bits have windowed it
    windowed_already = ready_made and image.dtype == np.uint8
    low, high = (0, 255) if windowed_already else find_window(image, modality, ready_made)
    found = []
    for box in boxes:
        square = place_square(box, image.shape, margin)
        side = square[2] - square[0]
        if side < min_side:
            found.append(None)
            continue
        patch, padded = cut(image, square, PADDING[modality])
        if not (windowed_already and side == size):
            # what lies beyond the window is clipped before resizing, lest it spread
            resized = resize(np.clip(patch, int(low), int(high)), size)
            patch = apply_window(resized, low, high).round().astype(np.uint8)
        found.append((patch, (side / size, padded, low, high)))
    return found


def is_ready_made(box: Box, shape: tuple[int, int]) -> bool:
    """Whether a lesion's box is its whole image of *shape* (height, width)."""
    return tuple(box) == (0, 0, shape[1], shape[0])


def place_square(box: Box, shape: tuple[int, int], margin: float) -> Box:
    """The square, half-open, about a box, moved inside an image of *shape* (height, width) as far as it fits.

    Along an axis on which the image is shorter than the square, the image lies in its middle. A ready-made ROI has no
    context to show: its square gets no margin.
    """
    x0, y0, x1, y1 = (int(edge) for edge in box)
    height, width = shape
    side = max(x1 - x0, y1 - y0)
    if not is_ready_made(box, shape):
        side = round(side * (1 + 2 * margin))
    left, top = (_inside((a + b - side) // 2, side, n) for a, b, n in ((x0, x1, width), (y0, y1, height)))
    return left, top, left + side, top + side


def _inside(start: int, side: int, length: int) -> int:
    if side >= length:
        return (length - side) // 2
    return min(max(start, 0), length - side)


def cut(image: np.ndarray, square: Box, padding: str) -> tuple[np.ndarray, float]:
    """The square of an image, [side, side], and the share of it that lies beyond the image and is padded.

    padding: ``constant`` (zero) or ``reflect``, as in `numpy.pad`.
    """
    x0, y0, x1, y1 = square
    height, width = image.shape
    inner = image[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    around = ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)))
    padded = 1 - inner.size / ((x1 - x0) * (y1 - y0))
    return np.pad(inner, around, mode=padding) if padded else inner, padded


def find_window(image: np.ndarray, modality: str, ready_made: bool = False) -> tuple[float, float]:
    """Grey levels that become black and white: percentiles 0.5 and 99.5 of the tissue.

    Tissue is, on a film, what is above Li's threshold (on 122 films of mini-MIAS it lies at 21 to 59, just above the
    air; Otsu's, at 54 to 107, loses fatty tissue and masses near the skin); in ultrasound and in a *ready_made* ROI,
    all that is not the pure black around the sector or film. Of large images only every n-th pixel of each axis is
    looked at.
    """
    step = max(1, math.isqrt(image.size // SAMPLE))
    sample = image[::step, ::step]
    # of 8 bits Pillow counts in half the time
    counts = np.array(Image.fromarray(sample).histogram()) if image.dtype == np.uint8 else np.bincount(sample.ravel())
    air = 0 if modality == "ultrasound" or ready_made else int(threshold_li(counts))
    counts[: air + 1] = 0
    total = counts.sum()
    if not total:
        return 0.0, float(np.iinfo(image.dtype).max)
    low, high = np.searchsorted(np.cumsum(counts), np.multiply(WINDOW, total / 100))
    return float(low), float(max(high, low + 1))


def threshold_li(counts: np.ndarray) -> float:
    """The threshold of least cross-entropy between an image and its two parts, as greys may be up to it or above.

    counts: how many pixels have each grey, from 0 up. C. H. Li and P. K. S. Tam, Pattern Recognition Letters
    18(8):771-776 (1998), from the mean, to half a grey; what `skimage.filters.threshold_li` finds in the pixels, in a
    fraction of the time.
    """
    greys = np.flatnonzero(counts)
    lowest = int(greys[0])
    pixels = np.cumsum(counts[lowest:])
    sums = np.cumsum(counts[lowest:] * np.arange(len(pixels)))
    threshold, previous = sums[-1] / pixels[-1], -np.inf
    while abs(threshold - previous) > 0.5 and threshold < len(pixels) - 1:
        previous, below = threshold, int(threshold)
        dark = sums[below] / pixels[below]
        if dark == 0:
            break
        bright = (sums[-1] - sums[below]) / (pixels[-1] - pixels[below])
        threshold = (dark - bright) / (np.log(dark) - np.log(bright))
    return lowest + threshold


def apply_window(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey levels *low* to *high* spread to 0…255, those beyond clipped; float32 of the image's shape."""
    greys = np.subtract(image, low, dtype=np.float32)
    greys *= np.float32(255 / (high - low))
    return np.clip(greys, 0, 255, out=greys)


def resize(patch: np.ndarray, size: int) -> np.ndarray:
    """A square patch, uint8, uint16 or float32, as float32 [size, size]: bicubic, antialiased where it shrinks.

    Where it shrinks sixfold or more, means of small blocks are taken first, to at least three times *size*. At edges
    the result may go beyond the patch's range.
    """
    greys = Image.fromarray(patch).convert("F")
    return np.asarray(greys.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0))
