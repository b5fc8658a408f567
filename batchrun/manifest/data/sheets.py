"""The data files of one `rows`, end to end: one table, with the columns of all of them.

A column that one file lacks is empty there. A file may be CSV beside others that are JSONL.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.values import spell
from batchrun.errors import ManifestError, Problem
from batchrun.manifest.data.column_types import ColumnTypes
from batchrun.manifest.data.data_file import DataFile, RowOptions
from batchrun.manifest.data.left_out import leaving_out
from batchrun.manifest.data.local_files import LocalDisk, placed
from batchrun.manifest.expressions.expression import Origin

_WILDCARD: Final = re.compile(r"[*?\[]")


class Sheets(Struct, frozen=True):
    """The files in their order; at least one."""

    files: tuple[DataFile, ...]

    @property
    def options(self) -> RowOptions:
        return self.files[0].options

    @property
    def types(self) -> ColumnTypes:
        """The types of the columns of the CSV files, which have them together."""
        return self.files[0].types

    def read_as(self, former: Mapping[str, str]) -> "Sheets":
        """Return the same files with these types of their columns, some of them former ones."""
        types = self.types.read_as(former)
        return Sheets(tuple(replace(data, types=types) for data in self.files))

    @property
    def has_csv(self) -> bool:
        return any(data.is_csv for data in self.files)

    @property
    def written(self) -> str:
        """The files as messages show them."""
        more = len(self.files) - 1
        return self.files[0].written + (f" and {more} more" if more else "")

    @property
    def columns(self) -> Mapping[str, DataFile]:
        """The columns of all files in order, and the first file that has each."""
        found: dict[str, DataFile] = {}
        for data in self.files:
            for name in data.columns:
                found.setdefault(name, data)
        return found

    def scan(self, origin: Origin, problems: list[Problem], notes: list[Problem]) -> bool:
        """Read all of the files; return whether all columns are known."""
        found: list[Problem] = []
        whole = [data.scan(origin, found) for data in self.files]
        empty = [f"{data.written} has no rows" for data in self.files if not data.count]
        if not found:
            none = len(empty) == len(self.files)
            (found if none else notes).extend(map(origin.problem, empty))
        if all(whole):
            found += self._spelled_otherwise()
            notes += filter(None, map(_undivided, self.files))
        problems += found
        return all(whole)

    def rows(self) -> Iterator[tuple[DataFile, int, dict[str, Any]]]:
        """Yield file, line and values of each row; raise as `DataFile.rows` does."""
        for data in self.files:
            for line, values in data.rows():
                yield data, line, values

    def problem(self, column: str, message: str) -> Problem:
        """Return a problem with a column as a whole."""
        data = self.columns[column]
        return data.column(data.columns[column], column, message)

    def _spelled_otherwise(self) -> Iterator[Problem]:
        """Yield each column of a file that an earlier one spells with other capitals."""
        known: dict[str, tuple[str, DataFile]] = {}
        for data in self.files:
            for name, line in data.columns.items():
                first, other = known.setdefault(name.casefold(), (name, data))
                if first != name and other is not data and first not in data.columns:
                    message = f"the column `{name}` is called `{first}` in {other.written}"
                    yield data.column(line, name, message)


def _undivided(data: DataFile) -> Problem | None:
    """Return a note where the only column has a name that looks like several; None where not."""
    name = next(iter(data.columns), "")
    mark = next((mark for mark in ",;|\t" if mark in name), None)
    if mark is None or not data.is_csv or len(data.columns) > 1:
        return None
    word = "tab" if mark == "\t" else f'"{mark}"'
    what = f"the only column is called `{spell(name)}`; {word} separates columns where `rows` has"
    return data.column(data.columns[name], name, f"{what} `delimiter: {word}`")


def sheet_paths(disk: LocalDisk, written: str) -> Sequence[str]:
    """Return the files that *written* names, sorted where it is a pattern; raise ValueError.

    A name with a wildcard in it that is a file's own is that file.
    """
    if not _WILDCARD.search(written) or placed(disk.base, written).is_file():
        return [written]
    found = disk.search(written)
    if not found.files:
        what = f"; {leaving_out(found, written)}" if found.left_out else ""
        raise ValueError(f"no file matches `{written}` in {disk.base}{what}")
    return found.files


def check_rows(sheets: Sheets) -> Iterator[tuple[DataFile, int, dict[str, Any]] | ManifestError]:
    """Yield each row, and the error that ends the reading of a file."""
    for data in sheets.files:
        try:
            for line, values in data.rows():
                yield data, line, values
        except ManifestError as error:
            yield error
