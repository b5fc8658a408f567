"""Where a cell comes from: which rows, which elements of axes. Computed from its ordinal alone.

The walk of the grid numbers its points like the digits of a clock: each dimension has a weight, and
what stands in it is the ordinal divided by that. So a cell stores one number, and a million cells
store nothing else about where they come from.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from msgspec import Struct

from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.grid.dimensions import dimension_sizes, raws
from batchrun.manifest.grid.expand import layouts
from batchrun.manifest.manifest import Grid, Manifest, Model, Row, RowOrigin, Table


class Origin(Struct, frozen=True, kw_only=True):
    """Where one cell comes from.

    *include* is None for the manifest's own product, else which `include` it is. *elements* are the
    places in the axes by name, *own* those in axes that the model has of its own, *rows* those in
    the tables, by the tables' order. All of these are from 0, *replicate* is from 1.
    """

    grid: Grid
    model: Model
    include: int | None
    elements: Mapping[str, int]
    own: Mapping[str, int]
    rows: Mapping[int, int]
    replicate: int = 1


def origin_of(manifest: Manifest, ordinal: int) -> Origin:
    """Return where the cell with that *ordinal* comes from; ValueError where there is none."""
    base = 0
    for number, grid in enumerate(manifest.grids):
        sizes = dimension_sizes(grid)
        span = prod(sizes.values()) * len(grid.models)
        if base <= ordinal < base + span:
            return _in_grid(grid, number, ordinal - base, sizes)
        base += span
    raise ValueError(f"the manifest has no point {ordinal}; the last one is {base - 1}")


def _in_grid(grid: Grid, number: int, point: int, sizes: Mapping[Any, int]) -> Origin:
    layout = layouts(grid)[point % len(grid.models)]
    found: dict[str, dict[Any, int]] = {"axis": {}, "own": {}, "table": {}, REPLICATE: {}}
    for dimension in layout.dimensions:
        kind, which = dimension.dimension_key
        index = point // dimension.weight % sizes[dimension.dimension_key]
        found[kind][which] = index
    return Origin(
        grid=grid,
        model=layout.model,
        include=None if number == 0 else number - 1,
        elements=found["axis"],
        own=found["own"],
        rows=found["table"],
        replicate=1 + found[REPLICATE].get(None, 0),
    )


def places_of(origin: Origin) -> list[RowOrigin]:
    """Return where the cell's rows stand, such as `prompts.csv:12`. Reads each table up to its row.

    Raises ManifestError where a data file has changed.
    """
    return [row_of(origin.grid.tables[table], index).place for table, index in origin.rows.items()]


def row_of(table: Table, index: int) -> Row:
    """Return the row of that *index*, from 0; the table is read up to it. Raises ManifestError."""
    for _, raw in raws(table, {index: None}):
        assert isinstance(raw, Row)
        return raw
    raise ValueError(f"the table has no row {index}")
