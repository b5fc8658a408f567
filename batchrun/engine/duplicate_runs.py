"""Runs that are one too many for their cell: written down where they are found, and their costs.

**Each run of the service is in the ledger, also a run that should not exist.** A gateway that
repeats a request, or a service that commits later than `settle` allows, makes a second run; it is
billed, so it is written down at once, and its cost when it has ended. One that still ran after
`timeout` was once written down without a cost and never asked for again: its cost was lost. So each
call asks for the costs that are still owed.
"""

from collections.abc import Iterable

import anyio
from msgspec.structs import replace

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active
from batchrun.engine.run_age import Sight
from batchrun.engine.run_records import billed
from batchrun.engine.run_tag import RunTag
from batchrun.engine.shutdown import Wakeup
from batchrun.engine.waves import Wave
from batchrun.errors import KeyRefusedError, UnreachableError
from batchrun.ledger.records import Extra
from batchrun.runflow.wire import Run


class DuplicateRuns:
    """Writes them down, and asks once in a call for each cost that is owed."""

    def __init__(self, context: Context, active: Active, wakeup: Wakeup) -> None:
        self._settings = context.settings
        self._ledger = context.ledger
        self._client = context.client
        self._progress = context.progress
        self._active = active
        self._wakeup = wakeup
        self._running: dict[str, Extra] = {}
        self._sights: dict[str, Sight] = {}  # of these
        self._owed = tuple(context.ledger.book.unpriced_duplicates.values())
        for owed in self._owed:
            active.note(owed.run_id, awaited=True)

    async def record(self, wave: Wave | None, tag: RunTag, run: Run) -> None:
        """Write down a run that is one too many; its cost follows once it has ended.

        *wave* is None where this process doesn't look at it: then the next call asks for the cost.
        """
        if wave is not None:
            wave.known_run_ids.add(run.id)
        record = Extra(cell=tag.cell, attempt=tag.attempt, run_id=run.id, cost=billed(run))
        self._progress.note(
            f"cell {tag.cell[:12]} has a second run, {run.id}: its request came twice, or the "
            "service committed it later than `settle` allows; its cost is counted"
        )
        if wave is not None and not run.terminal:
            self._running[run.id] = record
            now = anyio.current_time()
            self._sights[run.id] = Sight(met=now, since=now)
        await self._ledger.append(record)

    async def look(self, runs: Iterable[Run]) -> int:
        """Write the costs of those of *runs* that have ended; return how many go on.

        One that is older than `timeout` is left to the next call.
        """
        going_on = 0
        for run in runs:
            record = self._running.get(run.id)
            if record is None:
                continue
            if not run.terminal and self._age(run) < self._settings.timeout:
                going_on += 1
                continue
            del self._running[run.id]
            if (cost := billed(run)) is not None:
                await self._ledger.append(replace(record, cost=cost))
        return going_on

    def _age(self, run: Run) -> float:
        return self._sights[run.id].age(self._client.said_age(run), anyio.current_time())

    async def run(self) -> None:
        """Return when all have been asked."""
        async with anyio.create_task_group() as tasks:
            for owed in self._owed:
                tasks.start_soon(self._ask, owed, name=f"ask for the cost of {owed.run_id}")

    async def _ask(self, owed: Extra) -> None:
        try:
            run = await self._client.get_run(owed.run_id)
            cost = None if run is None else billed(run)
        except (UnreachableError, KeyRefusedError) as error:
            # A cost that can't be had is no reason to stop: parts that need the service report it.
            cost = None
            self._progress.note(
                f"the cost of the second run {owed.run_id} could not be asked for: {error}; "
                "the next call asks again"
            )
        if cost is not None:
            await self._ledger.append(replace(owed, cost=cost))
        self._active.note(owed.run_id, awaited=False)
        self._wakeup.ring()
