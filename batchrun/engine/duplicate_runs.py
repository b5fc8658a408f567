"""Asks for the costs of runs that were one too many and had told none when they were found."""

import anyio
from msgspec.structs import replace

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active
from batchrun.engine.run_records import billed
from batchrun.engine.shutdown import Wakeup
from batchrun.errors import KeyRefusedError, UnreachableError
from batchrun.ledger.records import Extra


class DuplicateRuns:
    """Asks each of them once in a call."""

    def __init__(self, context: Context, active: Active, wakeup: Wakeup) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._progress = context.progress
        self._active = active
        self._wakeup = wakeup
        self._owed = tuple(context.ledger.book.unpriced_duplicates.values())
        for owed in self._owed:
            active.note(owed.run_id, awaited=True)

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
            # What it cost is no reason to stop: whoever needs the service to go on will say so.
            cost = None
            self._progress.note(
                f"the cost of the second run {owed.run_id} could not be asked for: {error}; "
                "the next call asks again"
            )
        if cost is not None:
            await self._ledger.append(replace(owed, cost=cost))
        self._active.note(owed.run_id, awaited=False)
        self._wakeup.ring()
