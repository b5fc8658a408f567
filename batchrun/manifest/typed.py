"""The types of the columns of a manifest's CSV files, and the manifest with former ones."""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from batchrun.manifest.data.column_types import ColumnTypes
from batchrun.manifest.data.table import FileTable
from batchrun.manifest.manifest import Manifest


def tables_of(manifest: Manifest) -> Iterator[ColumnTypes]:
    """Yield the types of each table that comes from a file."""
    for grid in manifest.grids:
        for table in grid.tables:
            if isinstance(table, FileTable):
                yield table.types


def types_of(manifest: Manifest) -> dict[str, str]:
    """Return the type of each column of a CSV file that isn't empty; no two have one name."""
    return {
        name: str(kind)
        for types in tables_of(manifest)
        for name in types.columns
        if (kind := types.of(name)) is not None
    }


def columns_in_cells(manifest: Manifest) -> frozenset[str]:
    """Return the columns of files that are sent, and all names that some value follows from."""
    found: set[str] = set()
    for grid in manifest.grids:
        for table in grid.tables:
            if isinstance(table, FileTable):
                found.update(table.sent, *table.uses.values())
        for names in (grid.names, *(model.inputs for model in grid.models)):
            found.update(*(definition.body.names for definition in names.values()))
    return frozenset(found)


def read_as(manifest: Manifest, former: Mapping[str, str]) -> Manifest:
    """Return the manifest as it was when these columns had their *former* types."""
    grids = (
        replace(
            grid,
            tables=tuple(
                table.read_as(former) if isinstance(table, FileTable) else table
                for table in grid.tables
            ),
        )
        for grid in manifest.grids
    )
    return replace(manifest, grids=tuple(grids))
