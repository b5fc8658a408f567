"""Cells, books and a readable ledger in memory, for the tests of what people look at."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from batchrun.base.local_file import LocalFile
from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord
from batchrun.manifest.cells import Cell

PHOTO = LocalFile(
    path=Path("/photos/a.png"), written="photos/a.png", sha256="ab" * 32, size=9, mime="image/png"
)


def cell(key: str = "c1", alias: str = "banana", values: Mapping[str, Any] | None = None) -> Cell:
    given = dict(values or {})
    return Cell(
        key=key,
        model=f"google/{alias}",
        alias=alias,
        input=given,
        replicate=1,
        values=given,
        ordinal=0,
    )


class MemoryLedger:
    """The records and their fold; a record's offset is its place in the list."""

    def __init__(self, records: Iterable[AnyRecord] = ()) -> None:
        self.book = Book()
        self._records = list(records)
        for line, record in enumerate(self._records):
            self.book.add(record, line)

    def read(self, line: int) -> AnyRecord:
        return self._records[line]


def counts(of: Mapping[str, int]) -> dict[str, int]:
    """Return only what is not zero."""
    return {name: number for name, number in of.items() if number}
