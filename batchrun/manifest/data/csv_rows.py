"""The lines of a CSV file -> rows of texts. What a column's texts mean is not known here."""

import csv
from collections.abc import Iterable, Iterator

from batchrun.manifest.data.mistake import Mistake, WholeFileError


def csv_rows(
    lines: Iterable[str], columns: dict[str, int]
) -> Iterator[tuple[int, dict[str, str] | Mistake]]:
    """Yield line and non-empty fields of each row, and put the header's names into *columns*.

    Raise WholeFileError where the header is wrong, or a quote is.
    """
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for fields in reader:
            line, start = start, reader.line_num + 1
            if not fields:  # a line with nothing in it, before the header too
                continue
            if header is None:
                header = _header(fields, line)
                columns.update(dict.fromkeys(header, line))
            else:
                yield line, _row(header, fields, line)
    except csv.Error as error:
        raise WholeFileError(Mistake(start, _words(error))) from None
    if header is None:
        message = "the file is empty; expected a line of column names"
        raise WholeFileError(Mistake(1, message, excerpt=False))


def field_span(text: str, index: int) -> tuple[int, int]:
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


def _header(fields: list[str], line: int) -> list[str]:
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
            raise WholeFileError(Mistake(line, wrong, index))
    return fields


def _row(header: list[str], fields: list[str], line: int) -> dict[str, str] | Mistake:
    if len(fields) != len(header):
        found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        return Mistake(line, f"{found}, but the header has {len(header)} columns")
    return {name: value for name, value in zip(header, fields, strict=True) if value}


def _words(error: csv.Error) -> str:
    words = {
        "unexpected end of data": "the quote of a field is not closed",
        "field larger than field limit": "a field is longer than 131072 characters",
        "expected after": "a quote closes in the middle of a field; write two quotes for one",
        "new-line character": "lines end in a bare carriage return; save the file with newlines",
    }
    text = str(error)
    return next((known for part, known in words.items() if part in text), f"not CSV: {text}")
