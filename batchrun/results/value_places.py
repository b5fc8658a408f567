"""Where a value of a cell stands: a line of the manifest, or of a data file."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from batchrun.errors import ManifestError
from batchrun.manifest.cells import OMIT, Cell
from batchrun.manifest.expressions.expression import Axis
from batchrun.manifest.grid.expand import Shape, expand, layouts
from batchrun.manifest.grid.origin import Origin, origin_of, row_of
from batchrun.manifest.manifest import Definition, Manifest, ManifestOrigin, Row
from batchrun.manifest.yaml.document import ListNode
from batchrun.results.value_changes import Template, digest
from batchrun.sweep.location import folder_of


class Source(Struct, frozen=True, kw_only=True):
    """Where a value comes from.

    *kind* is `input`, `var`, `axis`, `row` or `model`, which is a model's own input; *place* is a
    line of the manifest or of a data file. *element* is the place in an axis, from 1, of so many in
    *all*; *include* is the number of the `include` entry, from 1.
    """

    kind: str
    place: str
    element: int | None = None
    all: int | None = None
    include: int | None = None

    def __str__(self) -> str:
        parts = [self.place]
        if self.kind == "model":
            parts.append("the model's own")
        if self.element is not None:
            parts.append(f"value {self.element} of {self.all}")
        if self.include is not None:
            parts.append(f"include {self.include}")
        return ", ".join(parts)


class Sourced(Struct, frozen=True, kw_only=True):
    """Where an input comes from, and where the values are *from* that its text refers to."""

    source: Source
    follows: Mapping[str, Source]

    def __str__(self) -> str:
        others = "; ".join(f"{name}: {source}" for name, source in self.follows.items())
        return f"{self.source}; {others}" if others else str(self.source)


def sources_of(manifest: Manifest, cell: Cell) -> dict[str, Sourced]:
    """Return where each input of *cell* comes from, by the names under which they are sent."""
    origin = origin_of(manifest, cell.ordinal)
    layout = next(each for each in layouts(origin.grid) if each.model.alias == cell.alias)
    found = {}
    for name, target, _ in Shape(layout).sent:
        source = source_of(manifest, origin, name)
        if target in cell.input and source is not None:
            needed = sorted(n for n in layout.needs([name]) - {name} if not n.startswith("\0"))
            others = ((each, source_of(manifest, origin, each)) for each in needed)
            follows = {each: other for each, other in others if other is not None}
            found[target] = Sourced(source=source, follows=follows)
    return found


def source_of(manifest: Manifest, origin: Origin, name: str) -> Source | None:
    """Return where the value of *name* stands for a cell of that origin, None where none does."""
    include = None if origin.include is None else origin.include + 1
    own = origin.model.inputs.get(name)
    if own is not None:
        return _defined(own, origin.own.get(name, origin.elements.get(name)), "model", include)
    for row, number, of in _rows(origin, name):
        if isinstance(row.place, ManifestOrigin):
            place = f"line {str(row.place).rpartition(':')[2]}"
            return Source(kind="row", place=place, element=number, all=of, include=include)
        place = str(row.place).removeprefix(f"{folder_of(manifest.path)}/")
        return Source(kind="row", place=place, include=include)
    definition = origin.grid.names.get(name)
    if definition is None:
        return None
    kind = "input" if definition.sent else "var"
    return _defined(definition, origin.elements.get(name), kind, include)


def _defined(definition: Definition, index: int | None, kind: str, include: int | None) -> Source:
    node, body = getattr(definition.body, "node", definition.node), definition.body
    if isinstance(node, ListNode) and index is not None and len(node.items) > index:
        node = node.items[index]
    axis = isinstance(body, Axis) and index is not None
    return Source(
        kind="axis" if axis and kind != "model" else kind,
        place=f"line {node.line}",
        element=index + 1 if axis and index is not None else None,
        all=len(body) if isinstance(body, Axis) and axis else None,
        include=include,
    )


def _rows(origin: Origin, name: str) -> Iterator[tuple[Row, int, int]]:
    """Yield the row that gives *name* its value, its number and how many there are.

    A field that is empty gives none.
    """
    for number, table in enumerate(origin.grid.tables):
        if name in table.columns and number in origin.rows:
            try:
                row = row_of(table, origin.rows[number])
            except ManifestError:  # the data file has changed
                continue
            if name in row.dynamic or row.values.get(name, OMIT) is not OMIT:
                yield row, origin.rows[number] + 1, len(table)


def place_of(manifest: Manifest, name: str, value: Any) -> str | None:
    """Return the place of the first cell's value, None where that isn't known."""
    if isinstance(value, Template):
        return value.place
    wanted = digest(value)
    for cell in expand(manifest):
        if name in cell.values and digest(cell.values[name]) == wanted:
            return _place(manifest, cell, name)
    return None


def place_of_sent(manifest: Manifest, name: str, value: Any) -> str | None:
    wanted = digest(value)
    for cell in expand(manifest):
        if name in cell.input and digest(cell.keyed_input[name]) == wanted:
            return _place(manifest, cell, _common(manifest, cell, name))
    return None


def _common(manifest: Manifest, cell: Cell, name: str) -> str:
    """Return the manifest's name for what a cell sends as *name*."""
    model = next(model for model in manifest.models if model.alias == cell.alias)
    renamed = {target: common for common, (target, _) in model.rename.items()}
    return renamed.get(name, name)


def _place(manifest: Manifest, cell: Cell, name: str) -> str | None:
    source = source_of(manifest, origin_of(manifest, cell.ordinal), name)
    return None if source is None else source.place
