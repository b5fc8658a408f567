"""A data file beside the manifest: rows of plain values, each with the line it begins in.

A data file is read once when the manifest is loaded, which finds every mistake in it, and again
whenever cells are made, a row at a time: a million rows are never held. A file that changed in
between is an error: its cells would differ from the planned cells.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.regular_file import open_regular
from batchrun.errors import ManifestError, Place, Problem, SourceChangedError
from batchrun.manifest.data.column_types import ColumnTypes
from batchrun.manifest.data.csv_rows import (
    MOST,
    Dialect,
    csv_rows,
    field_place,
    physical_lines,
    record_lines,
)
from batchrun.manifest.data.decoded import decoded
from batchrun.manifest.data.jsonl_rows import jsonl_rows
from batchrun.manifest.data.local_files import opened
from batchrun.manifest.data.mistake import Mistake, WholeFileError
from batchrun.manifest.expressions.expression import Origin
from batchrun.manifest.few import Few
from batchrun.manifest.yaml.document import said, shown

EXCERPT: Final = 1000
"""Lines of a row in which a message looks for a field; a quote may be open to the file's end."""


class RowOptions(Struct, frozen=True):
    """How the columns of a data file are to be taken."""

    text: frozenset[str] = frozenset()
    number: frozenset[str] = frozenset()
    boolean: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    template: frozenset[str] = frozenset()
    lists: Mapping[str, str] = field(default_factory=dict)  # and what separates their values
    delimiter: str | None = None  # of CSV files; None: as each of them says
    send: frozenset[str] | None = None  # None: all of them


class DataFile(Struct):
    """A CSV or JSONL file: a row at a time, each with the line it begins in."""

    path: Path
    written: str  # as messages show it
    relative: str  # to the manifest, as it stands there
    options: RowOptions = field(default_factory=RowOptions)
    count: int = 0
    sha256: str | None = None  # once read; a later reading must come to the same
    sound: bool = False  # known to have no mistake: one that comes up later is a change
    columns: dict[str, int] = field(default_factory=dict)  # and the line that brought each
    types: ColumnTypes = field(default_factory=ColumnTypes)
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def is_csv(self) -> bool:
        """Whether it has columns of texts; the values of a JSONL file have types of their own."""
        return not is_jsonl(self.path)

    def rows(
        self, problems: list[Problem] | None = None, *, learn: bool = False
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield line and values of each row; where the types are still to *learn*, a CSV's texts.

        A wrong row goes to *problems* and is passed over; without them, and where the file as a
        whole is wrong, ManifestError is raised; ValueError where it cannot be opened. Where it was
        right before, any of these is a SourceChangedError.
        """
        try:
            yield from self._rows(problems, learn=learn)
        except (ManifestError, ValueError, OSError) as error:
            gone = self.sha256 is not None and not isinstance(error, ManifestError)
            if self.sound or gone:
                raise SourceChangedError(self.written) from None
            raise

    def _rows(
        self, problems: list[Problem] | None, *, learn: bool
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        digest, few = hashlib.sha256(), None if problems is None else Few(problems)
        with opened(self.path, self.relative) as file:
            try:
                for line, row in self._read(self._lines(file, digest), learn=learn):
                    if isinstance(row, dict):
                        yield line, row
                    elif few is None:
                        raise ManifestError([self.located(row)])
                    else:
                        few.add(partial(self.located, row))
            except WholeFileError as error:
                raise ManifestError([self.located(error.mistake)]) from None
        if self.sha256 not in {None, digest.hexdigest()}:
            raise SourceChangedError(self.written)
        self.sha256 = digest.hexdigest()

    def _read(
        self, lines: Iterable[str], *, learn: bool
    ) -> Iterator[tuple[int, dict[str, Any] | Mistake]]:
        if not self.is_csv:
            yield from jsonl_rows(lines, self.columns)
            return
        for line, row in csv_rows(lines, self.columns, self.dialect):
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

    def scan(self, origin: Origin, problems: list[Problem]) -> bool:
        """Read all of the file: its columns, their types, and what is wrong with it.

        Return whether its columns are all known.
        """
        found: list[Problem] = []
        whole = True
        try:
            self.count = sum(1 for _ in self.rows(found, learn=True))
        except ManifestError as error:
            found += error.problems
            whole = False
        except ValueError as error:
            found.append(origin.problem(str(error)))
            whole = False
        except OSError as error:
            why = f"cannot read `{self.relative}`: {error.strerror}"
            found.append(origin.problem(why))
            whole = False
        problems += found
        self.sound = whole and not found
        if self.is_csv:  # the header says them all
            return bool(self.columns)
        return self.sound

    def located(self, mistake: Mistake) -> Problem:
        """Return *mistake* as a problem with its place; with its line where that can be shown."""
        record = self._record(mistake.line) if mistake.excerpt else None
        if record is None:
            place = Place(self.written, mistake.line, mistake.column or 1)
            return Problem(place, said(mistake.message))
        lines = physical_lines(record)
        line, start, width = 0, 0, len(lines[0])
        if mistake.field is not None and self.is_csv:
            line, start, width = field_place(record, mistake.field, self.dialect.delimiter)
        elif mistake.column is not None:
            start, width = mistake.column - 1, 1
        place = Place(self.written, mistake.line + line, start + 1)
        return Problem(place, said(mistake.message), shown(lines[line]), max(1, width))

    def column(self, line: int, name: str, message: str) -> Problem:
        """Return a problem with the field *name* of the row that begins in *line*."""
        fields = list(self.columns) if self.is_csv else []
        index = fields.index(name) if name in fields else None
        return self.located(Mistake(line, message, index))

    def _lines(self, file: Any, digest: Any) -> Iterator[str]:
        if self.is_csv:
            return decoded(file, digest, newline="", longest=MOST)
        return decoded(file, digest)

    def _record(self, wanted: int) -> str | None:
        """Return the text of the row that begins in a line, None where it can't be had."""
        record, size = [], 0
        try:
            with open_regular(self.path) as file:
                lines = islice(self._lines(file, hashlib.sha256()), wanted - 1, None)
                for line in islice(record_lines(lines), EXCERPT if self.is_csv else 1):
                    record.append(line)
                    size += len(line)
                    if size > MOST:
                        break
        except (OSError, WholeFileError):
            pass
        return "".join(record) or None


def is_jsonl(path: PurePath) -> bool:
    """Say whether a data file has a JSON object in each line; else it is CSV."""
    return path.suffix.lower() in {".jsonl", ".ndjson"}
