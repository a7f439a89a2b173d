"""What every reader is given and gives: a source, its lesions, and how its image files are opened."""

import os
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from mammosynth.databases.patients import Patients
from mammosynth.databases.rows import read_csv
from mammosynth.errors import InputError
from mammosynth.errors import Problems as Problems

NO_COORDINATES = "no coordinates"

Box = tuple[int, int, int, int]

# By these names a file is taken for an image: where a reader does not read it, it is refused and not passed over.
IMAGE_SUFFIXES = {
    ".png", ".apng", ".pgm", ".ppm", ".pbm", ".pnm", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".tif",
    ".tiff", ".gif", ".webp", ".dcm", ".dicom",
}  # fmt: skip
DICOM_SUFFIXES = {".dcm", ".dicom"}


@dataclass(frozen=True)
class Lesion:
    """One lesion of a database.

    The box is in pixels of the image, half-open, row 0 at the top; it may cross the image's border (mini-MIAS circles
    do), and is None where the database gives none. *mask* holds the paths of the lesion's masks, joined by ``;``.
    *excluded* is the reason why the lesion cannot be used, or empty. *age* (years) and *birads* are the database's
    words. *official_fold*, from 0 up, is the fold that the database's makers put its patient into, where the source
    asks for theirs.
    """

    lesion_id: str
    patient_id: str
    database: str
    modality: str
    image: str
    mask: str
    x0: int | None
    y0: int | None
    x1: int | None
    y1: int | None
    pathology: str
    view: str = ""
    excluded: str = ""
    age: str = ""
    birads: str = ""
    official_fold: int | None = None


@dataclass
class Reading:
    """What a reader found: its lesions, and its images that show none (curation looks for near-duplicates in both).

    *passed_over* has the images that show something else, with what that is: they are counted and not opened.
    *patients* names them: by row, where a reader asks it, and by image for all others.
    """

    lesions: list[Lesion]
    normals: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)
    patients: Patients = field(default_factory=Patients)


@dataclass(frozen=True)
class Source:
    """One database as the config names it: its name, its settings, and its root folder, which exists."""

    name: str
    settings: dict
    root: Path

    @property
    def modality(self) -> str:
        return self.settings["modality"]

    @cached_property
    def exclusions(self) -> dict[str, str]:
        """Why an image is not to be used, by its path below the database's folder; such an image is never opened."""
        if not self.settings.get("exclusions"):
            return {}
        path = expand(self.settings["exclusions"], f"sources: {self.name}: exclusions")
        return {
            image: f"exclusion list: {reason or 'no reason given'}"
            for image, reason in read_sidecar(path, ("image", "reason")).items()
        }

    def refuse_unknown(self, listed: dict[str, str], known: set[str], what: str) -> None:
        """Raise InputError if *listed*, an exclusion list or sidecar, names an image that the database lacks."""
        if unknown := sorted(set(listed) - known):
            example = f', such as "{min(known)}"' if known else ""
            raise InputError(
                f'{what} of {self.name} names "{unknown[0]}"'
                + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
                + f", which the database does not hold: write paths below its folder{example}"
            )


def expand(path: str, key: str) -> Path:
    """A path of the config with its environment variables replaced.

    Raises InputError naming the variable and the config's *key* if one is not set.
    """
    for variable in re.findall(r"\$\{?(\w+)", path):
        if variable not in os.environ:
            raise InputError(
                f'config: {key} is "{path}", but the environment variable {variable} is not set: '
                f"set it (export {variable}=<folder>), or write the path itself"
            )
    return Path(os.path.expandvars(path)).expanduser()


def read_sidecar(path: Path, columns: tuple[str, str]) -> dict[str, str]:
    """A two-column CSV, such as ``image,patient_id``, as a dictionary.

    Raises InputError as `read_csv` does, and if an image is named twice.
    """
    key, value = columns
    found: dict[str, str] = {}
    for row in read_csv(path, columns):
        if row.text(key) in found:
            raise InputError(f'{path} names "{row[key]}" twice (line {row.number}): keep one of the rows')
        found[row[key]] = row[value]
    return found


def refuse_other_images(paths: Iterable[Path], read: Iterable[str]) -> None:
    """Raise InputError if some *paths* are images, by suffix or by content, but of none of the suffixes *read*."""
    rest = [path for path in paths if path.suffix.lower() not in read]
    others = [path for path in rest if path.suffix.lower() in IMAGE_SUFFIXES or (path.is_file() and _holds_image(path))]
    if others:
        raise InputError(
            f"{min(others)}"
            + (f" and {len(others) - 1} more" if len(others) > 1 else "")
            + f" would not be read, as only {', '.join(read)} is: convert to PNG, or take out of the folder"
        )


