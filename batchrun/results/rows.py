"""A row of the results: a point's axes, how it stands, what it cost, where it is. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import money
from batchrun.ledger.history import GOOD, NOWHERE, History, State, standing
from batchrun.ledger.records import Finished, Lost, Rejected, Reused, Saved, reason
from batchrun.manifest.cells import Cell, plain

COLUMNS: Final = (
    "model",
    "alias",
    "replicate",
    "cell",
    "status",
    "attempts",
    "run_id",
    "cost",
    "shared",
    "duration_ms",
    "created_at",
    "completed_at",
    "files",
    "failure_code",
    "failure_message",
)
"""The fields of each row, behind its axes."""

_OURS: Final = frozenset(COLUMNS)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})

ENDED: Final = frozenset(State) - {State.PENDING, State.DOUBTFUL, State.IN_FLIGHT}
"""The states in which the line that ended the newest attempt speaks of the cell as it is."""


class PointRow(Struct, frozen=True, kw_only=True):
    """The row of a point, its *cell*, and the line of the files that it has, if there is one.

    *started_at* is when the work of its run began, as the service says: the page shows it, and the
    results don't.
    """

    cell: Cell
    values: dict[str, Any]
    saved: Saved | Reused | None
    started_at: str | None = None


def row(
    cell: Cell,
    history: History,
    ended: Finished | Rejected | None,
    saved: Saved | Reused | None,
    *,
    attempts: int,
    lost: Lost | None = None,
    other_costs: Decimal | None = None,
    shared: bool = False,
) -> dict[str, Any]:
    """Return the row of *cell*; *ended* and *saved* are the lines its *history* points at.

    *lost* is that of the first of its files that are gone for good.

    The cost is that of all runs of the cell: of the one that succeeded, and *other_costs*. Where an
    earlier row has the same cell, this one is *shared* and has no cost: so the column adds up to
    what was spent. What was taken over from another sweep has cost nothing here.
    """
    ended = ended if history.state in ENDED else None
    good = ended.cost if isinstance(ended, Finished) and history.state in GOOD else None
    known = [cost for cost in (good, other_costs) if cost is not None]
    taken_over = history.state in GOOD and history.ended_line == NOWHERE
    if taken_over or (isinstance(ended, Finished) and ended.cost is not None):
        known.append(Decimal(0))  # it is known, and may be none
    values = point(cell) | {
        "status": str(standing(history, attempts=attempts)),
        "attempts": history.attempt,
        "run_id": history.run_id,
        "cost": money(sum(known, Decimal(0))) if known and not shared else None,
        "shared": shared,
        "duration_ms": None,
        "created_at": None,
        "completed_at": None,
        "files": [] if saved is None else [file.path for file in saved.there],
        "failure_code": None,
        "failure_message": None,
    }
    values |= _outcome(ended)
    if lost is not None:
        values["failure_code"], values["failure_message"] = reason(lost)
    return values


def point(cell: Cell) -> dict[str, Any]:
    """Return the first columns of a cell's row, which the manifest alone decides."""
    values = {
        axis_column(name): value if type(value) in _PLAIN else plain(value)
        for name, value in cell.values.items()
    }
    values["model"] = cell.model
    values["alias"] = cell.alias
    values["replicate"] = cell.replicate
    values["cell"] = cell.key
    return values


def axis_column(name: str) -> str:
    """Return the column of an axis; an axis with the name of a column of ours gets a prefix."""
    return f"input.{name}" if name in _OURS else name


def columns(axes: Iterable[str]) -> list[str]:
    """Return all columns of a table whose rows have the columns *axes* before ours."""
    return [*dict.fromkeys(name for name in axes if name not in COLUMNS), *COLUMNS]


def _outcome(ended: Finished | Rejected | None) -> dict[str, Any]:
    match ended:
        case Finished():
            return {
                "run_id": ended.run_id,
                "duration_ms": ended.duration_ms,
                "created_at": ended.created_at,
                "completed_at": ended.completed_at,
                "failure_code": ended.failure_code,
                "failure_message": ended.failure_message,
            }
        case Rejected():
            return {
                "run_id": None,
                "failure_code": ended.code or f"HTTP {ended.http_status}",
                "failure_message": ended.message,
            }
        case None:
            return {}
