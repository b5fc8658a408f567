"""Begins what can begin, and waits for events, until nothing is active or the call is to leave."""

from typing import Final

import anyio
import anyio.lowlevel

from batchrun.engine.batcher import Batcher
from batchrun.engine.context import Context
from batchrun.engine.funds import Funds
from batchrun.engine.in_flight import Active
from batchrun.engine.last_looks import LastLooks
from batchrun.engine.resume import YIELD_EVERY
from batchrun.engine.scheduler import Scheduler
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Transitions
from batchrun.errors import LostLedgerError

GRACE: Final = 1.0
GRACE_OF_LOST: Final = 30.0
"""Seconds that answers under way get to arrive once a call leaves."""


class Driver:
    """The one task that gives slots to cells; all others ring the bell that it waits for."""

    def __init__(
        self,
        context: Context,
        *,
        active: Active,
        transitions: Transitions,
        funds: Funds,
        scheduler: Scheduler,
        batcher: Batcher,
        submitter: Submitter,
        last_looks: LastLooks,
    ) -> None:
        self._shutdown = context.shutdown
        self._active = active
        self._in_flight = transitions.in_flight
        self._budget, self._day = funds.budget, funds.day
        self._scheduler = scheduler
        self._batcher = batcher
        self._submitter = submitter
        self._last_looks = last_looks
        self._wakeup = transitions.wakeup

    async def drive(self) -> bool:
        """Return when nothing is active any more, or the call leaves; True where all were drawn."""
        all_drawn = False
        while True:
            await self._begin_cells()
            if self._shutdown.leaving:  # asked also here: amid a walk no task waits for the ring
                break
            if self._shutdown.holding:
                self._hold_back()
            if not (self._active or self._shutdown.interrupted):
                await self._last_looks.look()
            if not self._active:
                self._scheduler.stop_if_held()
                self._submitter.judge_at_end()
                all_drawn = self._scheduler.all_drawn
                break
            with anyio.move_on_at(self._batcher.leave(last=self._scheduler.done)):
                await self._wakeup.wait()
        if self._shutdown.leaving:
            self._hold_back()
            await self._let_answers_arrive()
        elif self._shutdown.submitting and self._scheduler.leaves_cells():
            self._shutdown.submit_no_more("parked runs hold the slots that are left")
        return all_drawn

    def _hold_back(self) -> None:
        self._batcher.hold_back()
        self._submitter.hold_back()

    async def _begin_cells(self) -> None:
        """Draw cells into free slots until none can be drawn; let others work amid a long walk.

        Where all that was drawn in a while rests, no further cell is in sight for the cells that
        wait to share a request.
        """
        drawn, begun = 0, len(self._in_flight)
        await self._day.begin_round()
        self._scheduler.begin_round()
        while not self._shutdown.leaving and self._scheduler.draw():
            drawn += 1
            if drawn % YIELD_EVERY == 0:
                if len(self._in_flight) <= begun:
                    self._batcher.leave(last=False)
                begun = len(self._in_flight)
                await anyio.lowlevel.checkpoint()
        self._day.wait(self._budget)

    async def _let_answers_arrive(self) -> None:
        """Wait a little for the answers of requests that have left; what has not left, doesn't.

        Where the ledger turned out to be old, or a copy, their answers are waited for (rule 12).
        """
        lost = any(isinstance(error, LostLedgerError) for error in self._shutdown.errors)
        with anyio.move_on_after(GRACE_OF_LOST if lost else GRACE):
            while self._in_flight.sending() and not self._shutdown.at_once:
                await self._wakeup.wait()
