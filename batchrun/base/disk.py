"""Where bytes become durable. An argument of the ledger: tests pass a full or a mortal one."""

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from anyio import to_thread

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
