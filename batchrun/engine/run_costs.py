"""What runs have cost: prices are learnt from it, and a cost that isn't known yet is asked for.

**"Not known yet" is never taken for a fact.** A service may show the end of a run before its cost,
or a cost of 0 until it knows better. Such a cost is taken from whatever list shows the run next. At
the end of a call it is waited for a little, and the next call asks once more. Where a budget waits
for the cost, to learn the price of a choice, the run is asked for by its id.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

import anyio
from msgspec import Struct
from msgspec.structs import replace

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active, Attempt
from batchrun.engine.prices import Prices
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.shutdown import Wakeup
from batchrun.errors import KeyRefusedError, UnreachableError
from batchrun.ledger.facts import MOST_UNPRICED, RECENT
from batchrun.ledger.history import State
from batchrun.ledger.records import Priced
from batchrun.runflow.wire import Run

PAUSES: Final = (2.0, 3.0, 5.0, 5.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Seconds before each time that a run is asked for a cost that others wait for: five minutes."""

TWICE: Final = timedelta(seconds=60)
"""Apart, a cost of 0 is said twice before it is a price."""

LAST: Final = (2.0, 3.0)
"""Seconds before each look for costs at the end of a call."""

MOST_WAVES: Final = 5
"""Waves that are asked for costs at the end of a call."""


class Owed(Struct, kw_only=True):
    """A run whose cost isn't known: none was said, or 0 (*zero*) *since* then.

    *choice* is "" where no price is learnt; *earlier*: an earlier call saw its end.
    """

    cell: str
    attempt: int
    client_ref: str
    choice: str
    zero: bool
    since: float
    earlier: bool = False


