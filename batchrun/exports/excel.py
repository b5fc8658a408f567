"""A CSV file that Excel opens by a double click.

It begins with the mark by which Excel knows UTF-8, its fields are separated as on the user's
system, and each file has a column of its own. Everything else is as in results.csv, the apostrophe
before a text that would be computed among it.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import Any, Final

from batchrun.base.output_store import OutputStore
from batchrun.exports.survey import Survey
from batchrun.results.result_files import Utf8, field

EXCEL_CSV: Final = "results.excel.csv"
MARK: Final = "\ufeff"
MOST_ROWS: Final = 1_048_576
"""Rows that a sheet of Excel has, that of the names among them."""


def write_excel(
    store: OutputStore, rows: Iterable[Mapping[str, Any]], known: Survey, *, separator: str
) -> None:
    """Write *rows*, row by row."""
    with store.replacing(EXCEL_CSV) as file:
        text = Utf8(file)
        text.write(MARK)
        writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
        writer.writerow(map(field, _headings(known)))
        for row in rows:
            writer.writerow(map(field, _values(row, known)))


def file_columns(known: Survey) -> list[str]:
    """Return the columns that stand for `files`: `file_1`, `file_2`, ..., at least one."""
    taken = set(known.kinds)
    numbers = range(1, max(known.most_files, 1) + 1)
    beginnings = chain(("file_", "files."), (f"files.{number}." for number in count(1)))
    names = ([f"{each}{number}" for number in numbers] for each in beginnings)
    return next(each for each in names if taken.isdisjoint(each))


def _headings(known: Survey) -> Iterator[str]:
    for name in known.kinds:
        if name == "files":
            yield from file_columns(known)
        else:
            yield name


def _values(row: Mapping[str, Any], known: Survey) -> Iterator[Any]:
    for name in known.kinds:
        if name == "files":
            yield from row["files"]
            yield from [None] * (max(known.most_files, 1) - len(row["files"]))
        else:
            yield row.get(name)
