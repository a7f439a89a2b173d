"""Checkpoints of a training that may be killed at any moment and then goes on as if it had not been."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mammosynth import __version__
from mammosynth.errors import InputError
from mammosynth.gans.settings import Settings
from mammosynth.imageset import ImageSet

log = logging.getLogger("mammosynth")


def fingerprint(settings: Settings, seed: int, *others: ImageSet | str) -> str:
    """Hex digest of all that decides what a training makes: settings, seed, version, images with labels, names."""
    digest = hashlib.sha256(json.dumps([asdict(settings), seed, __version__], sort_keys=True).encode())
    for other in others:
        if isinstance(other, str):
            digest.update(other.encode())
        else:
            for array in (other.images, other.labels):
                digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make an InputError that names *path* of what the system says to writing it: no room, no permission."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save ends a file that cannot be written with an error of its own, raised while it handles the system's.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise InputError(
            f"{path} cannot be written ({cause.strerror}): make room or mend the place, and run again; the training "
            "goes on from its last checkpoint"
        ) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write to, which becomes *path* when all is written: who reads *path* never sees half a file.

    Raises InputError if the disk is full or the place cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    with writing(path):
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write(content: Mapping[str, Any], path: Path) -> None:
    """Save *content* as *path*; see ``replacing``."""
    with replacing(path) as part, open(part, "wb") as file:
        torch.save(content, file)


class Checkpoint:
    """A file that only one training at a time reads and writes, held by a lock until this process ends.

    The lock matters when Snakemake was killed and its job was not: the job's successor waits for it.
    """

    def __init__(self, path: Path, key: str) -> None:
        """path: of the file; key: fingerprint of the training that it belongs to.

        Raises InputError if the place cannot be written.
        """
        self.path, self.key = path, key
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = open(path.with_suffix(".lock"), "w")  # noqa: SIM115 (held as long as the process lives)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process trains with %s: waiting for its end", path)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None if there is none of this training.

        A damaged file, or one of other settings, data, seed or version, is set aside, not overwritten.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises many kinds for a damaged file
            self._set_aside("damaged", f"cannot be read ({error})")
            return None
        if not isinstance(state, dict) or state.get("key") != self.key:
            self._set_aside("other", "is of other settings, images, seed or version of mammosynth")
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one move.

        Raises InputError if it cannot be written; the last one that could is still there.
        """
        write({**state, "key": self.key}, self.path)

    def delete(self) -> None:
        """Remove the file: the training is over and its result written."""
        self.path.unlink(missing_ok=True)

    def _set_aside(self, ending: str, why: str) -> None:
        place, number = self.path.with_suffix(f".{ending}.pt"), 1
        while place.exists():
            number += 1
            place = self.path.with_suffix(f".{ending}-{number}.pt")
        os.replace(self.path, place)
        log.warning("checkpoint %s %s: set aside as %s, training starts from step 0", self.path, why, place)
