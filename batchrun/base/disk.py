"""Where bytes become durable: the only place that syncs, and that replaces a file durably.

The ledger takes a Disk as an argument: tests pass a full or a mortal one.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Final, Protocol, TypeVar

from anyio import to_thread

from batchrun.errors import FolderError

T = TypeVar("T")

_FULL_SYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)
_NO_FULL_SYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY}  # of file systems without it


class Disk(Protocol):
    async def write(self, fd: int, data: bytes) -> None:
        """Return once all of *data* is appended and durable; raise OSError otherwise."""

    async def read(self, question: Callable[[], T]) -> T:
        """Return what *question* returns, which reads a file that may be long."""


class ThreadedDisk:
    """Writes and reads in a thread: an fsync, or a gigabyte, holds up no task. Needs real time."""

    async def write(self, fd: int, data: bytes) -> None:
        await to_thread.run_sync(write_durably, fd, data)

    async def read(self, question: Callable[[], T]) -> T:
        return await to_thread.run_sync(question)


class InlineDisk:
    """Writes at once. For virtual time, which a thread would let run away."""

    async def write(self, fd: int, data: bytes) -> None:
        write_durably(fd, data)

    async def read(self, question: Callable[[], T]) -> T:
        return question()


def write_durably(fd: int, data: bytes) -> None:
    """Append *data*, and return once it is on the disk."""
    while data:
        data = data[os.write(fd, data) :]
    sync(fd)


def sync(fd: int) -> None:
    """Return once all that was written to *fd* is on the disk."""
    if _FULL_SYNC is not None:  # macOS: its fsync ends in the cache of the drive
        try:
            fcntl.fcntl(fd, _FULL_SYNC)
        except OSError as error:
            if error.errno not in _NO_FULL_SYNC:
                raise
        else:
            return
    os.fsync(fd)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable: a new file is lost without it, whatever was synced."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(fd)
    finally:
        os.close(fd)


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Wait until no other process is inside for the same folder; of no use on some file systems."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # one without locks, such as some of a network
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def publish(part: Path, path: Path) -> None:
    """Give the synced file *part* the name *path*, in place of what is there; durably."""
    part.replace(path)
    sync_folder(path.parent)


def publish_newest(part: Path, path: Path, as_of: int) -> None:
    """Publish *part*, which is of the moment *as_of* (ns), unless *path* is of a later one.

    The published file has *as_of* as its time. A time in the future counts as no later moment: the
    clock that gave it was wrong.
    """
    with suppress(OSError):  # a file system without times: the one of the writing does
        os.utime(part, ns=(as_of, as_of))
    with locked_folder(path.parent):  # no other comes between the look and the rename
        if not _is_between(path, as_of, time.time_ns()):
            part.replace(path)
    sync_folder(path.parent)


def _is_between(path: Path, after: int, until: int) -> bool:
    try:
        return after < path.stat().st_mtime_ns <= until
    except OSError:
        return False


def open_anew(path: Path) -> BinaryIO:
    """Open a new file for writing, in place of what is there.

    A link that was put there beforehand would have us write over the file that it points at.
    """
    path.unlink(missing_ok=True)
    return path.open("x+b")


def atomic_write(path: Path, data: bytes, *, by: str = "", as_of: int | None = None) -> None:
    """Put *data* in place of *path*, durably; FolderError, and the old file, if that fails.

    Writers that no lock keeps apart say who they are *by*: each writes a file of its own first.
    """
    with replacing(path, by=by, as_of=as_of) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, *, by: str = "", as_of: int | None = None) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of *path* once it is whole and on disk.

    With *as_of* it doesn't take the place of one of a later moment (`publish_newest`).
    """
    part = path.with_name(f"{path.name}{by and f'.{by}'}.part")
    try:
        with open_anew(part) as file:
            yield file
            file.flush()
            sync(file.fileno())
        if as_of is None:
            publish(part, path)
        else:
            publish_newest(part, path, as_of)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
