"""A data file beside the manifest: rows of plain values, each with the line it begins in.

A data file is read once when the manifest is loaded, which finds every mistake in it, and again
whenever cells are made, a row at a time: a million rows are never held. A file that changed in
between is an error: its cells would differ from the planned cells.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.errors import ManifestError, Place, Problem
from batchrun.manifest.data.column_types import ColumnTypes
from batchrun.manifest.data.csv_rows import csv_rows, field_span
from batchrun.manifest.data.decoded import decoded
from batchrun.manifest.data.jsonl_rows import jsonl_rows
from batchrun.manifest.data.local_files import opened
from batchrun.manifest.data.mistake import Mistake, WholeFileError
from batchrun.manifest.expressions.expression import Origin
from batchrun.manifest.yaml.document import said, shown

AT_ONCE: Final = 20  # problems of one file that are worth reading together


class RowOptions(Struct, frozen=True):
    """How the columns of a data file are to be taken."""

    text: frozenset[str] = frozenset()
    number: frozenset[str] = frozenset()
    boolean: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    template: frozenset[str] = frozenset()
    send: frozenset[str] | None = None  # None: all of them


class DataFile(Struct):
    """A CSV or JSONL file: a row at a time, each with the line it begins in."""

    path: Path
    written: str  # as messages show it
    relative: str  # to the manifest, as it stands there
    options: RowOptions = field(default_factory=RowOptions)
    count: int = 0
    sha256: str | None = None  # once read; a later reading must come to the same
    columns: dict[str, int] = field(default_factory=dict)  # and the line that brought each
    types: ColumnTypes = field(default_factory=ColumnTypes)

    def rows(
        self, problems: list[Problem] | None = None, *, learn: bool = False
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield line and values of each row; where the types are still to *learn*, a CSV's texts.

        A wrong row goes to *problems* and is passed over; without them, and where the file as a
        whole is wrong, ManifestError is raised; ValueError where it cannot be opened.
        """
        digest, more = hashlib.sha256(), 0
        with opened(self.path, self.relative) as file:
            try:
                for line, row in self._read(decoded(file, digest), learn=learn):
                    if isinstance(row, dict):
                        yield line, row
                    elif problems is None:
                        raise ManifestError([self.located(row)])
                    elif len(problems) < AT_ONCE:
                        problems.append(self.located(row))
                    else:
                        more += 1
            except WholeFileError as error:
                raise ManifestError([self.located(error.mistake)]) from None
        if problems and more:
            problems[-1] = replace(problems[-1], more=more)
        if self.sha256 not in {None, digest.hexdigest()}:
            message = "the file has changed since the manifest was read"
            raise ManifestError([self.located(Mistake(1, message, excerpt=False))])
        self.sha256 = digest.hexdigest()

    @property
    def is_csv(self) -> bool:
        """Whether it has columns of texts; the values of a JSONL file have types of their own."""
        return self.path.suffix.lower() not in {".jsonl", ".ndjson"}

    def _read(
        self, lines: Iterable[str], *, learn: bool
    ) -> Iterator[tuple[int, dict[str, Any] | Mistake]]:
        if not self.is_csv:
            yield from jsonl_rows(lines, self.columns)
            return
        for line, row in csv_rows(lines, self.columns):
            if isinstance(row, Mistake):
                yield line, row
            elif learn:
                yield from self._learn(line, row)
            else:
                yield line, self.types.values(row)

    def _learn(
        self, line: int, row: dict[str, str]
    ) -> Iterator[tuple[int, dict[str, Any] | Mistake]]:
        """Learn the types of the columns from a row; yield it, and the mistakes in its fields."""
        for name, message in self.types.learn(row, self.written, line):
            yield line, Mistake(line, message, list(self.columns).index(name))
        yield line, row

    def scan(self, origin: Origin, problems: list[Problem]) -> None:
        """Read all of the file: its columns, their types, and what is wrong with it."""
        try:
            found: list[Problem] = []
            self.count = sum(1 for _ in self.rows(found, learn=True))
            problems += found
            if not self.count and not found:
                problems.append(origin.problem(f"{self.written} has no rows"))
        except ManifestError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(origin.problem(str(error)))

    def located(self, mistake: Mistake) -> Problem:
        """Return *mistake* as a problem with its place; with its line where that can be shown."""
        text = self._line(mistake.line) if mistake.excerpt else None
        if text is None:
            place = Place(self.written, mistake.line, mistake.column or 1)
            return Problem(place, said(mistake.message))
        start, width = 0, len(text)
        if mistake.field is not None:
            start, width = field_span(text, mistake.field)
        elif mistake.column is not None:
            start, width = mistake.column - 1, 1
        place = Place(self.written, mistake.line, start + 1)
        return Problem(place, said(mistake.message), shown(text.rstrip("\r\n")), max(1, width))

    def column(self, line: int, name: str, message: str) -> Problem:
        """Return a problem with the field *name* of the row that begins in *line*."""
        fields = list(self.columns) if self.path.suffix.lower() == ".csv" else []
        index = fields.index(name) if name in fields else None
        return self.located(Mistake(line, message, index))

    def _line(self, wanted: int) -> str | None:
        try:
            with self.path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
                for number_, line in enumerate(file, start=1):
                    if number_ == wanted:
                        return line.rstrip("\r\n")
        except OSError:
            pass
        return None
