"""From the bytes of a ledger to its book; and what a crash left at its end.

A commit group is written by one write and made durable by one fsync. A process that dies in
between can leave any part of it, in any order of the disk's blocks; nothing in it was acted upon.
So from a broken line on, the file may be cut if no later line begins another group. Where one does,
the broken line was durable once and something else damaged it: that is not ours to repair.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from batchrun.errors import LedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.records import (
    AnyRecord,
    Extra,
    NewerFormatError,
    Submitted,
    decode,
    starts_group,
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A ledger as it was read: its fold, how many bytes are whole, how many follow them.

    *group* is the number of the last commit group.
    """

    book: Book
    whole: int
    torn: int
    group: int


def replay(lines: Iterable[bytes], *, path: Path) -> Replayed:
    """Fold *lines*, which are those of *path*, from its first byte to its last.

    Raises LedgerError, with line and byte, where a line before the last commit group is broken.
    """
    book = Book()
    whole = group = 0
    remaining = iter(lines)
    for number, line in enumerate(remaining, start=1):
        try:
            record = _read(line)
        except NewerFormatError as error:
            raise LedgerError(f"{path} {error}") from error
        except ValueError as error:
            if starts_group(line, 1):  # glued to it: the newline between them was durable
                raise _broken(path, number, whole, error) from error
            torn = len(line) + _torn(remaining, path, number, whole, error)
            return Replayed(book, whole, torn, group)
        if record is not None:
            _fold(book, record, path, number, whole)
            group = max(group, record.group)
        whole += len(line)
    return Replayed(book, whole, 0, group)


@dataclass(slots=True)
class Salvaged:
    """What could be kept of a ledger. *lost* counts the lines that couldn't."""

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
        if isinstance(record, Submitted | Extra):
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
            return replay(_lines(fd, before.st_size), path=path)
        except LedgerError:
            after = os.fstat(fd)
            if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                raise


def read_book(path: Path) -> Book:
    """Return the book of a ledger that another process may be writing; takes no lock."""
    try:
        with path.open("rb") as file:
            return replay_shared(file.fileno(), path).book
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {path}: {error.strerror}") from error


def _lines(fd: int, size: int) -> Iterator[bytes]:
    """Yield the lines of the first *size* bytes of a file.

    No further: what its writer appends while we read would make an unfinished line, which is only
    the end of what we see, look like a broken one that has others after it.
    """
    offset, rest = 0, b""
    while offset < size and (data := os.pread(fd, min(1 << 20, size - offset), offset)):
        offset += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _read(line: bytes) -> AnyRecord | None:
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    return decode(line)


def _fold(book: Book, record: AnyRecord, path: Path, number: int, byte: int) -> None:
    try:
        book.add(record, byte)
    except ValueError as error:
        raise _broken(path, number, byte, error) from error


def _torn(rest: Iterable[bytes], path: Path, number: int, byte: int, error: ValueError) -> int:
    """Return the length of what follows a broken line; LedgerError if that is another group."""
    length = 0
    for line in rest:
        if starts_group(line):
            raise _broken(path, number, byte, error) from error
        length += len(line)
    return length


def _broken(path: Path, number: int, byte: int, error: ValueError) -> LedgerError:
    return LedgerError(
        f"{path} is broken at line {number}, byte {byte}: {error}; "
        "restore the file from a copy, or rebuild it with `batchrun recover`"
    )
