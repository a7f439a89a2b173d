"""What every reader is given and gives: a source, its lesions, and which files are its images."""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mammosynth.databases.pixels import read_size
from mammosynth.databases.rows import read_csv
from mammosynth.errors import InputError
from mammosynth.errors import Problems as Problems

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
