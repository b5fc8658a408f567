"""Columns of sheets that are not sent, and that no input follows from."""

from collections.abc import Iterator, Sequence

from batchrun.errors import Problem
from batchrun.manifest.data.table import FileTable
from batchrun.manifest.manifest import Grid, Manifest
from batchrun.manifest.typed import columns_in_cells


def unused_columns(manifest: Manifest) -> Iterator[tuple[Grid, FileTable, Sequence[str]]]:
    """Yield each grid's sheets that have such columns, with these."""
    used = columns_in_cells(manifest)
    for grid in manifest.grids:
        for table in grid.tables:
            if isinstance(table, FileTable):
                unused = [n for n in table.columns if n not in table.sent and n not in used]
                if unused:
                    yield grid, table, unused


def unsent_inputs(manifest: Manifest) -> Iterator[Problem]:
    """Yield a note on each model's own input that is not sent, for a column has its name."""
    for grid, table, columns in unused_columns(manifest):
        for model in grid.models:
            for name in (each for each in columns if each in model.inputs):
                yield model.inputs[name].node.problem(
                    f"`{name}` of {model.alias} is not sent, for {table.data.written} has a column "
                    "of this name that is not in `send`; name it there to send both, or rename the "
                    "column to send this input"
                )
