"""Digests of files: what stands for their content where Snakemake would look at their age."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from mammosynth.errors import InputError, Problems


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_digests(files: Iterable[str | Path], path: str | Path) -> None:
    """Write the digest and name of each file to *path*, which lies beside them, as ``sha256sum --check`` reads it."""
    lines = [f"{sha256_of(file)}  {Path(file).name}\n" for file in files]
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_digests(path: str | Path) -> dict[Path, str]:
    """What `write_digests` wrote: digest by file."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return {Path(path).parent / name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def refuse_changed(digests: Mapping[str, str] | Mapping[Path, str]) -> None:
    """Raise one InputError that names all files whose content is not that of their digest, or that are missing."""
    problems = Problems()
    for path, digest in digests.items():
        with problems.gathered():
            if not Path(path).is_file() or sha256_of(path) != digest:
                raise InputError(
                    f"{path} is not what was written there (its sha256 is not {digest[:12]}…): delete it and run again"
                )
    problems.refuse()
