"""What every reader is given and gives: a source, its lesions, and how its image files are opened."""

import csv
import io
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.errors import InputError

NO_COORDINATES = "no coordinates"

# By these names a file is taken for an image: where a reader does not read it, it is refused and not passed over.
IMAGE_SUFFIXES = {
    ".png", ".apng", ".pgm", ".ppm", ".pbm", ".pnm", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".tif",
    ".tiff", ".gif", ".webp", ".dcm", ".dicom",
}  # fmt: skip


@dataclass(frozen=True)
class Lesion:
    """One lesion of a database.

    The box is in pixels of the image, half-open, row 0 at the top; it may cross the image's border (mini-MIAS circles
    do), and is None where the database gives none. *mask* holds the paths of the lesion's masks, joined by ``;``.
    *excluded* is the reason why the lesion cannot be used, or empty. *age* (years) and *birads* are the table's words.
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


@dataclass
class Reading:
    """What a reader found: its lesions, and its images that show none (curation looks for near-duplicates in both).

    *passed_over* has the images that show something else, with what that is: they are counted and not opened.
    """

    lesions: list[Lesion]
    normals: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)


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


class Problems:
    """Gathers InputErrors over many files, so that one run names every bad one."""

    SHOWN = 20

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep an InputError of this block for `refuse`, and go on."""
        try:
            yield
        except InputError as error:
            self.found.append(str(error))

    def refuse(self) -> None:
        """Raise one InputError that names all that was gathered, if anything was."""
        if len(self.found) > self.SHOWN:
            self.found[self.SHOWN :] = [f"and {len(self.found) - self.SHOWN} more"]
        if self.found:
            raise InputError("\n".join(self.found))


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

    Raises InputError if the file is missing, is not UTF-8, lacks a column, or names an image twice.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: mend the path in the config, or make the file")
    key, value = columns
    found: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} is not UTF-8 (line {line}): save it as CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    if missing := set(columns) - set(reader.fieldnames or ()):
        raise InputError(f"{path} has no column {min(missing)}: its first line must be {','.join(columns)}")
    for row in reader:
        if row[key] in found:
            raise InputError(f'{path} names "{row[key]}" twice (line {reader.line_num}): keep one of the rows')
        found[row[key]] = (row[value] or "").strip()
    return found


def refuse_other_images(paths: Iterable[Path], read: Iterable[str]) -> None:
    """Raise InputError if some *paths* are images, by their suffix, but of none of the suffixes *read*."""
    others = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES - set(read)]
    if others:
        raise InputError(
            f"{min(others)}"
            + (f" and {len(others) - 1} more" if len(others) > 1 else "")
            + f" would not be read, as only {', '.join(read)} is: convert to PNG, or take out of the folder"
        )


def read_size(path: Path) -> tuple[int, int]:
    """Width and height from an image's header, without decoding it. Raises InputError if there is none."""
    with _readable(path), Image.open(path) as image:
        return image.size


def read_image(path: Path) -> np.ndarray:
    """A grey image, uint8 or uint16 [H, W]; colour is turned to luma and an alpha channel ignored.

    Raises InputError if the file is not an image, or is cut short.
    """
    with _readable(path), Image.open(path) as image:
        if image.mode == "F":
            raise ValueError("its greys are no whole numbers")
        if image.mode.startswith("I"):  # 16 bits, in Pillow's names
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image.convert("L"))


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


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Half-open box x0, y0, x1, y1 of the true pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    # what Pillow's decoders raise for bad files
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}): repair it, or list it in its source's exclusions"
        ) from error
