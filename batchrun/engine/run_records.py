"""The ledger's lines for the end of a run or a request. Pure."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from batchrun.engine.in_flight import Attempt
from batchrun.ledger.history import State
from batchrun.ledger.records import Finished, Rejected, timestamp
from batchrun.runflow.inline import shortened
from batchrun.runflow.wire import Run


class Refused(Protocol):
    """The words of a refusal, of a run or of an item."""

    @property
    def http_status(self) -> int: ...
    @property
    def code(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...


def billed(run: Run) -> Decimal | None:
    """Return what a run costs, None as long as it may still become known."""
    if not run.terminal:
        return None
    # Failed runs are not billed, and need not say so (runflow-api.md, section 11).
    return Decimal(0) if run.cost is None and run.status_code == State.FAILED else run.cost


def rejected_line(attempt: Attempt, refusal: Refused, *, at_upload: bool = False) -> Rejected:
    """Return the line that says that the API refused the input of an attempt.

    *at_upload*: it refused a file, and no run was asked for.
    """
    return Rejected(
        cell=attempt.key,
        attempt=attempt.number,
        http_status=refusal.http_status,
        code=refusal.code,
        message=refusal.message,
        doubted=attempt.doubted,
        at_upload=at_upload,
    )


def finished_line(cell: str, attempt: int, run: Run) -> Finished:
    """Return the line that says how the run of an attempt ended.

    Media that stand in the output itself are files like others, and none of the ledger's.
    """
    return Finished(
        cell=cell,
        attempt=attempt,
        run_id=run.id,
        status_code=run.status_code,
        cost=run.cost,
        duration_ms=run.duration_ms,
        created_at=_text(run.created_at),
        started_at=_text(run.started_at),
        completed_at=_text(run.completed_at),
        failure_code=run.failure_code,
        failure_message=run.failure_message,
        failure_stage=run.failure_stage,
        target_version=run.target_version,
        cost_breakdown=shortened(run.cost_breakdown),
        evaluation=shortened(run.evaluation),
        output=shortened(run.output),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
