"""The lock of a ledger: a flock on the file itself, so it goes with the process whatever ends it.

The file `lock` beside it says who holds it. It is locked, too, as long as the ledger is: others ask
by it whether that process lives. Asking by the ledger's own lock would refuse a call that starts in
that moment.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO, IOBase
from pathlib import Path
from typing import Final

from batchrun.errors import FolderError, LedgerLockedError
from batchrun.ledger.records import timestamp
from batchrun.sweep.location import LEDGER

LOCK: Final = "lock"

PATIENCE: Final = 100
"""Times a hundredth of a second that it is tried to lock that file; without it a call goes on."""

_held: Final[set[IOBase]] = set()
"""The files that this process holds locks on."""


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
    with _not_in_children(file):
        _lock(file.fileno(), folder)
        _check_place(file.fileno(), path)
        with _named(folder):
            yield file


@contextmanager
def _not_in_children(file: IOBase) -> Iterator[None]:
    """Close the file at the end, and at once in a process that a program forks meanwhile.

    A flock is its file's, not its process's. A pool of processes that resizes pictures would hold
    the ledger after the call, and after the death of the program.
    """
    with file:
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def _close_in_child() -> None:
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


def is_held(folder: Path) -> bool:
    """Say whether a process that lives holds the ledger in *folder*."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def call_of(folder: Path) -> str:
    """Return what stands for the call that holds the ledger in *folder*, or was the last to."""
    try:
        return (folder / LOCK).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


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


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Say who holds the ledger, and hold that file, too."""
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": timestamp(datetime.now(UTC)),
    }
    try:
        file = (folder / LOCK).open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise FolderError(f"cannot write {folder / LOCK}: {error.strerror}") from error
    with _not_in_children(file):
        try:
            file.write(json.dumps(holder) + "\n")
        except OSError as error:
            raise FolderError(f"cannot write {folder / LOCK}: {error.strerror}") from error
        _hold(file.fileno())
        yield


def _hold(fd: int) -> None:
    """Lock the file of the holder's name; a process that asks by it lets go at once."""
    for _ in range(PATIENCE):
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_NB | fcntl.LOCK_EX)
            return
        time.sleep(0.01)


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


def holder_of(folder: Path) -> str | None:
    """Return which process holds the ledger in *folder*, None where none is known to.

    The lock itself is left alone: to try it would stop a batchrun that starts at that moment.
    """
    try:
        found = (folder / LEDGER).stat()
    except OSError:
        return None
    pid = _named_pid(folder / LOCK)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    held = _in_table(device, found.st_ino, pid)
    held = _runs(pid) if held is None else held
    return _holder(folder / LOCK) if held else None


def _in_table(device: str, inode: int, pid: int | None) -> bool | None:
    """Say whether the kernel's table of locks has the file; None where there is no table.

    Some file systems have another device there: then the process must be the one that is named.
    """
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    for words in map(str.split, lines):
        holds = "->" not in words and len(words) > 5 and words[5].endswith(f":{inode}")
        if holds and (words[5] == f"{device}:{inode}" or words[4] == str(pid)):
            return True
    return False


def _named_pid(path: Path) -> int | None:
    """Return the process that `lock` names, None where that is one of another machine."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return int(holder["pid"]) if holder["host"] == socket.gethostname() else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _runs(pid: int | None) -> bool:
    """Say whether there is a process *pid*."""
    try:
        os.kill(pid or 0, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid is not None


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"its name is not in {path}"
