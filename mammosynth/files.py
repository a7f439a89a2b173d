"""Files that are whole whenever they are there."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mammosynth.errors import MachineError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a MachineError that names *path* of what the system says to writing it: no room, no permission."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save ends a file that cannot be written with an error of its own, raised while it handles the system's.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise MachineError(
            f"{path} cannot be written ({cause.strerror}): make room or mend the place, and run again; a training "
            "resumes from its last checkpoint"
        ) from error


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A place to write to, which becomes *path* when all is written: who reads *path* never sees half a file.

    Raises MachineError if the disk is full or the place cannot be written.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    with writing(path):
        try:
            yield part
            _sync(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def link(source: Path, path: Path) -> None:
    """Make *path* the file *source* too, as a second name of it where the file system has such, else as a copy.

    Raises MachineError as `replacing` does.
    """
    with replacing(path) as part:
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


def _sync(path: Path) -> None:
    """Have the system write a file to the disk, so that a power cut after its renaming leaves no empty one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
