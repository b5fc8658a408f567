"""The last look at what was sent, once nothing is active: what is not known then is left open."""

from typing import Final

import anyio

from batchrun.engine.context import Context
from batchrun.engine.own_runs import OwnRuns
from batchrun.engine.poll import Poller
from batchrun.engine.reconcile import Reconciler
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.run_costs import RunCosts
from batchrun.engine.shutdown import only_expected
from batchrun.errors import KeyRefusedError, UnreachableError

LAST: Final = 10.0
"""Seconds that the last look at what was sent may take: it holds up the end of a call."""

LAST_OFFLINE: Final = 3.0
"""The same where nothing has been answered in this call."""


class LastLooks:
    """Looks at all waves, or at all runs, and asks for the costs that are still not known."""

    def __init__(
        self,
        context: Context,
        *,
        poller: Poller,
        own_runs: OwnRuns,
        reconciler: Reconciler,
        costs: RunCosts,
        ref_filter: RefFilter,
    ) -> None:
        self._client = context.client
        self._progress = context.progress
        self._shutdown = context.shutdown
        self._poller = poller
        self._own_runs = own_runs
        self._reconciler = reconciler
        self._costs = costs
        self._ref_filter = ref_filter

    async def look(self) -> None:
        """Look once more at what was sent; where that can't be had in a moment, go without."""
        try:
            with anyio.move_on_after(LAST if self._client.answers else LAST_OFFLINE):
                async with self._shutdown.giving_way():
                    await self._look_at_all()
                    await self._costs.ask_last(self._ref_filter)
        except* (UnreachableError, KeyRefusedError) as group:
            for error in only_expected(group) or ():
                self._progress.note(f"the last look at the runs failed: {error}")

    async def _look_at_all(self) -> None:
        """Have the last look at each wave; where its list is of no use, at all runs."""
        left = await self._poller.look_last()
        if (left or self._poller.passed_over) and not await self._own_runs.look_back():
            await self._reconciler.owe_look(left)
        elif not left:
            await self._own_runs.look()
        for wave in left:
            wave.unlisted = False
        await self._reconciler.write_last_looks()
