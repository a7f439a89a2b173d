"""Whether raw data changed since they were last read; light, for the workflow asks each time it plans."""

import hashlib
import os
from pathlib import Path

from mammosynth.errors import InputError

UNREADABLE = -1


def fingerprint(root: str) -> str:
    """A digest of all files below *root* and of where they lie, without opening one; "" if there is no such folder.

    Of each file path, size and time of change count. The folder itself counts too, as tables of lesions hold paths
    below it. A root that is missing is refused by the job that reads it and not here.
    """
    folder = Path(root)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256(repr(str(folder)).encode())
    for file in sorted(_files(str(folder), "", set())):
        digest.update(repr(file).encode())
    return digest.hexdigest()


def refuse_unreadable(root: Path) -> None:
    """Raise InputError that names what may not be looked into below *root*, so that no image is missed.

    ``lost+found``, which file systems keep for themselves at their root, holds none.
    """
    for path, size, _ in sorted(_files(str(root), "", set())):
        if size == UNREADABLE and Path(path).name != "lost+found":
            raise InputError(
                f"{root / path} may not be looked into: give yourself the right to read it, or move it out of the "
                "database's folder"
            )


def _files(folder: str, below: str, seen: set[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """Path below the root, size and time of change of each file. Links are followed, as readers do, but no circle.

    What may not be looked into has the size UNREADABLE, a folder for all that it holds.
    """
    place = os.stat(folder)
    if (place.st_dev, place.st_ino) in seen:
        return []
    seen = seen | {(place.st_dev, place.st_ino)}  # the folders above only: a folder linked twice counts twice
    found = []
    try:
        scanned = os.scandir(folder)
    except PermissionError:
        return [(below.removesuffix("/"), UNREADABLE, place.st_mtime_ns)]
    with scanned as entries:
        for entry in entries:
            path = below + entry.name
            if entry.is_dir():
                found += _files(entry.path, f"{path}/", seen)
            else:
                try:
                    status = entry.stat(follow_symlinks=os.path.exists(entry.path))  # of a dead link its own
                    found.append((path, status.st_size, status.st_mtime_ns))
                except PermissionError:
                    found.append((path, UNREADABLE, 0))
                except FileNotFoundError:  # taken away just now
                    continue
    return found


__all__ = ["fingerprint", "refuse_unreadable"]
