"""From the bytes of a ledger to its book; and what a crash left at its end.

A commit group is written by one write and made durable by one fsync. A process that dies in
between can leave any part of it, in any order of the disk's blocks; nothing in it was acted upon.
So from a broken line on, the file may be cut if no later line begins another group. Where one does,
the broken line was durable once and something else damaged it: that is not ours to repair.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import LedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.records import FORMAT, AnyRecord, Sweep, decode, starts_group


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
        except ValueError as error:
            torn = len(line) + _torn(remaining, path, number, whole, error)
            return Replayed(book, whole, torn, group)
        if record is not None:
            _fold(book, record, path, number, whole)
            group = max(group, record.group)
        whole += len(line)
    return Replayed(book, whole, 0, group)


def read_book(path: Path) -> Book:
    """Return the book of a ledger that another process may be writing; takes no lock."""
    try:
        with path.open("rb") as file:
            return replay(file, path=path).book
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {path}: {error.strerror}") from error


def _read(line: bytes) -> AnyRecord | None:
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    return decode(line)


def _fold(book: Book, record: AnyRecord, path: Path, number: int, byte: int) -> None:
    if isinstance(record, Sweep) and record.format > FORMAT:
        raise LedgerError(
            f"{path} is in format {record.format} of a newer batchrun ({record.version}); "
            f"this one reads formats up to {FORMAT}: install the newer one"
        )
    try:
        book.add(record, byte)
    except ValueError as error:
        raise _broken(path, number, byte, error) from error


def _torn(rest: Iterable[bytes], path: Path, number: int, byte: int, error: ValueError) -> int:
    """Return the length of what follows a broken line; LedgerError if that is another group."""
    length = 0
    for line in rest:
        if line.endswith(b"\n") and starts_group(line):
            raise _broken(path, number, byte, error) from error
        length += len(line)
    return length


def _broken(path: Path, number: int, byte: int, error: ValueError) -> LedgerError:
    return LedgerError(
        f"{path} is broken at line {number}, byte {byte}: {error}; "
        "restore the file from a copy, or move it away and rebuild it with `batchrun recover`"
    )
