"""The places that values of cells stand in: in the manifest, or in a data file.

A value that is one reference stands where that name's value does. No cell is made.
"""

from collections.abc import Iterable
from pathlib import PurePath

from msgspec import Struct

from batchrun.errors import Problem
from batchrun.manifest.cells import OMIT
from batchrun.manifest.data.table import DataFileOrigin
from batchrun.manifest.expressions.expression import Axis, Single
from batchrun.manifest.expressions.expression import Origin as Place
from batchrun.manifest.grid.dimensions import raws
from batchrun.manifest.grid.expand import layouts
from batchrun.manifest.grid.origin import Origin, origin_of
from batchrun.manifest.manifest import Definition, Manifest, Row, RowOrigin, Table
from batchrun.manifest.yaml.document import ListNode, Node


class Field(Struct, frozen=True):
    """One column of one row."""

    table: Table
    row: RowOrigin
    column: str

    @property
    def data_file(self) -> PurePath | None:
        """The data file that it stands in, None for the manifest."""
        return self.row.data.path if isinstance(self.row, DataFileOrigin) else None

    def problem(self, message: str) -> Problem:
        return self.row.problem(self.column, message) or self.table.problem(self.column, message)


class Header(Struct, frozen=True):
    """One column of all rows."""

    table: Table
    column: str

    def problem(self, message: str) -> Problem:
        return self.table.problem(self.column, message)


class WithRow(Struct, frozen=True):
    """A template in the manifest whose value follows from a row of a data file."""

    node: Place
    row: RowOrigin

    def problem(self, message: str) -> Problem:
        return self.node.problem(f"{message} (row at {self.row})")


class Places:
    """The places of some cells' values, by the cells' ordinals.

    Each data file is read once, up to the last of their rows. Raises ManifestError where one has
    changed.
    """

    def __init__(self, manifest: Manifest, ordinals: Iterable[int]) -> None:
        self._origins = {each: origin_of(manifest, each) for each in ordinals}
        self._rows: dict[tuple[int, int], Row] = {}
        tables: dict[int, tuple[Table, dict[int, None]]] = {}
        for origin in self._origins.values():
            for number, index in origin.rows.items():
                table = origin.grid.tables[number]
                tables.setdefault(id(table), (table, {}))[1][index] = None
        for table, indexes in tables.values():
            self._read(table, indexes)

    def _read(self, table: Table, indexes: dict[int, None]) -> None:
        left = len(indexes)
        for index, row in raws(table, indexes):
            assert isinstance(row, Row)
            self._rows[id(table), index] = row
            left -= 1
            if not left:
                return

    def origin(self, ordinal: int) -> Origin:
        return self._origins[ordinal]

    def of_value(self, ordinal: int, name: str) -> Place | None:
        """Return where the value of a common name stands; None where the cell has no such name."""
        origin = self._origins[ordinal]
        mapping = origin.model.map.get(name)
        return self._found(origin, name) if mapping is None else mapping.node

    def of_name(self, ordinal: int, name: str) -> Place | None:
        """Return where a common name is given at all, None where it is not."""
        origin = self._origins[ordinal]
        if name in origin.model.rename:
            return origin.model.rename[name][1]
        definition = origin.model.inputs.get(name) or origin.grid.names.get(name)
        if definition is not None:
            return definition.node
        tables = (each for each in origin.grid.tables if name in each.columns)
        return next((Header(table, name) for table in tables), None)

    def of_model(self, ordinal: int) -> Place:
        """Return where the model stands, or the `include` that the cell comes from."""
        origin = self._origins[ordinal]
        node = origin.model.node
        return origin.grid.node if origin.grid.inherits or node is None else node

    def _found(self, origin: Origin, name: str, *, below: bool = False) -> Place | None:
        """Follow single references; with *below* the model's own value is not meant."""
        own, common = origin.model.inputs.get(name), origin.grid.names.get(name)
        if own is None or below:
            field = self._field(origin, name, or_else=common)
            if field is not None or common is None:
                return field
            own = common
        if isinstance(own.body, Single) and own.body.reference.attribute is None:
            source = own.body.reference.name
            return self._found(origin, source, below=source == name) or own.node
        node = _node_of(origin, own)
        row = self._row_behind(origin, name)
        return node if row is None else WithRow(node, row)

    def _field(self, origin: Origin, name: str, *, or_else: Definition | None) -> Field | None:
        """Return the row's field of that name; an empty one is filled by *or_else*, if given."""
        for number, table in enumerate(origin.grid.tables):
            if name in table.columns and number in origin.rows:
                row = self._rows[id(table), origin.rows[number]]
                filled = or_else is not None and _is_empty(row, name)
                return None if filled else Field(table, row.place, name)
        return None

    def _row_behind(self, origin: Origin, name: str) -> RowOrigin | None:
        """Return the row of a data file that the value of *name* follows from, None for none."""
        layout = next(each for each in layouts(origin.grid) if each.model is origin.model)
        needed = layout.needs([name])
        for dimension in layout.dimensions:
            kind, number = dimension.dimension_key
            if kind == "table" and not needed.isdisjoint(dimension.targets.values()):
                place = self._rows[id(origin.grid.tables[number]), origin.rows[number]].place
                if isinstance(place, DataFileOrigin):
                    return place
        return None


def _is_empty(row: Row, name: str) -> bool:
    return name not in row.dynamic and row.values.get(name, OMIT) is OMIT


def _node_of(origin: Origin, definition: Definition) -> Node:
    """Return the node of an axis's element, or of the value."""
    body, name = definition.body, definition.name
    if not isinstance(body, Axis):
        node = getattr(body, "node", definition.node)
        return node if isinstance(node, Node) else definition.node
    index = origin.own.get(name, origin.elements.get(name, 0))
    if not isinstance(body.node, ListNode):
        return body.node
    return _element(body, body.node, index)


def _element(axis: Axis, node: ListNode, index: int) -> Node:
    """Return the node of one element: an operator stands for as many as it gives."""
    written = 0
    for segment in axis.segments:
        plain = isinstance(segment, tuple)
        if index < len(segment):
            return node.items[written + index if plain else written]
        index -= len(segment)
        written += len(segment) if plain else 1
    return node
