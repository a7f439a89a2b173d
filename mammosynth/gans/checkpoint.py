"""Checkpoints of a training that may be killed at any moment and then goes on as if it had not been."""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mammosynth.gans.settings import Settings
from mammosynth.imageset import ImageSet

log = logging.getLogger("mammosynth")


def fingerprint(images: ImageSet, settings: Settings, seed: int) -> str:
    """Hexadecimal digest of all that decides what a training makes: images, labels, settings and seed."""
    digest = hashlib.sha256(json.dumps([asdict(settings), seed], sort_keys=True).encode())
    for array in (images.images, images.labels):
        digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


class Checkpoint:
    """A file that only one training at a time reads and writes, held by a lock until this process ends.

    The lock matters when Snakemake was killed and its job was not: the job's successor waits for it.
    """

    def __init__(self, path: Path, key: str) -> None:
        """path: of the file; key: fingerprint of the training that it belongs to."""
        self.path, self.key = path, key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(path.with_suffix(".lock"), "w")  # noqa: SIM115 (held as long as the process lives)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process trains with %s: waiting for its end", path)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None if there is none of this training.

        A damaged file, or one of other settings, data or seed, is set aside, not overwritten.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises many kinds for a damaged file
            self._set_aside("damaged", f"cannot be read ({error})")
            return None
        if state["key"] != self.key:
            self._set_aside("other", "is of other settings, images or seed")
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one move."""
        part = self.path.with_suffix(".part")
        torch.save({**state, "key": self.key}, part)
        os.replace(part, self.path)

    def delete(self) -> None:
        """Remove the file: the training is over and its result written."""
        self.path.unlink(missing_ok=True)

    def _set_aside(self, ending: str, why: str) -> None:
        place = self.path.with_suffix(f".{ending}.pt")
        os.replace(self.path, place)
        log.warning("checkpoint %s %s: set aside as %s, training starts from step 0", self.path, why, place)
