"""The files of a database: which there are, in whatever spelling, and not what operating systems leave among them."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from mammosynth.errors import InputError

# what Windows, macOS, Linux, network storage and archives leave beside the files of a database, in small letters
LEFTOVERS = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin",
    "system volume information", "lost+found",
}  # fmt: skip


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is none of a database's, by its name.

    It is hidden, as ``.DS_Store`` and ``._000001.png`` are, or an operating system left it there, or a program that has
    a table open.
    """
    return path.name.startswith((".", "~$")) or path.name.lower() in LEFTOVERS


def list_files(folder: Path) -> list[Path]:
    """What lies in a folder, in order; leftovers are left out. Raises InputError if there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: add the folder, or mend root in the config")
    return sorted(path for path in folder.iterdir() if not is_leftover(path))


def walk(root: Path) -> Iterator[Path]:
    """Every file below a folder, in order; leftovers, and all below such folders, are left out."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not is_leftover(Path(name)))
        yield from (path for name in sorted(names) if not is_leftover(path := Path(folder, name)))


def find(root: Path, place: str | Path) -> Path | None:
    """The file or folder at a *place* below a root, however its accents are composed and whatever its capitals.

    None if there is none. Raises InputError if two are spelt alike and neither as *place* is.
    """
    path = root
    for part in Path(place).parts:
        if os.path.exists(path / part):
            path /= part
            continue
        alike = [other for other in path.iterdir() if fold(other.name) == fold(part)] if path.is_dir() else []
        if not alike:
            return None
        refuse_alike(alike)
        path = alike[0]
    return path


def refuse_alike(paths: Iterable[Path]) -> None:
    """Raise InputError if two files or folders are of one name but for capitals and accents: which is meant is open."""
    first: dict[str, Path] = {}
    for path in sorted(paths):
        if (other := first.setdefault(fold(str(path)), path)) != path:
            raise InputError(f"{other} and {path} share one name but for its capitals: rename or remove one of them")


def fold(name: str) -> str:
    """A name as it is the same for all of its spellings: accents composed, letters small."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


__all__ = ["find", "fold", "is_leftover", "list_files", "refuse_alike", "walk"]
