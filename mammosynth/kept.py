"""What takes long to compute, kept by content: asked again for the same, a job reads it instead of computing it.

Files lie below one folder, named by a digest of all that decides their content.  They may be deleted at any time.
"""

import hashlib
import os
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mammosynth import code
from mammosynth.digests import sha256_of
from mammosynth.files import writing


def kept(
    folder: str | Path, function: str, inputs: Iterable[Any], compute: Callable[[], Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """The arrays that *compute* returns, or returned earlier for the same, by name.

    function: "module:function" that computes them; its module stands for all code that decides them, see
    `mammosynth.code`; inputs: all else that does: arrays, numbers, names, and tuples and dataclasses of such.  A Path
    stands for the content of its file.  A damaged file is computed again.

    Raises InputError if the folder cannot be written.
    """
    module, _, name = function.partition(":")
    digest = hashlib.sha256(code.digest(code.module(module)).encode())
    _update(digest, inputs)
    path = Path(folder, f"{module.removeprefix('mammosynth.')}.{name}-{digest.hexdigest()[:32]}.npz")
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        pass  # not there, or damaged
    arrays = {key: np.asarray(value) for key, value in compute().items()}
    own = path.with_suffix(f".{uuid.uuid4().hex}")  # another job, on any machine, may be computing the same
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with own.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            os.replace(own, path)
        finally:
            own.unlink(missing_ok=True)
    return arrays


def _update(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
    elif isinstance(value, Path):
        digest.update(sha256_of(value).encode())
    elif isinstance(value, tuple | list):
        digest.update(b"(")
        for part in value:
            _update(digest, part)
        digest.update(b")")
    elif is_dataclass(value):
        _update(digest, tuple(vars(value).values()))
    else:
        digest.update(f"{value!r},".encode())
