"""The lines that a ledger lacks of a cell, given the runs that the service shows for it. Pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from copy import copy
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from batchrun.engine.run_records import billed, finished_line
from batchrun.engine.run_tag import RunTag
from batchrun.ledger.history import BAD, GOOD, History, State, apply
from batchrun.ledger.records import (
    CellLine,
    Dropped,
    Extra,
    Intent,
    Mark,
    Submitted,
    id_found_again,
)
from batchrun.runflow.wire import Run

NO_RUN: Final = "the service shows no run for it, and one for a later attempt"
_EPOCH: Final = datetime.min.replace(tzinfo=UTC)


class CellDescription(Struct, frozen=True, kw_only=True):
    """The facts of a cell that its runs don't show: its model, and where its files go.

    *first* is the first replicate of its point, and *replicate* its number, where it is one that
    was made again by a mark.
    """

    model: str
    alias: str
    name: str
    first: str | None = None
    replicate: int = 1


def mark_of(cell: str, about: CellDescription) -> Mark | None:
    """Return the mark that made a cell, as far as it is known; None where it was none."""
    if about.first is None:
        return None
    return Mark(
        id=id_found_again(cell),
        cell=about.first,
        first=about.first,
        replicate=about.replicate,
        makes=cell,
    )


class FoundRun(Struct, frozen=True):
    """A run that the service shows, and what it was made for."""

    tag: RunTag
    run: Run


def missing_records(
    cell: str,
    history: History,
    doubtful: str | None,
    found: Iterable[FoundRun],
    *,
    known: AbstractSet[str],
    about: CellDescription,
) -> list[CellLine]:
    """Return the lines of *cell* that are missing behind its *history*.

    *doubtful* is the Idempotency-Key of its open intent, *known* are the ids of runs that the
    ledger has. The runs come in the order of their attempts; of two runs of one attempt the
    better one is the attempt's, the other an `extra`.
    """
    story = _MissingRecords(cell, copy(history), about)
    for each in sorted(found, key=lambda each: _order(each, doubtful)):
        if each.run.id not in known:
            story.begin(each, doubtful)
        story.end(each.run)
    return story.lines


class _MissingRecords:
    def __init__(self, cell: str, history: History, about: CellDescription) -> None:
        self.lines: list[CellLine] = []
        self._cell = cell
        self._history = history
        self._about = about

    def begin(self, found: FoundRun, doubtful: str | None) -> None:
        """Record that a run was made: by the open intent, by a later one, or one too many."""
        history, tag, cell = self._history, found.tag, self._cell
        if history.state is State.DOUBTFUL and tag.key != doubtful:
            self._record(Dropped(cell=cell, attempt=history.attempt, reason=NO_RUN, doubted=True))
        if history.state is not State.DOUBTFUL:
            may_follow = history.state is State.PENDING or history.state in BAD
            if not may_follow or tag.attempt <= history.attempt:
                run = found.run
                self._record(Extra(cell=cell, attempt=tag.attempt, run_id=run.id, cost=billed(run)))
                return
            self._record(self._intent(found))
        self._record(Submitted(cell=cell, attempt=tag.attempt, run_id=found.run.id, adopted=True))

    def end(self, run: Run) -> None:
        """Record how the run ended, if it is the newest attempt's and it has."""
        history = self._history
        if history.state is State.IN_FLIGHT and history.run_id == run.id and run.terminal:
            self._record(finished_line(self._cell, history.attempt, run))

    def _intent(self, found: FoundRun) -> Intent:
        """Return the intent as far as it is known. It is never sent: its run exists."""
        return Intent(
            cell=self._cell,
            attempt=found.tag.attempt,
            model=self._about.model,
            alias=self._about.alias,
            client_ref=found.run.client_ref or "",
            idempotency_key=found.tag.key,
            body_sha256="",
            name=self._about.name,
            metadata=found.run.metadata,
        )

    def _record(self, line: CellLine) -> None:
        apply(self._history, line)
        self.lines.append(line)


def _order(found: FoundRun, doubtful: str | None) -> tuple[object, ...]:
    status = found.run.status_code
    rank = 0 if status in GOOD else 2 if status in BAD else 1
    created = found.run.created_at or _EPOCH
    return found.tag.attempt, found.tag.key != doubtful, rank, created, found.run.id
