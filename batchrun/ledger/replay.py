"""From the bytes of a ledger to its book; and what a crash left at its end.

A commit group is written by one write and made durable by one fsync. A process that dies in
between can leave any part of it, in any order of the disk's blocks; nothing in it was acted upon.
So from a broken line on, the file may be cut if no later line begins another group. Where one does,
the broken line was durable once and something else damaged it: that is not ours to repair.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct, field

from batchrun.errors import LedgerError, LostLedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.records import (
    AnyRecord,
    Extra,
    NewerFormatError,
    Reused,
    Submitted,
    decode,
    decode_headers,
    starts_group,
)

BATCH: Final = 1000
"""Lines that are read together."""


class Replayed(Struct, frozen=True):
    """A ledger as it was read: its fold, how many bytes are whole, how many follow them.

    *group* is the number of the last commit group.
    """

    book: Book
    whole: int
    torn: int
    group: int


def replay(lines: Iterable[bytes], *, path: Path) -> Replayed:
    """Fold *lines*, all lines of *path*.

    Raises LedgerError, with line and byte, where a line before the last commit group is broken.
    """
    reading = Reading(path)
    remaining = iter(lines)
    while batch := list(islice(remaining, BATCH)):
        records = decode_headers(batch)
        if records is not None:
            reading.fold(batch, records)
        elif torn := reading.fold_carefully(batch, remaining):
            return reading.result(torn)
    return reading.result(0)


class Reading:
    """How far a ledger has been read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book = Book()
        self._whole = self._group = self._number = 0

    def result(self, torn: int) -> Replayed:
        return Replayed(self._book, self._whole, torn, self._group)

    def fold(self, lines: Sequence[bytes], records: Iterable[AnyRecord | None]) -> None:
        """Fold the *records* of so many *lines*; None is one of a later version."""
        book, adds, whole, group = self._book, self._book.adds, self._whole, self._group
        for line, record in zip(lines, records, strict=True):
            if record is not None:
                try:
                    adds[type(record)](book, record, whole)
                except ValueError as error:
                    begins = list(accumulate(map(len, lines), initial=self._whole))
                    number = self._number + begins.index(whole) + 1
                    raise _broken(self._path, number, whole, error) from error
                group = record.group or group
            whole += len(line)
        self._whole, self._group = whole, group
        self._number += len(lines)

    def fold_carefully(self, lines: Iterable[bytes], remaining: Iterator[bytes]) -> int:
        """Fold *lines* one by one; return the bytes from the first broken one on, or 0."""
        lines = iter(lines)
        for line in lines:
            try:
                record = _read(line)
            except NewerFormatError as error:
                raise LedgerError(f"{self._path} {error}") from error
            except ValueError as error:
                broken = _broken(self._path, self._number + 1, self._whole, error)
                if starts_group(line, 1):  # glued to it: the newline between them was durable
                    raise broken from error
                return len(line) + _torn(chain(lines, remaining), broken)
            self.fold([line], [record])
        return 0


class Salvaged(Struct):
    """The part of a ledger that could be kept. *lost* counts the other lines."""

    book: Book = field(default_factory=Book)
    group: int = 0
    lost: int = 0
    runs: set[str] = field(default_factory=set)


def salvage(lines: Iterable[bytes], new: BinaryIO, path: Path) -> Salvaged:
    """Write to *new* each line of a ledger that is whole and can follow those before it.

    Raises LedgerError for a newer format: what it says is not ours to judge.
    """
    kept = Salvaged()
    for line in lines:
        try:
            record = _read(line)
            if record is not None:
                kept.book.add(record, new.tell())
        except NewerFormatError as error:
            raise LedgerError(f"{path} {error}") from error
        except ValueError:
            kept.lost += 1
            continue
        new.write(line)
        if record is not None:
            kept.group = max(kept.group, record.group)
        if isinstance(record, Submitted | Extra | Reused):
            kept.runs.add(record.run_id)
    return kept


def replay_shared(fd: int, path: Path) -> Replayed:
    """Fold what is now in the open file *fd*, which another process may be writing.

    A writer that starts meanwhile may cut a torn tail and write over it; what was read then is half
    the one and half the other. So a ledger that looks broken is read again if it has changed.
    """
    while True:
        before = os.fstat(fd)
        try:
            return replay(lines_between(fd, 0, before.st_size), path=path)
        except LedgerError:
            after = os.fstat(fd)
            if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                raise


def lines_between(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two offsets of a file.

    No further: what its writer appends while we read would make an unfinished line, which is only
    the end of what we see, look like a broken one that has others after it.
    """
    offset, rest = start, b""
    while offset < end and (data := os.pread(fd, min(1 << 20, end - offset), offset)):
        offset += len(data)
        lines = BytesIO(rest + data).readlines()
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
    if rest:
        yield rest


def _read(line: bytes) -> AnyRecord | None:
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    return decode(line)


def _torn(rest: Iterable[bytes], broken: LedgerError) -> int:
    """Return the length of what follows a broken line; LedgerError if that is another group."""
    length = 0
    for line in rest:
        if starts_group(line):
            raise broken
        length += len(line)
    return length


def _broken(path: Path, number: int, byte: int, error: ValueError) -> LedgerError:
    return LostLedgerError(f"{path} is broken at line {number}, byte {byte}: {error}")
