"""How each cell that has been given a slot leaves: in a request of its own, or with others.

A batch saves the calls that single requests take. But it is a wave of its own, and a small wave
costs more polls for each of its runs than a large one: so few cells go alone. And a freed slot that
waits for others is idle: so it waits only where enough of them are to be expected soon. Where calls
wait for the limiter anyway, that may be later.

Whether a model takes batches is not documented, so the first batch that is large enough asks, and
the ledger remembers the answer. While that first request has no answer, the model's
other cells wait a little, and then leave alone. So a request that hangs holds up no other cell.
"""

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio.abc import TaskGroup

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt
from batchrun.engine.opening import Opening
from batchrun.engine.phases import Phase
from batchrun.engine.request_body import MetadataOf
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Transitions
from batchrun.engine.uploader import files_in

ENOUGH: Final = 10
"""Cells that share a request rather than each having its own, where the model takes batches."""

LINGER: Final = 0.5
"""Intervals of `poll` that a freed slot waits for company, where enough is to be expected. Chosen,
like the number above, by `benchmarks/batches.py`."""

MOST: Final = 20
"""Pending batches at once. Where there are so many, each cell has something of its own."""

BACKLOG: Final = 4.0
"""So many times as long where calls wait for the limiter anyway."""


NEVER: Final = float("inf")

PATIENCE: Final = 5.0
"""Seconds that the others wait for the answer."""

LONGEST: Final = 30.0
"""Seconds that they wait for the request to leave: while a 429 keeps it, they could not leave
either."""

RESERVED: Final = "client_ref"
"""A batch's item is the model's input with this beside it: a model's own can't be sent in one."""


def linger(interval: float, *, in_flight: int, durations: Sequence[float], backlog: bool) -> float:
    """Return the seconds that a freed slot waits: none where not enough others will come in them.

    A slot comes free whenever a run ends, and *durations* are of the model's last runs.
    """
    wait = LINGER * interval * (BACKLOG if backlog else 1.0)
    mean = sum(durations) / len(durations) if durations else float("inf")
    return wait if in_flight * wait >= ENOUGH * mean else 0.0


@dataclass(slots=True, eq=False)
class PendingBatch:
    """Attempts that may share a request; *since* is when the first of them came."""

    model: str
    since: float
    attempts: list[Attempt] = field(default_factory=list)

    def take(self, most: int) -> list[Attempt]:
        """Return the first of them, which leave; the others wait on."""
        leaving, self.attempts = self.attempts[:most], self.attempts[most:]
        return leaving


