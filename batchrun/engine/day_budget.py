"""Keeps the budget of a day with the other labels of a name, from the first POST to the end.

A chunk is drawn from the day's pool before a request leaves, for all that is about to leave; where
prices are known, for some further cells, so that not each request waits for the disk. The rest goes
back when cells wait, when the day is over, and at the end.
"""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final

import anyio

from batchrun.base.progress import Notices
from batchrun.base.times import moment
from batchrun.engine.budget import Budget
from batchrun.engine.context import Context
from batchrun.engine.day_pot import DayPot
from batchrun.engine.in_flight import Active, Attempt, InFlight
from batchrun.engine.pots import room
from batchrun.engine.prices import Prices
from batchrun.engine.shutdown import Wakeup
from batchrun.ledger.day_file import DayFile, DayPool
from batchrun.ledger.day_sums import day_at, total
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import day_sums

LOOK: Final = 1.0
"""Seconds between two looks at the other labels, while they reserve what cells wait for."""

AHEAD: Final = 9
"""Further cells that a chunk is for."""

SHARE: Final = 8
"""A chunk leaves so many times as much to the other labels as it has beyond what is needed."""

SMALLEST: Final = Decimal("0.0001")

OWN_CLOCK: Final = (
    "the service says no time: the day of `budget_per_day` goes by the clock of this machine"
)


class DayBudget:
    """The part of the day's budget in a call; *pot* is None where none is kept by day."""

    def __init__(
        self,
        context: Context,
        *,
        in_flight: InFlight,
        prices: Prices,
        active: Active,
        wakeup: Wakeup,
    ) -> None:
        self._context = context
        self._ledger = context.ledger
        self._client = context.client
        self._in_flight = in_flight
        self._prices = prices
        self._active = active
        self._wakeup = wakeup
        self._notices = Notices(context.progress)
        self._pools: dict[str, DayPool] = {}  # of each day of this call
        self._turn = anyio.Lock()
        self._waiting = False
        self.pot: DayPot | None = None
        if (limit := context.settings.budget_per_day) is not None:
            self.pot = DayPot(limit, in_flight, prices)

    async def begin(self) -> None:
        """Take in what earlier calls have spent and left, and say so to the other labels.

        Raises FolderError where the day's file can't be used: then nothing is sent.
        """
        if self.pot is None:
            return
        if self._client.server_time is None:
            self._notices.once(OWN_CLOCK)
        self.pot.sums = await self._ledger.scan(day_sums)
        self._ledger.follow(self.pot.sums.take)
        await self.begin_round()

    async def begin_round(self) -> None:
        """Go on with the budget of the next day once the day is over.

        The service's clock may also go back: an answer of another host, or one wrong date.
        """
        if self.pot is not None and (day := self._today()) != self.pot.day:
            async with self._turn:
                await self._turn_to(self.pot, day)

    def wait(self, budget: Budget) -> None:
        """Wait for the other labels if what they reserve keeps cells from beginning."""
        if self.pot is None:
            return
        kept = budget.keeps_waiting(self.pot)
        self._waiting = kept and self.pot.elsewhere and self._context.shutdown.submitting
        self._active.note(self, awaited=self._waiting)
        if self._waiting:
            self._notices.once(f"cells wait for other labels: {self.pot.said()}")

    async def cover(self, attempts: Sequence[Attempt], intent: Intent | None = None) -> bool:
        """Return whether all that may run is drawn, these *attempts* too; durably.

        They count on the day of their *intent*; without one it is made already, and is sent again.
        Where there is no room, the parts of the others are known by then.
        """
        if self.pot is None:
            return True
        dated = None if intent is None else moment(intent.server_at)
        day = self._today() if dated is None else day_at(dated)
        async with self._turn:
            if day != self.pot.day:
                await self._turn_to(self.pot, day)
            covered = await self._draw(self.pot, attempts)
        if covered and intent is not None:
            for attempt in attempts:
                self._in_flight.date(attempt, day)
        return covered

    async def run(self) -> None:
        """Look at the other labels while they reserve a part of the day, until cancelled."""
        pot = self.pot
        while pot is not None:
            await anyio.sleep(LOOK)
            if not (pot.elsewhere or self._waiting):
                continue
            async with self._turn:
                if self._waiting:
                    await self._give_back(pot)
                else:
                    await self._pools[pot.day].look()
                others = self._pools[pot.day].others
                changed, pot.others = pot.others != others, others
            if changed or self._today() != pot.day:
                self._wakeup.ring()

    async def end(self) -> None:
        """Give back what was drawn and is not needed, and say what each day has come to."""
        for pool in list(self._pools.values()):
            if self.pot is not None:
                sums, day = self.pot.sums, pool.day
                unpriced = sums.unpriced(day, self._prices.given)
                reserved = total((unpriced, sums.may_cost(day)))
                await pool.settle(spent=sums.spent(day), reserved=reserved)

    async def _turn_to(self, pot: DayPot, day: str) -> None:
        """Begin with the budget of *day*; what is reserved of the day before stays reserved."""
        pool = self._pools.get(day) or await self._begun(pot.limit, day)
        if self._pools:
            await self._give_back(pot)
        pot.day = day
        self._pools[day] = pool
        await pool.settle(spent=pot.spent, reserved=pot.kept())
        pot.others = pool.others

    async def _begun(self, limit: Decimal, day: str) -> DayPool:
        folder, ledger, given = self._context.folder.path, self._ledger, self._prices.given
        pool = DayFile(folder, day, limit=limit, disk=ledger.disk, clock=ledger.now, given=given)
        await pool.begin(self._client.server_now())
        return pool

    async def _draw(self, pot: DayPot, attempts: Sequence[Attempt]) -> bool:
        pool, kept = self._pools[pot.day], pot.kept()
        if kept is None:
            return False
        short = pot.spent + kept - pool.drawn
        if short <= 0 and pool.in_place():
            return True
        least = max(short, Decimal(0))
        ahead = Decimal(0) if any(each.first for each in attempts) else _ahead(pot, attempts)
        chunk = await pool.reserve(least + ahead, least=least, spent=pot.spent)
        pot.others = pool.others
        return chunk is not None

    async def _give_back(self, pot: DayPot) -> None:
        """Say what is settled by now, and give back what was drawn for cells that did not come.

        Two calls would wait for ever for what each of them reserves in its last line.
        """
        if (kept := pot.kept()) is not None:
            waits = self._waiting and self._active.only(self)
            await self._pools[pot.day].settle(spent=pot.spent, reserved=kept, waits=waits)

    def _today(self) -> str:
        """Return the UTC day by the service's clock, or by ours where that isn't known."""
        return day_at(self._client.server_time or self._ledger.now())


def _ahead(pot: DayPot, attempts: Sequence[Attempt]) -> Decimal:
    """Return what is drawn for further cells like *attempts*; most of it is left to others."""
    wanted = AHEAD * sum((each.reserved or Decimal(0) for each in attempts), Decimal(0))
    left = room(pot)
    if not left.is_finite() or left <= 0:
        return Decimal(0)
    return min(wanted, (left / SHARE).quantize(SMALLEST, ROUND_DOWN))
