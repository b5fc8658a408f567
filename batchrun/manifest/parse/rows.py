"""`rows` and `zip`: columns that advance together, from the manifest or from a file beside it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from batchrun.base.text import did_you_mean
from batchrun.manifest.data.column_types import ColumnType, ColumnTypes
from batchrun.manifest.data.data_file import DataFile, RowOptions
from batchrun.manifest.data.local_files import placed
from batchrun.manifest.data.table import DataFolder, FileTable
from batchrun.manifest.expressions.compiler import AXES
from batchrun.manifest.expressions.doubts import among_texts
from batchrun.manifest.expressions.expression import Expression
from batchrun.manifest.manifest import FixedTable, ManifestOrigin, Table
from batchrun.manifest.parse.context import ParseContext, items_of
from batchrun.manifest.parse.namespace import keys_of, reserved
from batchrun.manifest.yaml.document import ListNode, MapNode, Node
from batchrun.manifest.yaml.section import Section, plain_value, text_keys, text_of

_ROWS: Final = (
    "`rows` expects a file such as prompts.csv, {file: prompts.csv}, {all: [a.csv, b.csv]}, "
    "or a list such as [{prompt: a red chair}]"
)

_OF_COLUMNS: Final = ("send", "template", "text", "number", "boolean", "files")
"""The keys of `rows` that name columns."""

_TYPED: Final[Mapping[str, ColumnType]] = {
    **dict.fromkeys(("files", "template", "text"), ColumnType.TEXT),
    "number": ColumnType.NUMBER,
    "boolean": ColumnType.BOOLEAN,
}
"""The keys that say the type of a column: a path and a template are texts."""

_NOT_BOTH: Final = {
    "number": ("text", "files", "template"),
    "boolean": ("text", "number", "files", "template"),
}
"""The keys that say another type."""


class DataReader(Struct, frozen=True):
    """Reads `rows` and `zip`: files first, because their columns are names the rest may use."""

    context: ParseContext
    root: Section

    def groups(self, key: str) -> Sequence[Node]:
        """Return the independent axes of `zip` or `rows`: one, or the list under `all`."""
        node = self.root.find(key)
        if isinstance(node, MapNode) and len(node.entries) == 1:
            name, below = node.entries[0]
            if name.text == "all" and isinstance(below, ListNode) and below.items:
                whole = key == "rows" or all(isinstance(item, MapNode) for item in below.items)
                return below.items if whole else (node,)
        return () if node is None else (node,)

    def files(self) -> Iterator[tuple[DataFile | Node, Node]]:
        for node in self.groups("rows"):
            if isinstance(node, ListNode):
                yield node, node
                continue
            section = None
            if isinstance(node, MapNode):
                if "file" not in keys_of(node):
                    self.context.problems.append(node.problem(_ROWS))
                    continue
                section = Section(node, "rows", self.context.problems, self.context.environment)
            written = section.find("file") if section else node
            options = self._row_options(section) if section else RowOptions()
            if (data := self._data_file(written or node, options)) is not None:
                yield data, written or node

    def _row_options(self, section: Section) -> RowOptions:
        names = {key: section.take(key, _names, None) for key in _OF_COLUMNS}
        section.close()
        send = names.pop("send")
        return RowOptions(send=send, **{key: value or frozenset() for key, value in names.items()})

    def _data_file(self, node: Node, options: RowOptions) -> DataFile | None:
        value = plain_value(node)
        try:
            if type(value) is not str or not value:
                raise ValueError(_ROWS)  # noqa: TRY301 one way out
            written = self.context.environment.expand(value)
            if PurePosixPath(written).suffix.lower() not in {".csv", ".jsonl", ".ndjson"}:
                raise ValueError(f"`{written}`: rows come from a .csv or a .jsonl file")  # noqa: TRY301 one way out
            path = placed(self.context.disk.base, written)
        except ValueError as error:
            self.context.problems.append(node.problem(str(error)))
            return None
        shown = str(self.context.path.parent / written)
        self.context.disk.note(path)
        data = DataFile(path, shown, written, options, types=ColumnTypes(_types(options)))
        data.scan(node, self.context.problems)
        return data if data.columns else None

    def tables(self, files: Sequence[tuple[DataFile | Node, Node]]) -> list[tuple[str, Table]]:
        tables: list[tuple[str, Table | None]] = []
        for data, node in files:
            table = (
                self._file_table(data, node) if isinstance(data, DataFile) else self._inline(node)
            )
            tables.append(("rows", table))
        tables += [("zip", self._zip(node)) for node in self.groups("zip")]
        return [(kind, table) for kind, table in tables if table is not None]

    def _file_table(self, data: DataFile, node: Node) -> Table:
        self.context.problems.extend(map(node.problem, _misfits(data)))
        for key in _OF_COLUMNS:
            for name in sorted(getattr(data.options, key) or ()):
                if name not in data.columns:
                    hint = did_you_mean(name, data.columns)
                    self.context.problems.append(
                        node.problem(f"`rows.{key}`: no column `{name}` in {data.written}{hint}")
                    )
        beside = DataFolder(self.context.disk, PurePosixPath(data.relative).parent)
        sent = data.columns if data.options.send is None else data.options.send
        nameless = frozenset(name for name in data.columns if reserved(name) and name not in sent)
        table = FileTable(node, data, self.context.compiler, beside, nameless)
        self.context.problems.extend(table.check())
        return table

    def _inline(self, node: Node) -> Table | None:
        entries: list[dict[str, Expression]] = []
        keys: dict[str, Node] = {}
        places = []
        for item in items_of(node):
            if not isinstance(item, MapNode):
                message = "a row is a mapping of names to values such as {prompt: a red chair}"
                self.context.problems.append(item.problem(message))
                continue
            pairs = list(text_keys(item, self.context.problems))
            entries.append({name: self.context.compiler.value(below) for _, name, below in pairs})
            nodes = {name: below for _, name, below in pairs}
            places.append(ManifestOrigin(f"{self.context.path}:{item.line}", nodes))
            for key, name, _ in pairs:
                keys.setdefault(name, key)
        if not entries:
            self.context.problems.append(node.problem("`rows` needs at least one row"))
            return None
        columns = tuple(keys)
        for name in columns:
            values = [place.nodes[name] for place in places if name in place.nodes]
            self.context.notes.extend(among_texts(values))
        return FixedTable(node, columns, tuple(entries), keys, tuple(places), frozenset(columns))

    def _zip(self, node: Node) -> Table | None:
        if not isinstance(node, MapNode) or not node.entries:
            message = "`zip` expects columns, each a list of values, such as {style: [oil, ink]}"
            self.context.problems.append(node.problem(message))
            return None
        columns = dict(self._columns(node))
        lengths = {name: len(values) for name, (_, values) in columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
            message = f"the columns of a `zip` are of unequal length: {counts}"
            self.context.problems.append(node.problem(message))
            return None
        rows = [
            dict(zip(columns, row, strict=True))
            for row in zip(*(v for _, v in columns.values()), strict=True)
        ]
        keys = {name: key for name, (key, _) in columns.items()}
        if not rows:
            return None  # every column is wrong, and said to be
        at = f"{self.context.path}:{node.line}"
        places = tuple(ManifestOrigin(at, nodes) for nodes in _nodes_of_rows(node, len(rows)))
        return FixedTable(node, tuple(columns), tuple(rows), keys, places, frozenset(columns))

    def _columns(self, node: MapNode) -> Iterator[tuple[str, tuple[Node, list[Expression]]]]:
        for key, name, below in text_keys(node, self.context.problems):
            if isinstance(below, ListNode):
                axis = self.context.compiler.axis(below, {})
                if self.context.compiler.holds(below, axis.segments):
                    yield name, (key, list(axis))
                continue
            hint = ""
            if isinstance(below, MapNode) and next(keys_of(below), "") in AXES:
                hint = "; put this in one"
            message = f"`zip.{name}` expects a list of values such as [oil, ink]{hint}"
            self.context.problems.append(below.problem(message))


def _nodes_of_rows(node: MapNode, rows: int) -> Iterator[dict[str, Node]]:
    """Yield the nodes of each row of a `zip`; where an operator gives several, that of the list."""
    lists = {text_of(key): below for key, below in node.entries}
    for index in range(rows):
        yield {
            name: below.items[index]
            if isinstance(below, ListNode) and len(below.items) == rows
            else below
            for name, below in lists.items()
        }


def _types(options: RowOptions) -> dict[str, ColumnType]:
    """Return the types that the manifest says."""
    return {name: said for key, said in _TYPED.items() for name in getattr(options, key)}


def _misfits(data: DataFile) -> Iterator[str]:
    """Yield each column that is said to be of two types, or of one that its file says itself."""
    for key, others in _NOT_BOTH.items():
        for name in sorted(getattr(data.options, key)):
            for other in others:
                if name in getattr(data.options, other):
                    yield f"`rows.{key}`: `{name}` is also in `{other}`; keep one of them"
            if not data.is_csv:
                yield (
                    f"`rows.{key}`: the values of {data.written} have the types that JSON gives "
                    f"them; take `{name}` out"
                )


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(type(name) is str for name in value):
        raise ValueError("expected a list of column names such as [prompt]")
    return frozenset(value)
