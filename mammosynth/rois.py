"""From an image and a lesion's box to an ROI: a square with context, of one size and one grey scale.

Box → square of side max(h, w)·(1 + 2·margin) about its centre → moved inside the image, or padded with black where the
image is smaller than the square → resized with antialiasing. Grey levels are windowed once per image, not per ROI, so
that ROIs of one film stay comparable.

What is done to an ROI can tell its class: malignant lesions are larger, so that their squares are moved and padded more
often. Padding is black, as nothing is there: mirrored tissue shows skin, text, callipers and the lesion itself twice.
No smaller margin would do without it, for some lesions are wider than their image is high (27 of BUSI's 631). So the
scale that resizing takes away, the padding and the move are recorded, and `mammosynth.nuisances` says what they tell.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import label

from mammosynth.databases.lesion import Problems
from mammosynth.databases.pixels import Box, read_image
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.nuisances import share_of_marks
from mammosynth.progress import track

log = logging.getLogger(__name__)

# columns of a table of lesions that cropping adds
MEASURED = ("scale", "padded", "moved", "beyond", "marks", "window_low", "window_high")
WINDOW = (0.5, 99.5)  # percentiles of the tissue
CHUNK = 4  # images that a thread takes at once, as handing over each small one would be a tenth of its work
BORDER = 0.02  # of the brightest grey, by which a white border varies
SAMPLE = 2**16  # the pixels, evenly spread, that suffice for a window: its percentiles hold to 0.06 (two deviations)


def crop_rois(
    lesions: pd.DataFrame, size: int, margin: float, min_side: int, max_padded: float = 1.0, threads: int = 1
) -> tuple[ImageSet, pd.DataFrame]:
    """The ROIs of all usable lesions, *size* × *size*, and the table of all lesions.

    lesions: as `mammosynth.curation.read_lesions` gives them. margin: context on each side, as a share of the box's
    longer side; a box that is the whole image (a ready-made ROI) gets none. min_side: source pixels that the side of
    an ROI must have, else its lesion is excluded; so is that of which a greater share than max_padded is padded, that
    whose box has no pixel of the image, and that of an ROI of a single grey, of which nothing can be learned.
    The table has, besides the lesions' columns, *scale* (source pixels per ROI pixel), *padded* (share of the ROI
    beyond the image), *moved* (how far the ROI's centre lies from the box's, as a share of the ROI's side), *beyond*
    (share of the box beyond the image), *marks* (in ultrasound, `mammosynth.nuisances.share_of_marks`), *window_low*
    and *window_high* (grey levels).
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
            found = crop_image(Path(image), modality, [boxes[row] for row in rows], size, margin)
            for row, cropped in zip(rows, found):
                of_roi = dict(zip(MEASURED, cropped[1]))
                if of_roi["beyond"] == 1:
                    excluded[row] = "lesion lies beyond its image"
                elif round(of_roi["scale"] * size) < min_side:
                    excluded[row] = f"ROI side below {min_side} source pixels"
                elif of_roi["padded"] > max_padded:
                    excluded[row] = f"ROI padded to more than {max_padded:g}"
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
                "see excluded in lesions.csv, lower rois: min_side, raise rois: max_padded, or add a database"
            )
    log.info("%d ROIs of %d lesions", len(kept), len(table))
    images = ImageSet(
        np.stack([rois[row] for row in kept]),
        np.array([CLASSES.index(pathology) for pathology in pathologies]),
        table["lesion_id"].to_numpy(dtype=np.str_)[kept],
        table["group"].to_numpy(dtype=np.str_)[kept],
    )
    return images, table


def crop_image(
    path: Path, modality: str, boxes: Sequence[Box], size: int, margin: float
) -> list[tuple[np.ndarray, tuple[float, ...]]]:
    """The ROI of each box of an image, uint8 [size, size], with its MEASURED.

    All else as for `crop_rois`. Raises InputError for an unreadable image.
    """
    image = read_image(path)
    ready_made = is_ready_made(boxes, image.shape)
    # the makers of a ready-made ROI of 8 bits have windowed it
    windowed_already = ready_made and image.dtype == np.uint8
    low, high = (0, 255) if windowed_already else find_window(image, modality, ready_made)
    found: list[tuple[np.ndarray, tuple[float, ...]]] = []
    for box in boxes:
        square = place_square(box, image.shape, 0 if ready_made else margin)
        side = square[2] - square[0]
        patch = cut(image, square)
        marks = share_of_marks(patch, low, high) if modality == "ultrasound" else np.nan
        if not (windowed_already and side == size):
            # what lies beyond the window is clipped before resizing, lest it spread
            resized = resize(np.clip(patch, int(low), int(high)), size)
            patch = apply_window(resized, low, high).round().astype(np.uint8)
        padded, beyond = share_beyond(square, image.shape), share_beyond(box, image.shape)
        found.append((patch, (side / size, padded, moved(square, box), beyond, marks, low, high)))
    return found


