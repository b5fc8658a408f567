"""Rows of data files as a table of the grid: lists, templates and local files in its columns."""

from collections.abc import Container, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.local_file import LocalFile
from batchrun.errors import ManifestError, Problem, SourceChangedError
from batchrun.manifest.data.column_types import ColumnTypes, RowValues
from batchrun.manifest.data.data_file import DataFile
from batchrun.manifest.data.decimal_commas import DecimalCommas
from batchrun.manifest.data.sheets import Sheets, check_rows
from batchrun.manifest.expressions.compiler import Compiler
from batchrun.manifest.expressions.expression import (
    Broken,
    Constant,
    Expression,
    Fields,
    FileAt,
    Files,
    Items,
    NoValueError,
    names_alone,
)
from batchrun.manifest.few import Few
from batchrun.manifest.manifest import Row
from batchrun.manifest.yaml.document import Node

_ELSEWHERE: Final = ("http://", "https://", "data:", "runflow://")


class FieldOrigin(Struct, frozen=True):
    """Where a value of a data file stands; found only when a message needs it."""

    data: DataFile
    line: int
    name: str

    def problem(self, message: str) -> Problem:
        return self.data.column(self.line, self.name, message)


class DataFileOrigin(Struct, frozen=True):
    """Where a row of a data file stands."""

    data: DataFile
    line: int

    def __str__(self) -> str:
        return f"{self.data.written}:{self.line}"

    def problem(self, column: str, message: str) -> Problem:
        return self.data.column(self.line, column, message)


class DataFolder(Struct, frozen=True):
    """Local files whose paths are relative to the data file; addresses stay text."""

    files: Files
    folder: PurePosixPath

    def local(self, path: str) -> LocalFile:
        return self.files.local(path if path[:1] in "~/" else str(self.folder / path))


class FileTable(Struct):
    """Data files as a table; rows are made anew each time, and none is kept.

    *nameless* are columns that are not sent and have a word of batchrun's own: `model`, `cell`.
    *alone* are the names that its templates have alone, not inside text.
    """

    node: Node
    data: Sheets
    compiler: Compiler
    files: Files
    nameless: AbstractSet[str] = frozenset()
    count: int = 0
    sound: bool = False  # checked, and without a mistake
    uses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    alone: frozenset[str] = frozenset()
    _commas: DecimalCommas = field(default_factory=lambda: DecimalCommas(()))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.data.columns if name not in self.nameless)

    @property
    def sent(self) -> AbstractSet[str]:
        send = self.data.options.send
        return frozenset(self.data.columns) if send is None else send

    def __len__(self) -> int:
        return self.count

    def problem(self, column: str, message: str) -> Problem:
        return self.data.problem(column, message)

    @property
    def types(self) -> ColumnTypes:
        """The types of its columns; of the values of a JSONL file it knows none."""
        return self.data.types

    def read_as(self, former: Mapping[str, str]) -> "FileTable":
        """Return the same table with these types of its columns, some of them former ones."""
        return replace(self, data=self.data.read_as(former))

    def rows(self) -> Iterator[Row]:
        for data, line, values in self.data.rows():
            try:
                row = self._row(data, line, values)
            except ManifestError:
                if self.sound:
                    raise SourceChangedError(data.written) from None
                raise
            yield row

    def check(self) -> list[Problem]:
        """Read every row once; return what is wrong, and know how many there are."""
        problems: list[Problem] = []
        few = Few(problems)
        uses: dict[str, frozenset[str]] = {}
        options, alone = self.data.options, set[str]()
        commas = DecimalCommas(self.data.columns.keys() - options.text - options.lists.keys())
        self.count = 0
        for found in check_rows(self.data):
            if isinstance(found, ManifestError):
                problems += found.problems
                continue
            self.count += 1
            commas.see(*found)
            try:
                row = self._row(*found)
            except ManifestError as error:
                for problem in error.problems:
                    few.add(problem)
                continue
            for name, expression in row.dynamic.items():
                uses[name] = uses.get(name, frozenset()) | expression.names
                alone |= names_alone(expression)
        self.uses, self.alone = uses, frozenset(alone)
        self.sound = not problems
        self._commas = commas
        return problems

    def with_commas(self, wanted: Container[str]) -> Iterator[Problem]:
        """Yield a note for each of the columns *wanted* whose numbers have decimal commas."""
        return self._commas.notes(wanted)

    def _row(self, data: DataFile, line: int, values: dict[str, Any]) -> Row:
        options = self.data.options
        place = DataFileOrigin(data, line)
        for name, separator in options.lists.items():
            _divide(values, name, separator)
        special = [name for name in values if name in options.template or name in options.files]
        texts = values.texts if isinstance(values, RowValues) else {}
        if not special:
            return Row(values, {}, place, texts)
        dynamic: dict[str, Expression] = {}
        for name in special:
            expression = self._compiled(FieldOrigin(data, line, name), values[name])
            if expression.names:
                dynamic[name] = expression
                continue
            try:
                values[name] = expression.evaluate({})
            except NoValueError as error:
                raise ManifestError([error.problem] if error.problem else []) from None
        return Row({n: v for n, v in values.items() if n not in dynamic}, dynamic, place, texts)

    def _compiled(self, origin: FieldOrigin, value: Any) -> Expression:
        """Compile one field; what is wrong with it is raised with its line."""
        options = self.data.options
        count = len(self.compiler.problems)
        expression = self._value(
            origin, value, origin.name in options.template, origin.name in options.files
        )
        if found := self.compiler.problems[count:]:
            del self.compiler.problems[count:]
            raise ManifestError(found)
        return expression

    def _value(self, origin: FieldOrigin, value: Any, template: bool, file: bool) -> Expression:  # noqa: FBT001 two marks of a column
        if isinstance(value, list):
            return Items(tuple(self._value(origin, item, template, file) for item in value))
        if isinstance(value, dict):
            pairs = ((n, self._value(origin, below, template, file)) for n, below in value.items())
            return Fields(tuple(pairs))
        expression: Expression = Constant(value)
        if type(value) is str and template:
            expression = self.compiler.text(origin, value)
        if not file or isinstance(expression, Broken):
            return expression
        if type(value) is str and value.startswith(_ELSEWHERE):
            return expression
        beside = DataFolder(self.files, PurePosixPath(origin.data.relative).parent)
        return FileAt(expression, origin, beside)


def _divide(values: dict[str, Any], name: str, separator: str) -> None:
    """Make a list of texts of a field; it is left out where there is none."""
    text = values.get(name)
    if type(text) is str:
        values[name] = [part for each in text.split(separator) if (part := each.strip())]
        if not values[name]:
            del values[name]
