"""Where bytes become durable. An argument of the ledger: tests pass a full or a mortal one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol, TypeVar

from anyio import to_thread

from batchrun.errors import FolderError

T = TypeVar("T")


class Disk(Protocol):
    async def write(self, fd: int, data: bytes) -> None:
        """Return once all of *data* is appended and durable; raise OSError otherwise."""

    async def read(self, question: Callable[[], T]) -> T:
        """Return what *question* returns, which reads a file that may be long."""


class ThreadedDisk:
    """Writes, and reads, in a thread: an fsync, or a gigabyte, holds nobody up. Needs real time."""

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
    while data:
        data = data[os.write(fd, data) :]
    os.fsync(fd)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable: a new file is lost without it, whatever was synced."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: Path, data: bytes) -> None:
    """Put *data* in place of *path*, durably; FolderError, and the old file, if that fails."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of *path* once it is whole and on disk."""
    part = path.with_name(f"{path.name}.part")
    try:
        # A link put there beforehand would have us write over what it points at.
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
