"""`rows` and `zip`: columns that advance together, from the manifest or from a file beside it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from batchrun.base.text import did_you_mean, listed
from batchrun.manifest.data.column_types import ColumnTypes
from batchrun.manifest.data.csv_rows import Dialect
from batchrun.manifest.data.data_file import DataFile, RowOptions
from batchrun.manifest.data.decoded import SAVE_AS
from batchrun.manifest.data.local_files import placed
from batchrun.manifest.data.sheets import Sheets, sheet_paths
from batchrun.manifest.data.table import FileTable
from batchrun.manifest.expressions.compiler import AXES
from batchrun.manifest.expressions.doubts import among_texts
from batchrun.manifest.expressions.expression import Expression
from batchrun.manifest.manifest import FixedTable, ManifestOrigin, Table
from batchrun.manifest.parse.context import ParseContext, items_of
from batchrun.manifest.parse.namespace import keys_of, reserved
from batchrun.manifest.parse.row_options import OF_COLUMNS, misfits, row_options, types_of
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import Section, plain_value, text_keys, text_of

_ROWS: Final = (
    "`rows` expects a file such as prompts.csv, {file: prompts.csv}, {file: [jan.csv, feb.csv]}, "
    "{all: [a.csv, b.csv]}, or a list such as [{prompt: a red chair}]"
)


_DATA: Final = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_WORKBOOKS: Final = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")


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

    def files(self) -> list[tuple[Sheets | Node, Node] | None]:
        """Return the tables that rows come from; None for one whose columns aren't known.

        They are read first, because their columns are names that the rest may use.
        """
        return [self._source(node) for node in self.groups("rows")]

    def _source(self, node: Node) -> tuple[Sheets | Node, Node] | None:
        """Return where rows come from, and the node that says so; None where it can't be had."""
        if isinstance(node, ListNode) and not _is_of_files(node):
            return node, node
        section = None
        if isinstance(node, MapNode) and "file" in keys_of(node):
            section = Section(node, "rows", self.context.problems, self.context.environment)
        elif not isinstance(node, ScalarNode):
            self.context.problems.append(node.problem(_ROWS))
            return None
        written = section.find("file") if section else node
        assert written is not None
        options = row_options(section) if section else RowOptions()
        sheets = self._sheets(written, options)
        return None if sheets is None else (sheets, written)

    def _sheets(self, node: Node, options: RowOptions) -> Sheets | None:
        """Return the data files that *node* names, read; None where their columns aren't known."""
        types = ColumnTypes(types_of(options))
        files: list[DataFile] = []
        count = len(self.context.problems)
        for item in node.items if isinstance(node, ListNode) else (node,):
            try:
                files += self._data_files(item, options, types)
            except ValueError as error:
                self.context.problems.append(item.problem(str(error)))
        if not files and len(self.context.problems) == count:  # of an empty list
            self.context.problems.append(node.problem(_ROWS))
        if len(self.context.problems) > count:
            return None
        sheets = Sheets(tuple(files))
        known = sheets.scan(node, self.context.problems, self.context.notes)
        for data in files:
            self.context.disk.note_read_again(data.path, data.written, data.sha256)
        return sheets if known else None

    def _data_files(
        self, node: Node, options: RowOptions, types: ColumnTypes
    ) -> Iterator[DataFile]:
        value = plain_value(node)
        if type(value) is not str or not value:
            raise ValueError(_ROWS)
        disk, named = self.context.disk, self.context.environment.expand(value)
        paths = sheet_paths(disk, named)
        self.context.compiler.globs.append((node, named))
        for written in paths:
            suffix = PurePosixPath(written).suffix.lower()
            if wrong := _not_rows(suffix):
                raise ValueError(f"`{written}`: {wrong}")
            path = placed(disk.base, written)
            shown = str(self.context.path.parent / written)
            disk.note(path)
            dialect = Dialect(options.delimiter, "\t" if suffix == ".tsv" else None)
            yield DataFile(path, shown, written, options, types=types, dialect=dialect)

    def tables(self, files: Sequence[tuple[Sheets | Node, Node] | None]) -> list[tuple[str, Table]]:
        tables: list[tuple[str, Table | None]] = []
        for data, node in filter(None, files):
            table = self._file_table(data, node) if isinstance(data, Sheets) else self._inline(node)
            tables.append(("rows", table))
        tables += [("zip", self._zip(node)) for node in self.groups("zip")]
        return [(kind, table) for kind, table in tables if table is not None]

    def _file_table(self, data: Sheets, node: Node) -> Table:
        columns = data.columns
        self.context.problems.extend(map(node.problem, misfits(data)))
        for key in (*OF_COLUMNS, "lists"):
            for name in sorted(getattr(data.options, key) or ()):
                if name not in columns:
                    hint = did_you_mean(name, columns)
                    self.context.problems.append(
                        node.problem(f"`rows.{key}`: no column `{name}` in {data.written}{hint}")
                    )
        if data.options.delimiter and not data.has_csv:
            message = (
                f"`rows.delimiter`: {data.written} is JSONL, in which nothing separates columns"
            )
            self.context.problems.append(node.problem(message))
        sent = columns if data.options.send is None else data.options.send
        nameless = frozenset(name for name in columns if reserved(name) and name not in sent)
        table = FileTable(node, data, self.context.compiler, self.context.disk, nameless)
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
            of_length = Counter(lengths.values())
            by_rarity = sorted(lengths.items(), key=lambda each: of_length[each[1]])
            counts = listed(f"{name} {count}" for name, count in by_rarity)
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


def _is_of_files(node: ListNode) -> bool:
    """Say whether a list is one of files, which stands under `file`, and not one of rows."""
    values = [item.value for item in node.items if isinstance(item, ScalarNode)]
    texts = [value for value in values if isinstance(value, str)]
    return len(texts) == len(node.items) > 0 and all(
        PurePosixPath(text).suffix.lower() in _DATA for text in texts
    )


def _not_rows(suffix: str) -> str:
    """Return what is wrong with a file of such a name, "" where nothing is."""
    if suffix in _WORKBOOKS:
        return f"a workbook is not read; {SAVE_AS} (one sheet a file), and name that"
    return "" if suffix in _DATA else "rows come from a .csv, .tsv, .txt or .jsonl file"
