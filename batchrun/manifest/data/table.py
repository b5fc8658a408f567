"""Rows of a data file as a table of the grid: templates and local files in its columns."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.local_file import LocalFile
from batchrun.errors import ManifestError, Problem
from batchrun.manifest.data.column_types import ColumnTypes, RowValues
from batchrun.manifest.data.data_file import AT_ONCE, DataFile
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
)
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
    """A data file as a table; rows are made anew each time, and none is kept.

    *nameless* are columns that are not sent and have a word of batchrun's own: `model`, `cell`.
    """

    node: Node
    data: DataFile
    compiler: Compiler
    files: DataFolder
    nameless: AbstractSet[str] = frozenset()
    count: int = 0
    uses: Mapping[str, frozenset[str]] = field(default_factory=dict)

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
        return self.data.column(self.data.columns[column], column, message)

    @property
    def types(self) -> ColumnTypes:
        """The types of its columns; of the values of a JSONL file it knows none."""
        return self.data.types

    def read_as(self, former: Mapping[str, str]) -> "FileTable":
        """Return the same table with these types of its columns, some of them former ones."""
        data = self.data
        return replace(self, data=replace(data, types=data.types.read_as(former)))

    def rows(self) -> Iterator[Row]:
        for line, values in self.data.rows():
            yield self._row(line, values)

    def check(self) -> list[Problem]:
        """Read every row once; return what is wrong, and know how many there are."""
        problems: list[Problem] = []
        more = 0
        uses: dict[str, frozenset[str]] = {}
        self.count = 0
        try:
            for line, values in self.data.rows():
                self.count += 1
                try:
                    row = self._row(line, values)
                except ManifestError as error:
                    if len(problems) < AT_ONCE:
                        problems += error.problems
                    else:
                        more += len(error.problems)
                    continue
                for name, expression in row.dynamic.items():
                    uses[name] = uses.get(name, frozenset()) | expression.names
        except ManifestError as error:
            problems += error.problems
        self.uses = uses
        return [*problems[:-1], replace(problems[-1], more=more)] if more else problems

    def _row(self, line: int, values: dict[str, Any]) -> Row:
        options = self.data.options
        place = DataFileOrigin(self.data, line)
        special = [name for name in values if name in options.template or name in options.files]
        texts = values.texts if isinstance(values, RowValues) else {}
        if not special:
            return Row(values, {}, place, texts)
        dynamic: dict[str, Expression] = {}
        for name in special:
            expression = self._compiled(FieldOrigin(self.data, line, name), values[name])
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
        return FileAt(expression, origin, self.files)
