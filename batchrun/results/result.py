"""The result of one cell as a value: what Python programs are given. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from batchrun.base.times import moment
from batchrun.manifest.cells import Cell, plain


class Result(Struct, frozen=True, kw_only=True):
    """The result of one cell: a row of `results.csv`, with its types.

    *cell* is the cell's key, *model* the id, *alias* its short name, *replicate* counts from 1.
    *axes* are the inputs, vars and columns under their common names, *inputs* is what the model is
    sent; a local file is its path in both. *status* is how the cell stands: `succeeded`,
    `partial_succeeded`, `failed`, `rejected`, `cancelled`, or for a cell that isn't at its end
    `pending`, `in_flight`, `parked`, `in_doubt`. *cost* is what all its runs have cost, in USD;
    None where that isn't known. *files* are absolute paths. *failure_code* and *failure_message*
    say why it failed. *duration* is how long its run took, in seconds; *created_at* and
    *completed_at* are the service's times of it.
    """

    cell: str
    model: str
    alias: str
    replicate: int
    axes: Mapping[str, Any]
    inputs: Mapping[str, Any]
    status: str
    attempts: int
    run_id: str | None
    cost: Decimal | None
    files: tuple[Path, ...]
    failure_code: str | None
    failure_message: str | None
    duration: float | None
    created_at: datetime | None
    completed_at: datetime | None

    @property
    def succeeded(self) -> bool:
        """Whether all that was asked for was made."""
        return self.status == "succeeded"


def result_of(cell: Cell, row: Mapping[str, Any], folder: Path) -> Result:
    """Return the result of *cell*, whose *row* of the results of the sweep in *folder* this is."""
    cost, milliseconds = row["cost"], row["duration_ms"]
    return Result(
        cell=cell.key,
        model=cell.model,
        alias=cell.alias,
        replicate=cell.replicate,
        axes=plain(cell.values),
        inputs=plain(cell.input),
        status=row["status"],
        attempts=row["attempts"],
        run_id=row["run_id"],
        cost=None if cost is None else Decimal(cost),
        files=tuple(folder / path for path in row["files"]),
        failure_code=row["failure_code"],
        failure_message=row["failure_message"],
        duration=None if milliseconds is None else milliseconds / 1000,
        created_at=moment(row["created_at"]),
        completed_at=moment(row["completed_at"]),
    )
