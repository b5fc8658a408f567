"""The open runs of a sweep with their ages, and what the sweep waits for; by its ledger alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import span
from batchrun.ledger.facts import RECENT
from batchrun.ledger.history import State
from batchrun.ledger.lock import holder_of
from batchrun.ledger.reader import Reader
from batchrun.ledger.records import Intent
from batchrun.results.tally import Tally
from batchrun.results.waiting import Waiting

MOST: Final = 500
"""Open runs that are named in the JSON."""


class OpenRun(Struct, frozen=True, kw_only=True):
    """An attempt whose run may be running. *since* is when its intent was written (UTC).

    By our clock: the service's times are known of runs that ended.
    """

    cell: str
    alias: str
    run_id: str | None
    state: str
    since: str

    def age(self) -> float:
        """Return the seconds since the intent."""
        try:
            age = datetime.now(UTC) - datetime.fromisoformat(self.since)
        except (ValueError, TypeError):
            return 0.0
        return age.total_seconds()

    def line(self) -> str:
        """Return the line that people read."""
        run = self.run_id or "no run id"
        return f"  {self.cell[:12]}  {self.alias}  {run}  {self.state}, {span(self.age())}"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


def open_runs(reader: Reader) -> Iterator[OpenRun]:
    """Yield the oldest attempts whose runs may be running."""
    # Lines are only ever appended: the oldest intent stands first.
    found = nsmallest(MOST, reader.book.open_cells(), key=lambda pair: pair[1].intent_line)
    for cell, history in found:
        intent = reader.read(history.intent_line)
        assert isinstance(intent, Intent)
        state = "in doubt" if history.state is State.DOUBTFUL else "in flight"
        yield OpenRun(
            cell=cell,
            alias=intent.alias,
            run_id=history.run_id,
            state=f"{state}, parked" if history.parked else state,
            since=intent.at,
        )


def waiting_of(folder: Path, reader: Reader, tally: Tally) -> Waiting:
    """Return what the sweep in *folder* waits for."""
    book, now = reader.book, datetime.now(UTC)
    states = [history.state for _, history in book.open_cells()]
    oldest = next(open_runs(reader), None)
    unpriced = sum(
        timedelta() <= run.age(now) < RECENT for run in book.late_costs.unpriced.values()
    )
    budget = None if book.sweep is None else book.sweep.budget
    costs = [facts.max_cost for facts in book.models.values() if facts.max_cost]
    full = budget is not None and tally.pending and book.cost + min(costs, default=0) > budget
    return Waiting(
        holder=holder_of(folder),
        running=states.count(State.IN_FLIGHT),
        doubtful=states.count(State.DOUBTFUL),
        since=None if oldest is None else oldest.since,
        unpriced=unpriced + len(book.unpriced_duplicates),
        pending=tally.pending,
        budget=budget if full else None,
        spent=book.cost,
    )