def _holds_image(path: Path) -> bool:
    try:
        read_size(path)
    except InputError:
        return False
    return True


def refuse_unnamed(folder: Path, images: Iterable[Path], named: Iterable[str], table: str) -> None:
    """Raise InputError if some of *images*, files below *folder*, are not *named* by their table.

    named: paths below *folder*, with slashes.
    """
    known = {unicodedata.normalize("NFC", name) for name in named}
    unknown = [
        path for path in images if unicodedata.normalize("NFC", path.relative_to(folder).as_posix()) not in known
    ]
    if unknown:
        raise InputError(
            f"{min(unknown)}"
            + (f" and {len(unknown) - 1} more have" if len(unknown) > 1 else " has")
            + f" no row in {table}: add one, or take the image out of the folder"
        )


def list_images(folder: Path) -> list[Path]:
    """The files of a folder that are named as images, in order. Raises InputError if there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: add the folder, or mend root in the config")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def read_size(path: Path) -> tuple[int, int]:
    """Width and height from an image's header, without decoding it. Raises InputError if there is none."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        with _readable(path, Exception):
            return _dicom().read_size(path)
    with _readable(path), Image.open(path) as image:
        return image.size


def read_image(path: Path) -> np.ndarray:
    """A grey image, uint8 or uint16 [H, W]; colour is turned to luma and an alpha channel ignored.

    DICOM, told by its suffix, as `mammosynth.databases.dicom` says. Raises InputError if the file is not an image, or
    is cut short.
    """
    if path.suffix.lower() in DICOM_SUFFIXES:
        with _readable(path, Exception):
            return _dicom().read_image(path)
    with _readable(path), Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"it holds {image.n_frames} images: save the one with the lesion as a file")
        if image.mode == "F":
            raise ValueError("its greys are no whole numbers")
        if image.mode.startswith("I"):  # 16 bits, in Pillow's names, or 32
            greys = np.asarray(image)
            if greys.min() < 0 or greys.max() > np.iinfo(np.uint16).max:
                raise ValueError("its greys do not fit into 16 bits")
            return greys.astype(np.uint16)
        if image.format == "PPM" and image.mode == "L" and image.tile[0].codec_name == "raw":
            # a raw PGM lies in its file as an array; Pillow would copy it twice
            width, height = image.size
            greys = np.frombuffer(path.read_bytes(), np.uint8, width * height, image.tile[0].offset)
            return greys.reshape(height, width)
        return np.asarray(image if image.mode == "L" else image.convert("L"))


def read_header(path: Path, names: Iterable[str]) -> list[str]:
    """The text of some elements of a DICOM file, "" where it has none. Raises InputError if its header is broken."""
    with _readable(path, Exception, "download it again, or take it out of the folder"):
        return _dicom().read_header(path, names)


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A mask as bool [H, W].

    Raises InputError if it is unreadable, is not of *size* (width, height), or marks no pixel.
    """
    mask = read_image(path) > 0
    if mask.shape[::-1] != tuple(size):
        width, height = mask.shape[::-1]
        raise InputError(
            f"{path} is {width}×{height} but its image {size[0]}×{size[1]}: "
            "give it the image's size, or list the image in its source's exclusions"
        )
    if not mask.any():
        raise InputError(f"{path} marks no pixel: redraw it, or list its image in its source's exclusions")
    return mask


def masks_box(image: Path, masks: Iterable[Path]) -> Box:
    """Half-open box x0, y0, x1, y1 of the united masks of an image. Raises InputError for bad files."""
    size = read_size(image)
    return bounding_box(reduce(np.logical_or, (read_mask(path, size) for path in masks)))


def bounding_box(mask: np.ndarray) -> Box:
    """Half-open box x0, y0, x1, y1 of the true pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# what Pillow's decoders raise for bad files
_PILLOW = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


@contextmanager
def _readable(
    path: Path,
    errors: type[Exception] | tuple[type[Exception], ...] = _PILLOW,
    mend: str = "repair it, or list it in its source's exclusions",
) -> Iterator[None]:
    try:
        yield
    except errors as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({reason}): {mend}") from error


def _dicom() -> ModuleType:
    # pydicom takes longer to import than all else here, and most databases have no DICOM
    from mammosynth.databases import dicom

    return dicom
