"""Locks between the processes of one user, which the kernel drops when their holder ends, however it ends."""

import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

from mammosynth.errors import MachineError

# What a file system answers that has no locks: Lustre as it is often mounted, some FUSE and NFS ones.
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


class NoLocks(Exception):
    """The file system has no locks; the message is the system's."""


def private_folder() -> Path:
    """A folder of this user alone in the folder for temporary files, where files may be that others must not touch.

    Raises MachineError if it cannot be made, or is a link, another's, or open to others: what it holds may then have
    been put there by anybody.
    """
    try:
        folder = Path(tempfile.gettempdir(), f"mammosynth-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise MachineError(
            f"no folder for locks can be made ({error}): let TMPDIR name a folder of this machine that you can write to"
        ) from error
    faults = {
        "is a link or a file": not stat.S_ISDIR(found.st_mode),
        "belongs to another user": found.st_uid != os.getuid(),
        "is open to others": bool(found.st_mode & 0o077),
    }
    if any(faults.values()):
        what = next(what for what, is_so in faults.items() if is_so)
        raise MachineError(
            f"{folder} {what}, and must be a folder of yours alone: remove it, or let TMPDIR name another folder"
        )
    return folder


def lock(path: Path, wait: bool = False) -> IO[str] | None:
    """The open file *path*, locked as long as it is open and this process lives; None if another process holds it.

    wait: for the other's end, in place of None.

    The file is made if there is none, and its content left as it is; a link in its place is not followed. Raises
    NoLocks where the file system has none, and OSError as the system does.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    file = open(path, "r+", opener=lambda name, _: os.open(name, flags, 0o600), encoding="utf-8")  # noqa: SIM115 (held)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return file
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:
        file.close()
        if error.errno in NO_LOCKS:
            raise NoLocks(error.strerror) from error
        raise
