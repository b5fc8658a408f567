"""CSV and JSONL: rows of plain values, each with the line it begins in.

A data file is read once when the manifest is loaded, which finds every mistake in it, and again
whenever cells are made, a row at a time: a million rows are never held. A file that changed in
between is an error: its cells would differ from the planned cells.
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from batchrun.errors import ManifestError, Place, Problem
from batchrun.manifest.data.local_files import opened
from batchrun.manifest.expressions.expression import Origin
from batchrun.manifest.yaml.document import said, shown
from batchrun.manifest.yaml.scalars import from_field, normal, number

AT_ONCE: Final = 20  # problems of one file that are worth reading together


class RowOptions(Struct, frozen=True):
    """How the columns of a data file are to be taken."""

    text: frozenset[str] = frozenset()
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

    def rows(self, problems: list[Problem] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield line and values of each row.

        A wrong row goes to *problems* and is passed over; without them, and where the file as a
        whole is wrong, ManifestError is raised; ValueError where it cannot be opened.
        """
        digest = hashlib.sha256()
        read = self._jsonl if self.path.suffix.lower() in {".jsonl", ".ndjson"} else self._csv
        with opened(self.path, self.relative) as file:
            for line, row in read(_Decoded(file, digest, self)):
                if isinstance(row, dict):
                    yield line, row
                elif problems is None:
                    raise ManifestError([row])
                elif len(problems) < AT_ONCE:
                    problems.append(row)
        if self.sha256 not in {None, digest.hexdigest()}:
            message = "the file has changed since the manifest was read"
            raise ManifestError([self.problem(1, message, excerpt=False)])
        self.sha256 = digest.hexdigest()

    def scan(self, origin: Origin, problems: list[Problem]) -> None:
        """Read all of the file, so that its columns are known, and what is wrong with it."""
        try:
            found: list[Problem] = []
            self.count = sum(1 for _ in self.rows(found))
            problems += found
            if not self.count and not found:
                problems.append(origin.problem(f"{self.written} has no rows"))
        except ManifestError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(origin.problem(str(error)))

    def _csv(self, lines: "_Decoded") -> Iterator[tuple[int, dict[str, Any] | Problem]]:
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        start = 1
        try:
            for fields in reader:
                line, start = start, reader.line_num + 1
                if not fields:  # a line with nothing in it, before the header too
                    continue
                if header is None:
                    header = self._header(fields, line)
                else:
                    yield line, self._fields(header, fields, line)
        except csv.Error as error:
            raise ManifestError([self.problem(start, _csv_words(error))]) from None
        if header is None:
            message = "the file is empty; expected a line of column names"
            raise ManifestError([self.problem(1, message, excerpt=False)])

    def _header(self, fields: list[str], line: int) -> list[str]:
        for index, name in enumerate(fields):
            wrong = None
            if not name:
                wrong = f"column {index + 1} has no name"
            elif name != name.strip():
                wrong = f"the column `{name}` has spaces around its name"
            elif name in fields[:index]:
                wrong = f"two columns are called `{name}`"
            elif len(fields) == 1 and (";" in name or "\t" in name):
                wrong = "the columns are not separated by commas"
            if wrong:
                raise ManifestError([self.problem(line, wrong, index)])
        self.columns.update(dict.fromkeys(fields, line))
        return fields

    def _fields(self, header: list[str], fields: list[str], line: int) -> dict[str, Any] | Problem:
        if len(fields) != len(header):
            found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            return self.problem(line, f"{found}, but the header has {len(header)} columns")
        text = self.options.text
        return {
            name: value if name in text else from_field(value)
            for name, value in zip(header, fields, strict=True)
            if value
        }

    def _jsonl(self, lines: "_Decoded") -> Iterator[tuple[int, dict[str, Any] | Problem]]:
        decode = json.JSONDecoder(
            parse_float=number, parse_int=number, parse_constant=_no_constant,
            object_pairs_hook=_unique,
        ).decode  # fmt: skip
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                value = decode(text)
                if not isinstance(value, dict):
                    raise ValueError("expected an object such as {…} on each line")  # noqa: TRY301, TRY004 one way out
                json.dumps(value, ensure_ascii=False).encode()
                for name in value:
                    self.columns.setdefault(name, line)
                yield line, normal(value)
            except json.JSONDecodeError as error:
                message = f"this is not JSON: {error.msg}"
                yield line, self._at(line, error.colno, message, text)
            except UnicodeEncodeError:
                message = "half of a surrogate pair is not text"
                yield line, self._at(line, 1, message, text)
            except (ValueError, RecursionError) as error:
                message = "nested too deep" if isinstance(error, RecursionError) else str(error)
                yield line, self._at(line, 1, message, text)

    def problem(
        self, line: int, message: str, index: int | None = None, *, excerpt: bool = True
    ) -> Problem:
        """Return a problem in *line*; its caret under field *index* where that can be found."""
        text = self._line(line) if excerpt else None
        if text is None:
            return Problem(Place(self.written, line, 1), said(message))
        if index is None:
            return self._at(line, 1, message, text, len(text))
        start, width = _field_span(text, index)
        return self._at(line, start + 1, message, text, width)

    def column(self, line: int, name: str, message: str) -> Problem:
        """Return a problem with the field *name* of the row that begins in *line*."""
        fields = list(self.columns) if self.path.suffix.lower() == ".csv" else []
        return self.problem(line, message, fields.index(name) if name in fields else None)

    def _at(self, line: int, column: int, message: str, text: str, width: int = 1) -> Problem:
        excerpt = shown(text.rstrip("\r\n"))
        return Problem(Place(self.written, line, column), said(message), excerpt, max(1, width))

    def _line(self, wanted: int) -> str | None:
        try:
            with self.path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
                for number_, line in enumerate(file, start=1):
                    if number_ == wanted:
                        return line.rstrip("\r\n")
        except OSError:
            pass
        return None


class _Decoded:
    """The decoded lines of an open file; what was read goes into a digest."""

    def __init__(self, file: Any, digest: Any, data: DataFile) -> None:
        self._file = file
        self._digest = digest
        self._data = data

    def __iter__(self) -> Iterator[str]:
        for count, line in enumerate(self._file, start=1):
            self._digest.update(line)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                message = f"byte 0x{line[error.start]:02x} is not UTF-8; save the file as UTF-8"
                place = Place(self._data.written, count, error.start + 1)
                raise ManifestError([Problem(place, message)]) from None
            yield text.removeprefix("\ufeff") if count == 1 else text


def _csv_words(error: csv.Error) -> str:
    words = {
        "unexpected end of data": "the quote of a field is not closed",
        "field larger than field limit": "a field is longer than 131072 characters",
        "expected after": "a quote closes in the middle of a field; write two quotes for one",
        "new-line character": "lines end in a bare carriage return; save the file with newlines",
    }
    text = str(error)
    return next((known for part, known in words.items() if part in text), f"not CSV: {text}")


def _field_span(text: str, index: int) -> tuple[int, int]:
    """Return where field *index* of a one-line CSV record begins, and its width."""
    start = 0
    quoted = False
    for position, character in enumerate(f"{text},"):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            if not index:
                return start, max(1, position - start)
            index -= 1
            start = position + 1
    return 0, len(text)


def _no_constant(text: str) -> Any:
    raise ValueError(f"`{text}` is not a number that can be sent")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice}` is given twice")
    return value
