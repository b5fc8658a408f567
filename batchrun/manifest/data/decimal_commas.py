"""Columns of numbers with decimal commas, as a German or French Excel writes them.

They are text: `1,500` is one and a half there, and fifteen hundred elsewhere. It matters where a
value stands alone. Inside text it is spelled as it is written.
"""

import re
from collections.abc import Container, Iterable, Iterator
from typing import Any, Final

from batchrun.errors import Problem
from batchrun.manifest.data.data_file import DataFile

_NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]{3})*(?:,[0-9]+)?")
_THOUSANDS: Final = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")


class DecimalCommas:
    """Looks at rows for *columns* of such numbers and of nothing else."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = tuple(columns)  # that may still be such ones
        self._found: dict[str, tuple[DataFile, int, str]] = {}  # the first field with a comma

    def see(self, data: DataFile, line: int, values: dict[str, Any]) -> None:
        """Take in one row."""
        for name in self._columns:
            text = values.get(name)
            if type(text) is not str or text.isdecimal() or not data.is_csv:
                continue
            if not _NUMBER.fullmatch(text):
                self._columns = tuple(each for each in self._columns if each != name)
            elif "," in text:
                self._found.setdefault(name, (data, line, text))

    def notes(self, wanted: Container[str]) -> Iterator[Problem]:
        """Yield a note for each such column that is *wanted*, at its first field."""
        for name in sorted(self._found.keys() & self._columns):
            if name not in wanted:
                continue
            data, line, text = self._found[name]
            yield data.column(
                line,
                name,
                f"`{text}` has a {_comma(text)}: the column `{name}` is text; for numbers "
                f"write {_plain(text)}, for text `text: [{name}]` says that it is meant",
            )


def _comma(text: str) -> str:
    return "comma" if _THOUSANDS.fullmatch(text) else "decimal comma"


def _plain(text: str) -> str:
    point = text.replace(".", "").replace(",", ".")
    return f"{text.replace(',', '')} or {point}" if _THOUSANDS.fullmatch(text) else point