class PendingBatches:
    """Waiting attempts, by what they must have in common to share a request."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, PendingBatch] = {}

    def __bool__(self) -> bool:
        return any(batch.attempts for batch in self._waiting.values())

    def have_room(self, model: str, kind: Hashable) -> bool:
        """Say whether one more of that *kind* is let in."""
        return len(self._waiting) < MOST or (model, kind) in self._waiting

    def __iter__(self) -> Iterator[PendingBatch]:
        self._waiting = {kind: each for kind, each in self._waiting.items() if each.attempts}
        return iter(list(self._waiting.values()))

    def join(self, model: str, kind: Hashable, attempt: Attempt, now: float) -> None:
        batch = self._waiting.get((model, kind))
        if batch is None or not batch.attempts:
            batch = self._waiting[model, kind] = PendingBatch(model, now)
        batch.attempts.append(attempt)

    def withdraw(self) -> list[Attempt]:
        """Return all attempts that wait, and empty the queue."""
        waiting = [attempt for batch in self._waiting.values() for attempt in batch.attempts]
        self._waiting.clear()
        return waiting


class Batcher:
    """Starts a task for each request that leaves."""

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        submitter: Submitter,
        opening: Opening,
        metadata_of: MetadataOf,
        tasks: TaskGroup,
    ) -> None:
        self._settings = context.settings
        self._book = context.ledger.book
        self._client = context.client
        self._takes_batches = context.client.profile.takes_batches
        self._transitions = transitions
        self._in_flight = transitions.in_flight
        self._submitter = submitter
        self._opening = opening
        self._tasks = tasks
        self._metadata_of = metadata_of
        self._pending_batches = PendingBatches()
        self._trials: dict[str, tuple[Attempt, float]] = {}  # who asks for a model, since when

    def put(self, attempt: Attempt) -> None:
        """Have it leave in its turn, once its files are at the service."""
        assert attempt.cell is not None
        if next(files_in(attempt.cell.input), None) is None:
            self._transitions.ready(attempt, attempt.cell.input)
            self._join(attempt)
        else:
            self._tasks.start_soon(self._prepare, attempt, name=f"prepare {attempt.key}")

    async def _prepare(self, attempt: Attempt) -> None:
        if await self._submitter.prepare(attempt):
            self._join(attempt)
            self._transitions.wakeup.ring()

    def _join(self, attempt: Attempt) -> None:
        if self._may_share(attempt):
            kind = self._kind(attempt)
            if self._pending_batches.have_room(attempt.model, kind):
                self._pending_batches.join(attempt.model, kind, attempt, anyio.current_time())
                return
        self._leave([attempt])

    def leave(self, *, last: bool) -> float:
        """Send the batches that are due; return when the next are.

        *last*: no further cell can join these batches.
        """
        soonest = NEVER
        if self._pending_batches and not self._submitter.halted:
            last = last or all(attempt.waits or attempt.parked for attempt in self._in_flight)
            last = last and not any(attempt.phase is Phase.PREPARING for attempt in self._in_flight)
            for batch in self._pending_batches:
                soonest = min(soonest, self._let_leave(batch, last=last))
        return soonest

    def hold_back(self) -> None:
        """Give back the slots of all that wait."""
        for attempt in self._pending_batches.withdraw():
            self._transitions.withdraw(attempt)

    def _let_leave(self, batch: PendingBatch, *, last: bool) -> float:
        """Send the part of a pending batch that is due; return when the rest is."""
        takes = self._takes_batches.get(batch.model)
        most = self._settings.batch
        while len(batch.attempts) >= most and takes:
            self._leave(batch.take(most))
        if not batch.attempts:
            return NEVER
        due = batch.since + self._linger(batch.model)
        full = len(batch.attempts) >= (max(most, ENOUGH) if takes is None else most)
        at_once = last or takes is False or full
        if takes is None and batch.model in self._trials:
            due, at_once = self._answer_due(batch.model), False
        if at_once or anyio.current_time() >= due:
            return self._let_all_leave(batch, takes=takes)
        return due

    def _let_all_leave(self, batch: PendingBatch, *, takes: bool | None) -> float:
        """Send a pending batch that is due; where it is a trial, the rest stays."""
        enough, most = len(batch.attempts) >= ENOUGH, self._settings.batch
        if takes is None and enough and batch.model not in self._trials:
            leaving = batch.take(most)
            self._trials[batch.model] = leaving[0], anyio.current_time()
            self._leave(leaving)
            return self._answer_due(batch.model) if batch.attempts else NEVER
        size = most if takes and enough else 1
        while batch.attempts:
            self._leave(batch.take(size))
        return NEVER

    def _answer_due(self, model: str) -> float:
        """Return until when the others wait to hear whether *model* takes batches."""
        first, began = self._trials[model]
        since = began if first.waits else self._submitter.waits_since(first)
        if since is None:  # the request is over, without an answer
            return began
        return min(since + PATIENCE, began + LONGEST)

    def _leave(self, attempts: Sequence[Attempt]) -> None:
        name = f"submit {attempts[0].key} and {len(attempts) - 1} more"
        self._tasks.start_soon(self._submitter.submit, attempts, name=name)

    def _linger(self, model: str) -> float:
        return linger(
            self._settings.poll_interval,
            in_flight=len(self._in_flight),
            durations=self._book.facts(model).durations,
            backlog=self._client.waiting > 0,
        )

    def _may_share(self, attempt: Attempt) -> bool:
        if self._settings.batch < 2 or attempt.key in self._submitter.unbatchable:
            return False
        if self._opening.under_way:  # its runs show their tags, the items of batches may not
            return False
        if attempt.first:  # its cost is no bound yet (rule 31 of the contract)
            return False
        if RESERVED in (attempt.sent or {}) or self._may_need_otherwise(attempt):
            return False
        takes = self._takes_batches.get(attempt.model)
        # Where so few may be under way at once there will never be enough of them to ask.
        return takes or (takes is None and self._in_flight.most(attempt.alias) >= ENOUGH)

    def _may_need_otherwise(self, attempt: Attempt) -> bool:
        """Say whether it may have failed for a file that is to be given in another way.

        An item of a batch fails for that reason. A single run is refused with the reason.
        """
        assert attempt.cell is not None
        return attempt.number > 1 and attempt.sent is not attempt.cell.input

    def _kind(self, attempt: Attempt) -> Hashable:
        """Return what a request has only once: the user's metadata, spelled."""
        assert attempt.cell is not None
        metadata = self._metadata_of(attempt.cell)
        return json.dumps(metadata, sort_keys=True) if metadata else ""
