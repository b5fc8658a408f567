"""Where a value of a cell stands: a line of the manifest, or of a data file."""

from typing import Any

from batchrun.errors import ManifestError
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.grid.origin import origin_of, places_of
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.yaml.document import ListNode
from batchrun.results.value_changes import Template, digest
from batchrun.sweep.location import folder_of


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
        if name in cell.input and digest(cell.input[name]) == wanted:
            return _place(manifest, cell, _common(manifest, cell, name))
    return None


def _common(manifest: Manifest, cell: Cell, name: str) -> str:
    """Return the manifest's name for what a cell sends as *name*."""
    model = next(model for model in manifest.models if model.alias == cell.alias)
    renamed = {target: common for common, (target, _) in model.rename.items()}
    return renamed.get(name, name)


def _place(manifest: Manifest, cell: Cell, name: str) -> str | None:
    origin = origin_of(manifest, cell.ordinal)
    for number, table in enumerate(origin.grid.tables):
        if name in table.columns and number in origin.rows:
            try:
                place = str(places_of(origin)[[*origin.rows].index(number)])
                return place.removeprefix(f"{folder_of(manifest.path)}/")
            except ManifestError:
                return None
    definition = origin.model.inputs.get(name) or origin.grid.names.get(name)
    if definition is None:
        return None
    index = origin.own.get(name, origin.elements.get(name))
    node = getattr(definition.body, "node", definition.node)
    if isinstance(node, ListNode) and index is not None and len(node.items) > index:
        node = node.items[index]
    return f"line {node.line}"
