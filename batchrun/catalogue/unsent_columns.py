"""Columns that are not sent although a model's description has an input of their name.

`send` names what is sent. A column that it leaves out may serve a template, and then its value is
in an input. One that serves none is sent to no model, and that may not be meant.
"""

from collections.abc import Iterator, Mapping

from batchrun.base.text import listed
from batchrun.errors import Problem
from batchrun.manifest.data.table import FileTable
from batchrun.manifest.grid.unsent import unused_columns
from batchrun.manifest.manifest import Grid, Manifest, Model
from batchrun.runflow.descriptions import Description


def unsent_columns(
    manifest: Manifest, descriptions: Mapping[str, Description]
) -> Iterator[Problem]:
    """Yield a note on the columns of each sheet that models, by their ids, may miss."""
    for grid, table, columns in unused_columns(manifest):
        missed: dict[tuple[str, ...], list[str]] = {}
        for column in columns:
            missed.setdefault(_models_with(column, grid, descriptions), []).append(column)
        missed.pop((), None)
        yield from (_note(table, names, by) for by, names in missed.items())


def _models_with(
    column: str, grid: Grid, descriptions: Mapping[str, Description]
) -> tuple[str, ...]:
    """Return the ids of the models that have an input of the column's name, and get none."""
    models = (each for each in grid.models if _lacks(each, column, descriptions.get(each.id)))
    return tuple(dict.fromkeys(model.id for model in models))


def _lacks(model: Model, column: str, description: Description | None) -> bool:
    """Say whether the model has such an input by its description, and nothing arrives at it."""
    if description is None or column not in description.inputs:
        return False
    if column in model.omit or column in model.inputs:
        return False
    return all(target != column for target, _ in model.rename.values())


def _note(table: FileTable, columns: list[str], models: tuple[str, ...]) -> Problem:
    names, one = listed(f"`{name}`" for name in columns), len(columns) == 1
    have = f"{listed(models)} {'has' if len(models) == 1 else 'have'}"
    if one:
        said = (
            f"the column {names} is not sent, and {have} an input of this name; "
            "name it in `send` to send it, or rename the column"
        )
    else:
        said = (
            f"the columns {names} are not sent, and {have} inputs of these names; "
            "name them in `send` to send them, or rename the columns"
        )
    return table.problem(columns[0], said)