def is_ready_made(boxes: Iterable[Box], shape: tuple[int, int]) -> bool:
    """Whether an image of *shape* (height, width) is itself an ROI: each box of a lesion in it is the whole image.

    Where another box is smaller, the image shows more than one ROI, and the lesion that fills it is one like others.
    """
    return all(tuple(box) == (0, 0, shape[1], shape[0]) for box in boxes)


def place_square(box: Box, shape: tuple[int, int], margin: float) -> Box:
    """The square, half-open, about a box, moved inside an image of *shape* (height, width) as far as it fits.

    Along an axis on which the image is shorter than the square, the image lies in its middle.
    """
    x0, y0, x1, y1 = (int(edge) for edge in box)
    height, width = shape
    side = round(max(x1 - x0, y1 - y0) * (1 + 2 * margin))
    left, top = (_inside((a + b - side) // 2, side, n) for a, b, n in ((x0, x1, width), (y0, y1, height)))
    return left, top, left + side, top + side


def _inside(start: int, side: int, length: int) -> int:
    if side >= length:
        return (length - side) // 2
    return min(max(start, 0), length - side)


def cut(image: np.ndarray, square: Box) -> np.ndarray:
    """The square of an image, [side, side]; black, that is 0, where it lies beyond the image."""
    x0, y0, x1, y1 = square
    height, width = image.shape
    inner = image[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    around = ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)))
    return np.pad(inner, around) if np.any(around) else inner


def share_beyond(box: Box, shape: tuple[int, int]) -> float:
    """The share of a box that lies beyond an image of *shape* (height, width)."""
    x0, y0, x1, y1 = box
    height, width = shape
    inside = max(min(x1, width) - max(x0, 0), 0) * max(min(y1, height) - max(y0, 0), 0)
    return 1 - inside / ((x1 - x0) * (y1 - y0))


def moved(square: Box, box: Box) -> float:
    """How far a square's centre lies from that of its box along either axis, the greater, as a share of its side.

    Less than a pixel, by which the two cannot always meet, is no move.
    """
    twice = max(abs(square[i] + square[i + 2] - box[i] - box[i + 2]) for i in (0, 1))
    return twice / 2 / (square[2] - square[0]) if twice > 1 else 0.0


def find_window(image: np.ndarray, modality: str, ready_made: bool = False) -> tuple[float, float]:
    """Grey levels that become black and white: percentiles 0.5 and 99.5 of the tissue.

    Tissue is, on a film, what `find_tissue` finds; in ultrasound and in a *ready_made* ROI, all that is not the pure
    black around the sector or film. Of large images only every n-th pixel of each axis is looked at.
    """
    step = max(1, math.isqrt(image.size // SAMPLE))
    sample = image[::step, ::step]
    if modality == "ultrasound" or ready_made:
        counts = _count(sample)
        counts[0] = 0
    else:
        counts = np.bincount(sample[find_tissue(sample)])
    total = counts.sum()
    if not total:
        return 0.0, float(np.iinfo(image.dtype).max)
    low, high = np.searchsorted(np.cumsum(counts), np.multiply(WINDOW, total / 100))
    return float(low), float(max(high, low + 1))


def find_tissue(film: np.ndarray) -> np.ndarray:
    """Where a film shows the breast, bool of its shape: the largest connected part above the air.

    Air is what is up to Li's threshold (on 122 films of mini-MIAS it lies at 21 to 59, just above the air; Otsu's, at
    54 to 107, loses fatty tissue and masses near the skin). The white border of a film, that is, what is within 2 % of
    the brightest grey and connected to the edge of the image, is neither; labels are parts of their own. Were they
    tissue, the white of a window would be 15 to 66 greys too high in 28 of those films.
    """
    white, _ = label(film >= (1 - BORDER) * film.max(), np.ones((3, 3)))
    edge = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    border = np.isin(white, edge[edge > 0])
    if border.all():
        return np.zeros(film.shape, dtype=bool)
    parts, _ = label((film > int(threshold_li(np.bincount(film[~border])))) & ~border, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (parts == sizes.argmax()) & (parts > 0)


def _count(image: np.ndarray) -> np.ndarray:
    """How many pixels have each grey; of 8 bits Pillow counts in half the time."""
    return np.array(Image.fromarray(image).histogram()) if image.dtype == np.uint8 else np.bincount(image.ravel())


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
