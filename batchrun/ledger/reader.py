"""Reading a ledger without holding it: for `status`, for reports, beside a running process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from batchrun.base.regular_file import open_regular
from batchrun.errors import LedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord, Lost, decode
from batchrun.ledger.replay import Replayed, replay_shared

CHUNK: Final = 4096
"""Most lines are shorter, so that one read has them whole."""


class Readable(Protocol):
    """The common part of a Ledger and a Reader: the book, and the records behind it."""

    @property
    def book(self) -> Book: ...

    def read(self, line: int) -> AnyRecord: ...


class Reader:
    """A ledger as it was when it was opened. It takes no lock."""

    def __init__(self, fd: int, path: Path, replayed: Replayed) -> None:
        self.path = path
        self.book = replayed.book
        self.torn = replayed.torn
        self._fd = fd

    def read(self, line: int) -> AnyRecord:
        """Return the record of the line at offset *line*; LedgerError if it is not on disk."""
        return read_line(self._fd, line, self.path)


def lost_files(ledger: Readable, cell: str) -> Iterator[Lost]:
    """Yield the lines of the cell's files that are gone for good, in the order of the output."""
    for _, line in sorted(ledger.book.files.lost.get(cell, {}).items()):
        record = ledger.read(line)
        assert isinstance(record, Lost)
        yield record


@contextmanager
def open_reader(path: Path) -> Iterator[Reader]:
    """Read the ledger at *path* as it is now.

    Raises LedgerError if it cannot be read, or is broken before its last commit group.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {path}: {error.strerror}") from error
    with file:
        try:
            replayed = replay_shared(file.fileno(), path)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {path}: {error.strerror}") from error
        yield Reader(file.fileno(), path, replayed)


def read_line(fd: int, line: int, path: Path) -> AnyRecord:
    """Return the record whose line begins at offset *line* of the open ledger *path*."""
    length = CHUNK
    while b"\n" not in (data := os.pread(fd, length, line)):
        if len(data) < length:
            raise LedgerError(f"the line at byte {line} of {path} is not on disk")
        length *= 8
    record = decode(data[: data.index(b"\n") + 1])
    if record is None:
        raise LedgerError(f"the line at byte {line} of {path} is of an unknown type")
    return record