class RunCosts:
    """Takes in each end of a run, and remembers which costs are owed."""

    def __init__(self, context: Context, *, prices: Prices, active: Active, wakeup: Wakeup) -> None:
        self._context = context
        self._client = context.client
        self._ledger = context.ledger
        self._limited = context.settings.limited
        self._prices = prices
        self._active = active
        self._wakeup = wakeup
        self._owed: dict[str, Owed] = {}
        self._awaited: dict[str, str] = {}  # by choice: the run whose cost shows its price
        self._given_up: set[str] = set()
        self._news = Wakeup()
        self._free_models = {
            model for model, facts in self._ledger.book.models.items() if facts.max_cost == 0
        }
        self._take_over()

    def _take_over(self) -> None:
        """Owe what earlier calls have left open: with a budget all, since it may hold that up."""
        book, now = self._ledger.book, self._ledger.opened_at
        for run_id, run in book.late_costs.unpriced.items():
            if self._limited or run.age(now) < RECENT:
                self._owed[run_id] = Owed(
                    cell=run.cell,
                    attempt=run.attempt,
                    client_ref=run.client_ref,
                    choice="",
                    zero=True,
                    since=anyio.current_time() - run.age(now).total_seconds(),
                    earlier=True,
                )

    @property
    def awaited(self) -> bool:
        """Whether a run has ended whose cost will show a price."""
        return bool(self._awaited)

    def waits_for(self, choice: str) -> bool:
        """Say whether a run has ended whose cost will show the price of *choice*; wait for it."""
        if choice not in self._awaited:
            return False
        self._active.note((self, choice), awaited=True)
        self._news.ring()
        return True

    def wait_for_any(self) -> bool:
        """Say whether a cost is awaited that will show a price; wait for it."""
        for choice in self._awaited:
            self.waits_for(choice)
        return self.awaited

    def ended(self, attempt: Attempt, run: Run) -> Run:
        """Take in the end of an attempt's run; return it without a cost that isn't believed."""
        if run.status_code == State.FAILED:
            return run  # it isn't billed (runflow-api.md, section 11)
        if run.cost is not None and (run.cost > 0 or (not run.cost and self._is_free(attempt))):
            if run.cost and run.status_code == State.SUCCEEDED:
                self._learn(attempt.choice, run.cost)
            return run
        self._owe(attempt, run)
        return replace(run, cost=None)

    def _is_free(self, attempt: Attempt) -> bool:
        """Say whether a cost of 0 is believed at once."""
        if self._limited:
            return self._prices.bound(attempt.alias, attempt.choice) == 0
        return attempt.model in self._free_models

    def _owe(self, attempt: Attempt, run: Run) -> None:
        if len(self._owed) >= MOST_UNPRICED:  # a service that says no costs says none of them
            awaited = {*self._awaited.values()}
            del self._owed[next(each for each in self._owed if each not in awaited)]
        self._owed[run.id] = Owed(
            cell=attempt.key,
            attempt=attempt.number,
            client_ref=attempt.client_ref,
            choice=attempt.choice if run.status_code == State.SUCCEEDED else "",
            zero=run.cost is not None,
            since=anyio.current_time(),
        )
        if self._limited and attempt.choice and run.status_code == State.SUCCEEDED:
            unknown = self._prices.bound(attempt.alias, attempt.choice) is None
            if unknown and attempt.choice not in self._given_up:
                self._awaited.setdefault(attempt.choice, run.id)

    def _learn(self, choice: str, cost: Decimal) -> None:
        if self._limited and choice:
            self._prices.learn(choice, cost)
            self._no_longer_awaited(choice)

    def _no_longer_awaited(self, choice: str) -> None:
        self._awaited.pop(choice, None)
        self._active.note((self, choice), awaited=False)
        self._wakeup.ring()

    def wait_no_more(self) -> None:
        """Let the call end: no cell is begun any more."""
        for choice in list(self._awaited):
            self._no_longer_awaited(choice)

    async def show(self, runs: Iterable[Run]) -> None:
        """Write the costs of those of *runs* that were owed."""
        if not self._owed:
            return
        found = []
        for run in runs:
            owed = self._owed.get(run.id)
            if owed is None or run.cost is None or run.cost < 0:
                continue
            again = anyio.current_time() - owed.since >= TWICE.total_seconds()
            if not run.cost and (not owed.zero or not again):
                owed.since = owed.since if owed.zero else anyio.current_time()
                owed.zero = True
                continue
            del self._owed[run.id]
            found.append(Priced(cell=owed.cell, attempt=owed.attempt, run_id=run.id, cost=run.cost))
            self._learn(owed.choice, run.cost)
        await self._ledger.append(*found)

    async def run(self) -> None:
        """Ask for the costs that cells wait for, until cancelled."""
        asked: set[str] = set()
        async with anyio.create_task_group() as tasks:
            while True:
                for choice, run_id in self._awaited.items():
                    if run_id not in asked:
                        asked.add(run_id)
                        name = f"ask for the cost of {run_id}"
                        tasks.start_soon(self._ask, choice, run_id, name=name)
                await self._news.wait()

    async def _ask(self, choice: str, run_id: str) -> None:
        for pause in PAUSES:
            await anyio.sleep(pause)
            if self._awaited.get(choice) != run_id:
                return
            run = await self._asked(run_id)
            if run is not None:
                await self.show([run])
        if self._awaited.get(choice) == run_id:
            self._given_up.add(choice)
            self._no_longer_awaited(choice)

    async def _asked(self, run_id: str) -> Run | None:
        try:
            return await self._client.get_run(run_id)
        except (UnreachableError, KeyRefusedError) as error:
            # A cost that can't be had is no reason to stop: parts that need the service report it.
            self._context.progress.note(
                f"the cost of run {run_id} could not be asked for: {error}; it is asked for again"
            )
            return None

    async def ask_last(self, ref_filter: RefFilter) -> None:
        """Wait a little for costs that are still owed, before a call ends.

        Lists show many at once. Where the first ones show none, the service isn't waited for.
        """
        for pause in LAST:
            new = any(not each.earlier for each in self._owed.values())
            if new:
                await anyio.sleep(pause)
            await self.ask(ref_filter)
            if not new:
                return

    async def ask(self, ref_filter: RefFilter) -> None:
        """Look once for the costs that are owed, in the newest waves."""
        newest = reversed(dict.fromkeys(each.client_ref for each in self._owed.values()))
        for ref in list(islice(newest, MOST_WAVES)):
            await self.show(await ref_filter.runs_of(ref) or ())
