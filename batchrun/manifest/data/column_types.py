"""The one type of each column of a table's CSV files: numbers, booleans, or text.

A column is of numbers, or of booleans, where every field of it that isn't empty reads as one; else
it is text, all of it, as it stands in the file. So `42` below `a red chair` is the text "42". The
first reading of the files decides. It keeps the first field of each kind, and no more of a column.
The order of the rows makes no difference. `field_types.py` says what one field reads as.

batchrun 0.1 took each field by itself. Its ledgers have the cells that came of that, so that way to
read is kept here, too: `BY_FIELD`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from batchrun.manifest.data.field_types import (
    as_boolean,
    as_number,
    decimals,
    is_boolean,
    is_number,
    is_padded,
)
from batchrun.manifest.yaml.scalars import from_field

BY_FIELD: Final = "field by field"
"""The type of a column whose fields were each taken by itself."""


class ColumnType(StrEnum):
    """What the fields of a column are."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    ColumnType.NUMBER: as_number,
    ColumnType.BOOLEAN: as_boolean,
    BY_FIELD: from_field,
}
"""How the fields of each type are read; those of a text are as they stand."""

_COMMA: Final = re.compile(r"[-+]?[0-9]+,[0-9]+")

_WORDS: Final[Mapping[str, str]] = {
    ColumnType.NUMBER: "a number",
    ColumnType.BOOLEAN: "true or false",
}


def has_comma(text: str) -> bool:
    """Say whether a field is a number with a decimal comma."""
    return _COMMA.fullmatch(text) is not None


class Field(Struct, frozen=True):
    """A field, and the line of the file that its row begins in."""

    written: str  # the file, as messages show it
    line: int
    text: str


class Column(Struct):
    """The first field of each kind in one column; None where the column has none of that kind."""

    not_number: Field | None = None
    not_boolean: Field | None = None
    padded: Field | None = None
    varied: Field | None = None  # with other decimals than the first one with a point
    read_alone: Field | None = None  # a number or boolean where each field is taken by itself
    kept_alone: Field | None = None  # text there
    decimals: int = 0  # of the first field with a point
    has_number: bool = False  # some field is one without being said to be
    reads_number: bool = False  # some field does, were the column said to be of numbers
    reads_boolean: bool = False

    def see(self, text: str, written: str, line: int) -> None:
        """Take in one more field that isn't empty, of the row in that *line*."""
        self.reads_number = self.reads_number or type(as_number(text)) is not str
        self.reads_boolean = self.reads_boolean or type(as_boolean(text)) is not str
        alone = from_field(text)
        self.has_number = self.has_number or is_number(text, alone)
        if isinstance(alone, str):
            if self.kept_alone is None:
                self.kept_alone = Field(written, line, text)
        elif self.read_alone is None:
            self.read_alone = Field(written, line, text)
        if self.not_boolean is None and not is_boolean(text):
            self.not_boolean = Field(written, line, text)
        if self.not_number is None:
            if not is_number(text, alone):
                self.not_number = Field(written, line, text)
            elif "." in text:
                self._see_decimals(text, written, line)

    def _see_decimals(self, text: str, written: str, line: int) -> None:
        number = decimals(text)
        self.decimals = self.decimals or number
        if self.varied is None and number != self.decimals:
            self.varied = Field(written, line, text)
        if self.padded is None and is_padded(text):
            self.padded = Field(written, line, text)

    @property
    def no_number(self) -> Field | None:
        """The field for which the column is not one of numbers."""
        return self.not_number or (self.padded if self.varied else None)

    @property
    def type(self) -> ColumnType:
        """The type of the column, by its fields."""
        if self.not_boolean is None:
            return ColumnType.BOOLEAN
        return ColumnType.NUMBER if self.no_number is None else ColumnType.TEXT

    @property
    def alone(self) -> str:
        """The type that all fields have where each is taken by itself, else `BY_FIELD`."""
        if self.read_alone is None:
            return ColumnType.TEXT
        is_one = self.kept_alone is None and self.type is not ColumnType.TEXT
        return self.type if is_one else BY_FIELD

    def others(self, now: str) -> Sequence[str]:
        """Return the types by which some field would have another value than *now*."""
        reads = {ColumnType.NUMBER: self.reads_number, ColumnType.BOOLEAN: self.reads_boolean}
        found = [self.alone, *(kind for kind in ColumnType if reads.get(kind, True))]
        return [kind for kind in dict.fromkeys(found) if kind != now]


class Said(str):
    """A field of a column whose type the manifest says: no model takes its value as another."""

    __slots__ = ()


class RowValues(dict[str, Any]):
    """The values of a row. *texts* are its fields as they are written.

    Those of a column that the manifest says to be text are left out: such a field may be a path, a
    list or a template. Where the manifest doesn't say a column's type, a model may take its value
    as the text that it was, or its text as what it reads as.
    """

    __slots__ = ("texts",)

    def __init__(self, values: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        super().__init__(values)
        self.texts = texts


class ColumnTypes(Struct):
    """The types of the columns of a table's CSV files.

    *said* are those that the manifest says. The others are known once all files were read.
    *former* are types in place of all these, to see which cells came of them.
    """

    said: Mapping[str, ColumnType] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    _readers: dict[str, Callable[[str], Any]] | None = None

    def learn(
        self, fields: Mapping[str, str], written: str, line: int
    ) -> Iterator[tuple[str, str]]:
        """Take in a row of the first reading; yield each column that it is wrong in, and why."""
        self._readers = None
        for name, text in fields.items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = Column()
            column.see(text, written, line)
            said = self.said.get(name, ColumnType.TEXT)
            if said is not ColumnType.TEXT and isinstance(_READERS[said](text), str):
                comma = "; write its decimals behind a point" if has_comma(text) else ""
                yield name, f"this is not {_WORDS[said]}, as `{said}: [{name}]` says{comma}"

    def of(self, name: str) -> ColumnType | None:
        """Return the type of a column, None where all of its fields are empty."""
        column = self.columns.get(name)
        return None if column is None else self.said.get(name, column.type)

    def read_as(self, former: Mapping[str, str]) -> "ColumnTypes":
        """Return the same types with *former* ones in their place."""
        return ColumnTypes(self.said, former, self.columns)

    def values(self, fields: Mapping[str, str]) -> RowValues:
        """Return the values of a row; a field that isn't of its column's type stays text."""
        if self._readers is None:
            self._readers = dict(self._made())
        readers = self._readers
        values = {
            name: text if (read := readers.get(name)) is None else read(text)
            for name, text in fields.items()
        }
        return RowValues(values, self._texts(fields) if self.said else fields)

    def _texts(self, fields: Mapping[str, str]) -> dict[str, str]:
        said = self.said
        return {
            name: text if name not in said else Said(text)
            for name, text in fields.items()
            if said.get(name) is not ColumnType.TEXT
        }

    def _made(self) -> Iterator[tuple[str, Callable[[str], Any]]]:
        for name in self.columns:
            kind = self.former.get(name) or self.of(name) or ColumnType.TEXT
            if kind in _READERS:
                yield name, _READERS[kind]
