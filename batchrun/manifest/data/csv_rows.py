"""The lines of a CSV file -> rows of texts. What a column's texts mean is not known here.

The line of column names decides what separates columns: the one of comma, semicolon and tab that
stands in it outside quotes. Excel's line `sep=;` before it says so, too, and the manifest has the
last word. Where several stand there, none is guessed: `sku;size (w,h)` reads as two columns with
either, and the wrong one would be paid for.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from msgspec import Struct

from batchrun.base.text import number_of
from batchrun.manifest.data.mistake import Mistake, WholeFileError

MOST: Final = 16 * 1024 * 1024
"""Characters of a row, or of one field: what is read at once is held in memory."""

_USUAL: Final = ",;\t"
_SEPARATOR: Final = re.compile(r'(?i)"?sep=([,;|\t])"?[\r\n]*')
_QUOTED: Final = re.compile(r'"[^"]*"')
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_CURLY: Final = re.compile("[\u201c-\u201f\u00ab\u00bb]")

csv.field_size_limit(MOST)  # of the whole process: the module knows none of a reader's own


class Dialect(Struct):
    """What separates the columns of a file; *said* where the manifest says it.

    *usual* is taken where the line of column names has no separator, or this and others.
    """

    said: str | None = None
    usual: str | None = None
    delimiter: str = ","  # once the file was opened


class _Header(Struct, frozen=True):
    """The names of columns; *width* counts also those at the end that have none."""

    names: list[str]
    width: int
    line: int


def csv_rows(
    lines: Iterable[str], columns: dict[str, int], dialect: Dialect
) -> Iterator[tuple[int, dict[str, str] | Mistake]]:
    """Yield line and non-empty fields of each row that has any.

    Put the header's names into *columns*, and what separates them into *dialect*. Raise
    WholeFileError where the header is wrong, or a quote is.
    """
    size = [0]
    rest = _counted(lines, size)
    ahead = _opened(rest, dialect)
    reader = csv.reader(chain(ahead, rest), strict=True, delimiter=dialect.delimiter)
    header: _Header | None = None
    start = 1
    try:
        for fields in reader:
            line, start, size[0] = start, reader.line_num + 1, 0
            if not any(map(str.strip, fields)):  # no row, before the header too
                continue
            if header is None:
                header = _header(fields, line)
                columns.update(dict.fromkeys(header.names, line))
            else:
                yield line, _row(header, fields, line, dialect.delimiter)
    except csv.Error as error:
        raise WholeFileError(Mistake(start, _words(error))) from None
    if header is None:
        message = "the file is empty; expected a line of column names"
        raise WholeFileError(Mistake(1, message, excerpt=False))


def field_place(record: str, index: int, delimiter: str) -> tuple[int, int, int]:
    """Return where field *index* of a record begins: its line, from 0, its place there, its width.

    The width ends with that line. A field that isn't there is the whole of the first line.
    """
    start = 0
    quoted = False
    text = record.rstrip("\r\n")
    for position, character in enumerate(f"{text}{delimiter}"):
        if character == '"':
            quoted = not quoted
        elif character == delimiter and not quoted:
            if not index:
                before = physical_lines(text[:start])
                width = len(physical_lines(text[start:position])[0])
                return len(before) - 1, len(before[-1]), max(1, width)
            index -= 1
            start = position + 1
    return 0, 0, len(physical_lines(text)[0])


def physical_lines(record: str) -> list[str]:
    """Return the lines of a record without their ends; at least one."""
    return _LINE_END.split(record)


def record_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines up to the end of the first record that has any text."""
    some = quoted = False
    for line in lines:
        yield line
        some = some or not line.isspace()
        quoted ^= line.count('"') % 2 == 1
        if some and not quoted:
            break


def _counted(lines: Iterable[str], size: list[int]) -> Iterator[str]:
    """Yield *lines*; count in *size* how many characters the present row has so far."""
    for line in lines:
        size[0] += len(line)
        if size[0] > MOST:
            raise csv.Error("field larger than field limit")
        yield line


def _opened(lines: Iterator[str], dialect: Dialect) -> list[str]:
    """Read the lines up to the column names, and know what separates them."""
    ahead: list[str] = []
    found: str | None = None
    try:
        first = next(lines, "")
        if separator := _SEPARATOR.fullmatch(first):
            found, first = separator[1], "\n"  # it counts as a line
        ahead += record_lines(chain([first] if first else [], lines))
    except csv.Error as error:
        raise WholeFileError(Mistake(1, _words(error), excerpt=False)) from None
    dialect.delimiter = dialect.said or found or _separating(ahead, dialect.usual)
    return ahead


def _separating(ahead: list[str], usual: str | None) -> str:
    outside = _QUOTED.sub("", "".join(ahead))
    found = [each for each in _USUAL if each in outside]
    if len(found) == 1:
        return found[0]
    if not found or usual in found:
        return usual or ","
    words = " and ".join(f"`{each}`" if each != "\t" else "tabs" for each in found)
    message = f'the column names have {words}; say which separates them, such as `delimiter: ";"`'
    raise WholeFileError(Mistake(len(ahead), message))


def _header(fields: list[str], line: int) -> _Header:
    names = list(fields)
    while names and not names[-1].strip():
        names.pop()
    for index, name in enumerate(names):
        wrong = None
        if not name.strip():
            wrong = f"column {index + 1} has no name; give it one, and leave it out of `send`"
        elif name != name.strip():
            wrong = (
                f"the column `{name}` has spaces around its name; take them out, and of its fields"
            )
        elif name in names[:index]:
            wrong = f"two columns are called `{name}`"
        if wrong:
            raise WholeFileError(Mistake(line, wrong, index))
    return _Header(names, len(fields), line)


def _row(header: _Header, fields: list[str], line: int, delimiter: str) -> dict[str, str] | Mistake:
    names = header.names
    clear = len(names) > 1 or len(fields) <= header.width  # else `a chair,` may be meant as text
    if len(fields) >= len(names) and clear and not any(map(str.strip, fields[len(names) :])):
        return {name: value for name, value in zip(names, fields, strict=False) if value}
    if not len(names) <= len(fields) <= header.width:
        count = number_of(len(names), "column")
        if len(names) == 1:  # a title above the header has one
            count = f"1 column, `{names[0]}` in line {header.line}"
        message = f"{number_of(len(fields), 'field')}, but the header has {count}"
        return Mistake(line, message + _hint(header, fields, delimiter))
    index = next(i for i in range(len(names), len(fields)) if fields[i].strip())
    return Mistake(line, f"column {index + 1} has no name in the header", index)


def _hint(header: _Header, fields: list[str], delimiter: str) -> str:
    mark = "tab" if delimiter == "\t" else f"`{delimiter}`"
    if _CURLY.search(delimiter.join(fields)):
        return '; only straight quotes (") keep the parts of a field together'
    if len(fields) < header.width:
        return f"; write a {mark} for each empty field at its end, too"
    title = ", or take out a title above the header" if len(header.names) == 1 else ""
    return f"; put quotes round a field that has a {mark} in it{title}"


def _words(error: csv.Error) -> str:
    words = {
        "unexpected end of data": "the quote of a field is not closed",
        "larger than field limit": f"a row has more than {MOST} characters; is a quote open?",
        "expected after": "a quote closes in the middle of a field; write two quotes for one",
    }
    text = str(error)
    return next((known for part, known in words.items() if part in text), f"not CSV: {text}")
