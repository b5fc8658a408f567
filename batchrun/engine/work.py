"""What the parts of the engine share, and what becomes of an attempt.

Each step here changes what is held in memory first, and at once, then writes its line: so two
looks that overlap cannot write the same line twice, and a failed write stops everything anyway.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import anyio

from batchrun.engine.live import Attempt, Live
from batchrun.engine.purse import Purse
from batchrun.engine.schedule import next_wait
from batchrun.engine.settings import Settings
from batchrun.engine.stops import Bell, Stops
from batchrun.engine.waves import Wave, Waves
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import GOOD, NOWHERE, State, Submit, next_step
from batchrun.ledger.records import (
    Dropped,
    Finished,
    Intent,
    Parked,
    Rejected,
    Submitted,
    timestamp,
)
from batchrun.manifest.grid import Cell
from batchrun.results.progress import Progress
from batchrun.runflow.client import Client
from batchrun.runflow.wire import Run

UNKNOWN_STATUS: Final = "the service says a run is {word!r}, a status this batchrun doesn't know"


@dataclass(slots=True)
class Filter:
    """What is known of the list's filter by `client_ref`.

    *proven* once it has shown a run that we know; *refused* once the service would not have it.
    """

    proven: bool = False
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Work:
    """One call's work. *again* takes a cell to be tried once more, *finished* one to be saved.

    *held_by_budget* is True once something that was to be sent again had to be left for it.
    """

    settings: Settings
    ledger: Ledger
    client: Client
    live: Live
    purse: Purse
    waves: Waves
    progress: Progress
    stops: Stops
    bell: Bell
    identity: Mapping[str, Any]
    again: Callable[[Cell], None]
    finished: Callable[[Attempt, Run], None]
    remember_organisation: Callable[[str], Awaitable[None]]
    filter: Filter = field(default_factory=Filter)
    said: set[str] = field(default_factory=set)
    held_by_budget: bool = False

    async def listing(self, ref: str) -> list[Run] | None:
        """Return the runs of a wave as the list's filter shows them, None where it is refused."""
        if self.filter.refused:
            return None
        runs = await self.client.runs_of(ref)
        if runs is None:
            self.filter.refused = True
            self.progress.note(
                "the service's list can't be filtered by client_ref; runs are asked for one by one"
            )
        return runs

    async def accept(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """The run exists: the API answered, or it was found again."""
        attempt.run_id = run.id
        self.waves[attempt.client_ref].familiar.add(run.id)
        attempt.parked = False
        attempt.started = anyio.current_time() - self.age(run)
        record = Submitted(
            cell=attempt.key,
            attempt=attempt.number,
            run_id=run.id,
            adopted=adopted,
            doubted=attempt.doubted,
        )
        self._expect(attempt)
        self.bell.ring()
        await self.ledger.append(record)

    async def finish(self, attempt: Attempt, run: Run) -> None:
        """The run ended: write how, give the slot back, save or try again."""
        self._end(attempt)
        await self.ledger.append(finished_line(attempt.key, attempt.number, run))
        if State(run.status_code) in GOOD:
            self._tell_end(attempt, good=True)
            self.finished(attempt, run)
        else:
            self.try_again(attempt)
        self.bell.ring()

    async def reject(
        self, attempt: Attempt, record: Rejected, intent: Intent | None = None
    ) -> None:
        """The API refused the input: no run exists, and the same input stays refused.

        *intent* is written with it where the refusal came before there was one to send.
        """
        self._end(attempt)
        await self.ledger.append(*([] if intent is None else [intent]), record)
        self._tell_end(attempt, good=False)
        self.bell.ring()

    async def drop(self, attempt: Attempt, reason: str) -> None:
        """It is certain that no run exists; the attempt doesn't count."""
        self._end(attempt)
        record = Dropped(
            cell=attempt.key, attempt=attempt.number, reason=reason, doubted=attempt.doubted
        )
        await self.ledger.append(record)
        self.bell.ring()

    def withdraw(self, attempt: Attempt) -> None:
        """Give back a slot for which nothing was written or sent."""
        self._end(attempt)
        self.bell.ring()

    async def park(self, attempt: Attempt, reason: str) -> None:
        """Give the attempt up for this call. It keeps its slot: the run may be running.

        Why it is not known whether there is a run, is said: somebody may have to decide. Once for
        each reason, which many have in common.
        """
        attempt.parked = True
        if attempt.run_id is None and reason not in self.said:
            self.said.add(reason)
            self.progress.note(f"cell {attempt.key[:12]} is left in doubt: {reason}")
        record = Parked(
            cell=attempt.key, attempt=attempt.number, run_id=attempt.run_id, reason=reason
        )
        await self.ledger.append(record)
        self.bell.ring()

    def doubt(self, attempt: Attempt) -> None:
        """Nobody knows whether the send that has just ended created a run."""
        attempt.doubted = True
        attempt.quiet_since = anyio.current_time()
        # Of several sends the last may come to light as late as an earlier one did, and that one
        # had another `settle` for it.
        later = self.settings.settle if attempt.sends > 1 else 0.0
        self.waves[attempt.client_ref].doubt(attempt.quiet_since + later)
        self.bell.ring()

    def wait_for(self, wave: Wave) -> float:
        """Return the seconds to the next look at *wave*, from what is known of its model."""
        now = anyio.current_time()
        return next_wait(
            [now - attempt.started for attempt in wave.open()],
            sorted(self.ledger.book.facts(wave.model).durations),
            interval=self.settings.poll_interval,
            idle_looks=wave.idle_looks,
            in_flight=len(self.live),
        )

    def age(self, run: Run) -> float:
        """Return the seconds since *run* was created, by the service's clock."""
        if run.created_at is None:
            return 0.0
        return max(0.0, (self.client.server_now() - run.created_at).total_seconds())

    def hear(self, run: Run) -> None:
        """Say once for each word that the service uses a status we don't know."""
        if not run.known and run.status_code not in self.said:
            self.said.add(run.status_code)
            self.progress.note(UNKNOWN_STATUS.format(word=run.status_code))

    def intent(self, attempt: Attempt) -> Intent:
        """Return the intent as the ledger has it, with the input that was sent."""
        history = self.ledger.book.histories[attempt.key]
        record = self.ledger.read(history.intent_line)
        assert isinstance(record, Intent)
        return record

    def last_input(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """Return the input that the cell's last intent with one carried; None before the first."""
        line = self.ledger.book.history(attempt.key).input_line
        if line == NOWHERE:
            return None
        record = self.ledger.read(line)
        assert isinstance(record, Intent)
        return record.input

    def _expect(self, attempt: Attempt) -> None:
        """Bring the wave's next look forward where one more open run calls for that."""
        wave = self.waves[attempt.client_ref]
        open_runs = len(wave.open())
        if open_runs & (open_runs - 1) == 0:  # at 1, 2, 4, 8, ...: often enough, and cheap
            wave.next_look = min(wave.next_look, anyio.current_time() + self.wait_for(wave))

    def _end(self, attempt: Attempt) -> None:
        self.live.end(attempt)
        self.waves[attempt.client_ref].leave(attempt)

    def _tell_end(self, attempt: Attempt, *, good: bool) -> None:
        """Count the cell as done, unless the walk of the grid is still to come to it: it will."""
        if attempt.drawn:
            self.progress.ended(good=good)

    def try_again(self, attempt: Attempt) -> None:
        """Have the cell drawn again, if its attempts are not used up.

        One that the walk of the grid is still to come to will be drawn anyway, if it is asked for.
        """
        history = self.ledger.book.history(attempt.key)
        step = next_step(history, attempts=self.settings.attempts, granted=attempt.granted)
        if not isinstance(step, Submit):
            self._tell_end(attempt, good=False)
        elif attempt.drawn and attempt.cell is not None:
            self.again(attempt.cell)


def billed(run: Run) -> Decimal | None:
    """Return what a run costs, None as long as it may still become known."""
    if not run.terminal:
        return None
    # Failed runs are not billed, and need not say so (runflow-api.md, section 11).
    return Decimal(0) if run.cost is None and run.status_code == State.FAILED else run.cost


def finished_line(cell: str, attempt: int, run: Run) -> Finished:
    """Return the line that says how the run of an attempt ended."""
    return Finished(
        cell=cell,
        attempt=attempt,
        run_id=run.id,
        status_code=run.status_code,
        cost=run.cost,
        duration_ms=run.duration_ms,
        created_at=_text(run.created_at),
        completed_at=_text(run.completed_at),
        failure_code=run.failure_code,
        failure_message=run.failure_message,
        failure_stage=run.failure_stage,
        output=run.output,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
