"""Downloads: files by their address, and whole databases that may be obtained freely.

A file is fetched under a name that ends in ``.part``, is resumed where it was cut off, and gets its own name only
when it is whole. A database is gathered in a folder ``.part``, which likewise is renamed at the end. Where each is
obtained is declared by its reader, see `mammosynth.databases.database.Database`.
"""

import csv
import gzip
import importlib
import logging
import math
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from ssl import SSLError
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np

from mammosynth import __version__
from mammosynth.digests import sha256_of
from mammosynth.errors import InputError
from mammosynth.progress import track

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mammosynth")

TIMEOUT = 30  # seconds without an answer after which a server counts as out of reach
TRIES = 5
PAUSE = 2.0  # seconds before the second try; twice as long before each further one
BLOCK = 2**20
PASSING = {408, 425, 429, 500, 502, 503, 504}  # what a server may answer now and no longer in a while
ARCHIVES = (".zip", ".tar.gz", ".tgz")
# Images are packed to a half or a tenth of their size, the zeros of a zip bomb to a thousandth.
RATIO = 100
SERIES_AT_ONCE = 100
BROKEN = (  # what opening and reading a bad archive raises
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
    FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip


class Unobtainable(Exception):
    """An address does not give the file; the message says why."""


class Passing(Unobtainable):
    """As above, but another try may."""


def fetch(address: str, destination: Path, sha256: str | None = None, tries: int = TRIES) -> None:
    """Fetch the file of an *address* (http, https or file) to *destination*.

    What an earlier call or try left in ``destination.part`` is resumed, if the server says that its file is still
    the same and can start in the middle. Passing faults (no answer, a cut, status 5xx) are tried again. A file of
    another *sha256* is deleted.

    Raises Unobtainable saying why, if the file cannot be fetched whole.
    """
    part, version = Path(f"{destination}.part"), Path(f"{destination}.version")
    for attempt in range(1, tries + 1):
        try:
            _resume(address, part, version, sha256)
            break
        except Passing as error:
            if attempt == tries:
                raise
            pause = PAUSE * 2 ** (attempt - 1)
            log.warning("%s: %s; try %d of %d in %.0f s", address, error, attempt + 1, tries, pause)
            time.sleep(pause)
    part.replace(destination)
    version.unlink(missing_ok=True)


def _resume(address: str, part: Path, version: Path, sha256: str | None) -> None:
    """One try: fetch what *part* lacks and check the whole; *version* holds what the server tells its file apart by."""
    request = urllib.request.Request(address, headers={"User-Agent": f"mammosynth/{__version__}"})
    have = part.stat().st_size if part.exists() and version.exists() else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header(
            "If-Range", version.read_text(encoding="utf-8")
        )  # another file since then is sent from its start
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            if answer.status != 206:
                have = 0
            elif not (answer.headers["Content-Range"] or "").startswith(f"bytes {have}-"):
                part.unlink()
                raise Passing("the server resumes at another place than asked for")
            _receive(answer, part, version, have, sha256)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink()
            raise Passing("the server's file is no longer than what was fetched before") from error
        raise (Passing if error.code in PASSING else Unobtainable)(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise Passing(str(error.reason)) from error
    except (TimeoutError, ConnectionError, SSLError, HTTPException) as error:
        raise Passing(str(error) or type(error).__name__) from error
    if sha256 and (found := sha256_of(part)) != sha256:
        part.unlink()
        raise (Passing if have else Unobtainable)(f"its sha256 is {found}, not {sha256}")


def _receive(answer: Any, part: Path, version: Path, have: int, sha256: str | None) -> None:
    """Write an answer's body behind the first *have* bytes of *part*. Raises Passing if it is cut off."""
    headers = answer.headers
    length, end_is_marked = headers["Content-Length"], headers["Transfer-Encoding"]
    if not (length or end_is_marked or sha256 or part.stem.endswith(ARCHIVES)):
        raise Unobtainable("the server does not say how long the file is, so that a cut would go unnoticed")
    if (headers["Content-Type"] or "").startswith("text/html"):
        raise Unobtainable("the server sent a web page in place of the file, as some do to say that it has moved")
    tag = headers["ETag"] or "W/"
    version.unlink(missing_ok=True)
    if unchanged := headers["Last-Modified"] if tag.startswith("W/") else tag:  # a weak tag tells no bytes apart
        version.write_text(unchanged, encoding="utf-8")
    blocks: Iterator[bytes] = iter(lambda: answer.read(BLOCK), b"")
    if length:
        whole = have + int(length)
        _check_room(int(length), part.parent)
        log.info("%s: %s%s", part.stem, size(whole), f", of which {size(have)} are here" if have else "")
        blocks = track(blocks, f"{part.stem} (MiB)", math.ceil(whole / BLOCK), have // BLOCK)
    with open(part, "r+b" if have else "wb") as file:
        file.seek(have)
        for block in blocks:
            file.write(block)
    if length and (got := part.stat().st_size) < whole:
        raise Passing(f"cut off after {size(got)} of {size(whole)}")


def _check_room(needed: float, folder: Path) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise Unobtainable(f"{size(needed)} are still to come, but {folder} has room for {size(free)} only")


def size(n: float) -> str:
    """A number of bytes as people read it: ``82.5 GB``."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if n >= 10**power:
            return f"{n / 10**power:.1f} {unit}"
    return f"{n:.0f} bytes"


class Member(NamedTuple):
    """A file of an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar.gz to *folder*, every byte checked by the archive's own checksums.

    Raises InputError if the archive is broken, holds a path that leads out of the folder or a link, or unpacks to more
    than RATIO times its size or than the disk has room for.
    """
    limit = RATIO * archive.stat().st_size
    room = shutil.disk_usage(folder).free
    total = 0
    try:
        for member in members(archive):
            target = folder.joinpath(_inside(archive, member.name))
            total += member.size
            if total > limit:
                raise InputError(
                    f"{archive} would unpack to more than {RATIO} times its {size(archive.stat().st_size)}, as a zip "
                    "bomb does and no images do: delete it, and ask where it came from"
                )
            if total > room:
                raise InputError(f"{archive} unpacks to more than {size(room)}, for which {folder} has room: make room")
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as content, open(target, "wb") as file:
                shutil.copyfileobj(content, file, BLOCK)
    except BROKEN as error:
        raise InputError(f"{archive} cannot be unpacked ({error}): delete it and run again") from error


def members(archive: Path) -> Iterator[Member]:
    """The files of a zip, a wheel or a tar.gz, in order, each to be opened before the next is asked for.

    Raises InputError for a link or a device.
    """
    if archive.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(archive) as file:
            for entry in file.infolist():
                kind = entry.external_attr >> 28  # of Unix's modes, 0o12 is a link; 0 where none was kept
                if kind == 0o12:
                    raise _unsafe(archive, entry.filename, "a link")
                if not entry.is_dir():
                    yield Member(entry.filename, entry.file_size, partial(file.open, entry))
    else:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                if not (member.isfile() or member.isdir()):
                    raise _unsafe(archive, member.name, "a link or device")
                if member.isfile():
                    yield Member(member.name, member.size, partial(_content, tar, member))
            while stream.read(BLOCK):  # to the checksum at its end
                pass


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None  # as it is of files
    return content


def _inside(archive: Path, name: str) -> PurePosixPath:
    """The path of a member below the folder. Raises InputError if it leads out, on this system or on another."""
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    if path.is_absolute() or windows.is_absolute() or windows.drive or ".." in windows.parts:
        raise _unsafe(archive, name, "a path that leads out of its folder")
    return path


def _unsafe(archive: Path, name: str, what: str) -> InputError:
    return InputError(f'{archive} holds "{name}", {what}, and is not unpacked: delete it, and ask where it came from')


def download(declaration: dict[str, Any], root: Path) -> None:
    """Lay a database into the folder *root*, which is there only when it is whole; one that is there is left alone.

    declaration: *title*, and *files*, *idc* or *request*, as `mammosynth.databases.database.Database` has them.
    Archives are unpacked. What is cut off is resumed by the next call.

    Raises InputError naming the address and the mend if the database cannot be obtained, or saying where to ask for it.
    """
    title = declaration["title"]
    if root.is_dir():
        log.info("%s lies in %s already", title, root)
        return
    if "request" in declaration:
        raise InputError(
            f"{title} may not be downloaded by everyone: {declaration['request']}, then put what you get into {root}, "
            "or name its folder as root in place of download"
        )
    part, fetched = root.with_name(f"{root.name}.part"), root.with_name(f"{root.name}.fetched")
    for folder in (part, fetched):
        folder.mkdir(parents=True, exist_ok=True)
    if "idc" in declaration:
        find_series(title, declaration["idc"], part)  # before all else, what it needs is said or missed
    files = []
    for file in declaration["files"]:
        files.append(fetched / file_name(file["address"]))
        if files[-1].exists():
            continue
        try:
            fetch(file["address"], files[-1], file.get("sha256"))
        except Unobtainable as error:
            raise InputError(
                f"{title} was not fetched from {file['address']} ({error}): run again, which resumes where it stopped, "
                f"or download it yourself, put it unpacked into {root} and run again"
            ) from error
    if "idc" in declaration:
        fetch_series(title, declaration["idc"], part)
    for path in files:
        if path.name.endswith(ARCHIVES):
            unpack(path, part)
        else:
            shutil.copy(path, part)
    part.replace(root)
    shutil.rmtree(fetched)
    log.info("%s lies in %s", title, root)


def file_name(address: str) -> str:
    """The name of the file that an address ends in."""
    return PurePosixPath(unquote(urlsplit(address).path)).name


def list_files(root: Path, path: Path) -> None:
    """Write the CSV *path* with the path and size of each file below *root*."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "bytes"])
        for found in sorted(found for found in root.rglob("*") if found.is_file()):
            writer.writerow([found.relative_to(root).as_posix(), found.stat().st_size])


def fetch_series(title: str, wanted: dict[str, str], folder: Path, client: Any = None) -> None:
    """Fetch the series of a collection of the Imaging Data Commons that *folder* lacks; arguments as of `find_series`.

    Raises InputError as that does, and if a series is not whole in the end.
    """
    client = client or _idc_client(title)
    series, missing = find_series(title, wanted, folder, client)
    for start in track(range(0, len(missing), SERIES_AT_ONCE), f"{title}, {SERIES_AT_ONCE} series at a time"):
        batch = missing[start : start + SERIES_AT_ONCE]
        client.download_from_selection(
            downloadDir=str(folder),
            seriesInstanceUID=list(batch["SeriesInstanceUID"]),
            dirTemplate="%PatientID/%StudyInstanceUID/%SeriesInstanceUID",
            show_progress_bar=False,
        )
        if not _are_whole(batch, folder).any():  # the client logs what went wrong, and takes its time for it
            break
    if cut := np.sum(~_are_whole(series, folder)):
        raise InputError(
            f"{title}: {cut} of {len(series)} series were not fetched whole from the Imaging Data Commons: run again, "
            "which resumes where it stopped"
        )


def find_series(
    title: str, wanted: dict[str, str], folder: Path, client: Any = None
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The series of a collection of the Imaging Data Commons, and those that *folder* lacks; says how large they are.

    wanted: the *collection*, and how the ids of its *patients* begin; client: an ``idc_index.IDCClient``, made if none
    is given. A series is whole if its files have the number and the bytes that the collection's index says.

    Raises InputError if idc-index is not installed or the disk has no room for what is missing.
    """
    index = (client or _idc_client(title)).index
    of_patients = index["PatientID"].str.startswith(wanted["patients"])
    series = index[(index["collection_id"] == wanted["collection"]) & of_patients]
    missing = series[~_are_whole(series, folder)]
    whole, needed = (1e6 * table["series_size_MB"].sum() for table in (series, missing))
    log.info(
        "%s: %d series, %s; still to come: %d series, %s", title, len(series), size(whole), len(missing), size(needed)
    )
    try:
        _check_room(needed, folder)
    except Unobtainable as error:
        raise InputError(f"{title}: {error}: make room, or name another folder as downloads in the config") from error
    return series, missing


def _idc_client(title: str) -> Any:
    try:
        return importlib.import_module("idc_index").IDCClient()
    except ModuleNotFoundError as error:
        raise InputError(
            f"{title} is fetched by the package idc-index, which is not installed ({error}): "
            "pip install -r envs/requirements-idc.txt, and run again"
        ) from error


def _are_whole(series: "pd.DataFrame", folder: Path) -> np.ndarray:
    """Which series lie in *folder* with all their files, bool [N]; the index has their sizes, in MB, to the byte."""
    whole = []
    for row in series.itertuples():
        files = folder.joinpath(row.PatientID, row.StudyInstanceUID, row.SeriesInstanceUID).glob("*.dcm")
        sizes = [file.stat().st_size for file in files]
        whole.append(len(sizes) == row.instanceCount and sum(sizes) == round(1e6 * row.series_size_MB))
    return np.array(whole, dtype=bool)
