"""Outputs that the ledger has as saved and that are gone, or empty: they are owed again.

A file is deleted by hand, or a copy of the folder lacks it. Its run is paid and known, so its cell
counts as unsaved from then on, and a call fetches the file anew. A file that was changed is its
user's: it stays.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from batchrun.base.output_store import on_disk
from batchrun.ledger.book import Book
from batchrun.ledger.records import Reused, Saved, decode

_SAVED = (b'{"type":"saved"', b'{"type":"reused"')


def forget_missing(book: Book, ledger: Path) -> None:
    """Take each cell of *book* for unsaved of whose files one is missing beside the *ledger*."""
    for record, line in _newest(book, ledger):
        if gone(record, ledger.parent):
            book.miss(record.cell, line)


def gone(record: Saved | Reused, folder: Path) -> list[str]:
    """Return the files of a `saved` or `reused` line that are no longer in *folder*."""
    return [file.path for file in record.files if file.bytes and not is_there(folder, file.path)]


def saved_files(book: Book, ledger: Path) -> list[str]:
    """Return the files of all cells that are saved, relative to the *ledger*'s folder."""
    files = (file for record, _ in _newest(book, ledger) for file in record.files)
    return [file.path for file in files if file.bytes]


def is_there(folder: Path, path: str) -> bool:
    """Say whether a file is there and has anything in it."""
    try:
        return os.stat(f"{folder}/{on_disk(path)}").st_size > 0  # noqa: PTH116  (a million of them)
    except OSError:
        return False


def _newest(book: Book, ledger: Path) -> Iterator[tuple[Saved | Reused, int]]:
    """Yield the line of each cell that is saved, and where it stands."""
    at = 0
    with ledger.open("rb") as lines:
        for line in lines:
            if line.startswith(_SAVED) and line.endswith(b"\n"):
                record = decode(line)
                if isinstance(record, Saved | Reused) and _is_newest(book, record, at):
                    yield record, at
            at += len(line)


def _is_newest(book: Book, record: Saved | Reused, at: int) -> bool:
    return book.history(record.cell).saved_line == at
