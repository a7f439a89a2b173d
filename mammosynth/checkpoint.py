"""Trainings that may be interrupted at any moment, resume as if they had not been, and stay finished once they are."""

import contextlib
import hashlib
import json
import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch

from mammosynth import code
from mammosynth.digests import read_digests, refuse_changed, write_digests
from mammosynth.errors import CutOff, InputError
from mammosynth.files import link, replacing, writing
from mammosynth.imageset import ImageSet
from mammosynth.locks import NoLocks, lock, private_folder

log = logging.getLogger("mammosynth")


def fingerprint(modules: Iterable[str], settings: Mapping[str, Any], seed: int, *others: ImageSet | str) -> str:
    """Hex digest of all that decides what a training makes: code, settings, seed, images with labels, names.

    modules: names of those that train, which stand for all that they import; see `mammosynth.code`.
    """
    digest = hashlib.sha256(code.digest(*map(code.module, modules)).encode())
    digest.update(json.dumps([settings, seed], sort_keys=True).encode())
    for other in others:
        if isinstance(other, str):
            digest.update(other.encode())
        else:
            for array in (other.images, other.labels):
                digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


def write(content: Mapping[str, Any], path: Path) -> None:
    """Save *content* as *path*; see ``replacing``."""
    with replacing(path) as part, open(part, "wb") as file:
        torch.save(content, file)


class Checkpoint:
    """What a training keeps outside its outputs: its state while it runs, its results when it is over.

    Snakemake deletes the outputs of a job that it did not see end, as after a walltime or when Snakemake itself was
    killed, and those of a job that it starts anew. So the results have second names here, which cost no room where the
    file system has hard links, and a training of the same key gives them back.

    Only one training at a time reads and writes here, held by a lock until this process ends. The lock matters when
    Snakemake was killed and its job was not: the job's successor waits for it.
    """

    def __init__(self, path: Path, key: str) -> None:
        """path: of the state's file; key: fingerprint of the training that it belongs to.

        Raises InputError if the place cannot be written.
        """
        self.path, self.key = path, key
        self.results = path.with_suffix(".results")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path)

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None if there is none of this training.

        A damaged file, or one of other settings, data, seed or code, is set aside, not overwritten.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises many kinds for a damaged file
            self._set_aside("damaged", f"cannot be read ({type(error).__name__})")
            return None
        if not isinstance(state, dict) or state.get("key") != self.key:
            self._set_aside("other", "is of other settings, images, seed or code")
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one move.

        Raises InputError if it cannot be written; the last one that could is still there.
        """
        write({**state, "key": self.key}, self.path)

    def give_back(self, outputs: Iterable[Path]) -> bool:
        """Make *outputs* the results of an earlier training of the same key; False if there are none, or damaged."""
        outputs = list(outputs)
        digests = self.results / "results.sha256"
        try:
            if (self.results / "key").read_text(encoding="utf-8") != self.key:
                return False
            kept = read_digests(digests)
            if set(kept) != {self.results / output.name for output in outputs}:
                return False
            refuse_changed(kept)
        except FileNotFoundError:
            return False
        except (InputError, ValueError) as error:
            log.warning("%s; they are the results of an earlier training, which is done again", error)
            return False
        for output in outputs:
            with writing(output):
                output.parent.mkdir(parents=True, exist_ok=True)
            link(self.results / output.name, output)
            os.utime(output)  # Snakemake takes outputs older than their inputs for stale
        log.info("%s was finished by an earlier job, and is what it was", outputs[0])
        return True

    def finish(self, outputs: Iterable[Path]) -> None:
        """Keep *outputs*, which are written, for `give_back`, and remove the state, which nothing needs any more.

        Raises InputError if there is no room for copies, where the file system has no hard links.
        """
        key = self.results / "key"
        with writing(self.results):
            self.results.mkdir(exist_ok=True)
            key.unlink(missing_ok=True)
            for output in outputs:
                link(output, self.results / output.name)
            write_digests([self.results / output.name for output in outputs], self.results / "results.sha256")
        with replacing(key) as part:
            part.write_text(self.key, encoding="utf-8")
        self.path.unlink(missing_ok=True)

    def _set_aside(self, ending: str, why: str) -> None:
        place, number = self.path.with_suffix(f".{ending}.pt"), 1
        while place.exists():
            number += 1
            place = self.path.with_suffix(f".{ending}-{number}.pt")
        os.replace(self.path, place)
        log.warning("checkpoint %s %s: set aside as %s, training starts from step 0", self.path, why, place)


class Cut:
    """Whether this process was told to end; see ``noticing``."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def end(self, step: int, steps: int) -> None:
        """Raise CutOff, which says where the training stands. To be called when its state is saved."""
        raise CutOff(
            f"{self.signal} after step {step} of {steps}: the checkpoint is saved, and the same command resumes from it"
        )


@contextlib.contextmanager
def noticing() -> Iterator[Cut]:
    """Notice SIGTERM (a walltime, scancel) and SIGINT (Ctrl-C) instead of ending in the middle of a step.

    Only the first one: a second ends the process at once.
    """
    cut = Cut()
    before: dict[int, Any] = {}

    def notice(number: int, frame: object) -> None:
        cut.signal = signal.Signals(number).name
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        before = {number: signal.signal(number, notice) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield cut
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lock(path: Path) -> IO[str] | None:
    """The open file whose lock keeps other trainings of *path* away as long as this process lives.

    Where the file system has no locks it is one in the folder for temporary files, which other machines do not see;
    None if that has none either.
    """
    try:
        return _waited(path.with_suffix(".lock"), path)
    except NoLocks as error:
        log.warning(
            "%s lies on a file system without locks (%s): do not run this study on two machines at once", path, error
        )
    place = private_folder() / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.lock"
    try:
        return _waited(place, path)
    except NoLocks:
        log.warning("nor has %s locks: a training that a killed Snakemake left must be ended by hand", place.parent)
        return None


def _waited(place: Path, path: Path) -> IO[str] | None:
    if (file := lock(place)) is None:
        log.warning("another process trains with %s: waiting for its end", path)
        file = lock(place, wait=True)
    return file
