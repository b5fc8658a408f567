"""The lock of a ledger: a flock on the file itself, so it goes with the process whatever ends it.

The file `lock` beside it only says who holds it.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

from batchrun.errors import FolderError, LedgerLockedError
from batchrun.ledger.records import timestamp
from batchrun.sweep.location import LEDGER

LOCK: Final = "lock"


@contextmanager
def locked(folder: Path, *, make: bool = True) -> Iterator[FileIO]:
    """Hold the file of the ledger in *folder* under its lock.

    Where there is none it is made, or FolderError is raised if it shall not be.
    """
    path = folder / LEDGER
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if make else 0)
        file = FileIO(os.open(path, flags, 0o666), "a+b")
    except OSError as error:
        raise FolderError(f"cannot use the output folder {folder}: {error.strerror}") from error
    with file:
        _lock(file.fileno(), folder)
        _check_place(file.fileno(), path)
        yield file


def _lock(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LedgerLockedError(
            f"another batchrun holds the ledger in {folder}: {_holder(folder / LOCK)}; "
            "wait for it, or stop it"
        ) from None
    except OSError as error:
        raise FolderError(
            f"cannot lock the ledger in {folder}: {error.strerror}; "
            "batchrun needs a file system with flock"
        ) from error
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": timestamp(datetime.now(UTC)),
    }
    try:
        (folder / LOCK).write_text(json.dumps(holder) + "\n", encoding="utf-8")
    except OSError as error:
        raise FolderError(f"cannot write {folder / LOCK}: {error.strerror}") from error


def _check_place(fd: int, path: Path) -> None:
    """Make sure that the locked file is the file that bears the name.

    Moved away or deleted between the opening and the lock, it would be held by us while another
    process makes and holds a new one.
    """
    try:
        same = os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        same = False
    if not same:
        raise FolderError(f"the ledger {path} was moved or replaced meanwhile; start again")


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"its name is not in {path}"
