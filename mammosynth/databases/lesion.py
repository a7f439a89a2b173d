"""What every reader is given and gives: a source, its lesions, and which files are its images."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mammosynth.databases.files import fold, list_files, refuse_alike
from mammosynth.databases.patients import Patients
from mammosynth.databases.pixels import read_size
from mammosynth.databases.rows import Row, read_csv
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
    *image_id* is what lists of exclusions and of patients call its image. *excluded* is the reason why the lesion
    cannot be used, or empty; *remark* is what a person should know of one that can. *age* (years) and *birads* are the
    database's words. *official_fold*, from 0 up, is the fold that the database's makers put its patient into, where the
    source asks for theirs.
    """

    lesion_id: str
    patient_id: str
    database: str
    modality: str
    image: str
    image_id: str
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
    remark: str = ""


def sides(box: tuple[int, int, int, int] | None) -> dict[str, Any]:
    """A box as fields of a `Lesion`; None where there is none."""
    return dict(zip(("x0", "y0", "x1", "y1"), box or (None,) * 4))


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
        """Why an image is not to be used, by its image_id; such an image is never opened."""
        return {
            image: f"exclusion list: {row['reason'] or 'no reason given'}"
            for image, row in self._read_list("exclusions", "reason").items()
        }

    @cached_property
    def patients(self) -> dict[str, Row]:
        """The rows, with their column *patient*, of the source's list of patients, by image_id."""
        return self._read_list("patients", "patient")

    def _read_list(self, setting: str, column: str) -> dict[str, Row]:
        if not self.settings.get(setting):
            return {}
        return read_sidecar(Path(self.settings[setting]), ("image", column))

    def read_lists(self) -> None:
        """Read the lists of exclusions and of patients, which are kept. Raises InputError, one for both."""
        problems = Problems()
        with problems.gathered():
            self.exclusions  # noqa: B018
        with problems.gathered():
            self.patients  # noqa: B018
        problems.refuse()

    def excluded(self, image_id: str) -> str:
        """Why an image is not to be used; "" if it may be."""
        return self.exclusions.get(compose(image_id), "")

    def check_lists(self, images: Iterable[str], lesions: Iterable[str] = ()) -> None:
        """Raise InputError if the lists of exclusions and patients name what the database lacks.

        images: all its image_ids; lesions: other names that exclusions may use.
        """
        images, problems = set(images), Problems()
        with problems.gathered():
            self.refuse_unknown(self.exclusions, images.union(lesions), "the exclusion list")
        with problems.gathered():
            self.refuse_unknown(self.patients, images, "the list of patients")
        problems.refuse()

    def refuse_unknown(self, listed: Iterable[str], known: set[str], what: str) -> None:
        """Raise InputError if *listed*, a list or sidecar, names an image that the database lacks."""
        if unknown := sorted(set(listed) - set(map(compose, known))):
            example = f', such as "{min(known)}"' if known else ""
            raise InputError(
                f'{what} of {self.name} names "{unknown[0]}"'
                + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
                + f", which the database does not hold: write paths below its folder{example}"
            )


def read_sidecar(path: Path, columns: tuple[str, str]) -> dict[str, Row]:
    """The rows of a CSV by their first column, such as image, with its accents composed.

    Raises InputError as `read_csv` does, and, one for all rows, if an image is named twice.
    """
    key = columns[0]
    found: dict[str, Row] = {}
    problems = Problems()
    for row in read_csv(path, columns):
        with problems.gathered():
            name = compose(row.text(key))
            if name in found:
                raise InputError(f'{path} names "{name}" twice (line {row.number}): keep one of the rows')
            found[name] = row
    problems.refuse()
    return found


def compose(name: str) -> str:
    """A name with its accents composed: as lists and files may write it in either way."""
    return unicodedata.normalize("NFC", name)


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
    """Raise InputError if some of *images*, files below *folder*, are not *named* by their table, or two share a name.

    named: paths below *folder*, with slashes, in any spelling.
    """
    images, known = list(images), set(map(fold, named))
    refuse_alike(images)
    unknown = [path for path in images if fold(path.relative_to(folder).as_posix()) not in known]
    if unknown:
        raise InputError(
            f"{min(unknown)}"
            + (f" and {len(unknown) - 1} more have" if len(unknown) > 1 else " has")
            + f" no row in {table}: add one, or take the image out of the folder"
        )


def list_images(folder: Path) -> list[Path]:
    """The files of a folder that are named as images, in order. Raises InputError if there is no such folder."""
    return [path for path in list_files(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
