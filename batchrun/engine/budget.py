"""The budget that is left: how much a run reserves before its cost is known. Pure.

**Settled plus reserved never exceeds the budget, but by what a run costs more than it reserved.**
An estimate is no bound. As long as no run of a choice has shown what it costs, one of it goes
first, and the others wait (rule 31 of the contract): it reserves four times its price label, or all
that is left where it has none. Once a run has cost 0.15 with a label of 0.01, fifty were under way.

A cell that only the reservations of others keep out waits; one that doesn't fit in what is settled
is passed over for others that do, and counted.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Protocol

from msgspec import Struct

from batchrun.base.text import money, number_of
from batchrun.engine.in_flight import Attempt, InFlight
from batchrun.engine.prices import Prices
from batchrun.errors import BudgetReachedError
from batchrun.ledger.book import Book

CAUTION: Final = 4
"""Labels that the first run of a choice reserves."""


NOTHING: Final = Decimal("-Infinity")
SOMETHING: Final = Decimal("1e-15")


class Keeps(Enum):
    """The reason why a run may not begin."""

    OTHERS = "runs under way reserve what it needs, or are to show its price first"
    COST = "the run that is to show its price has ended, and its cost isn't known yet"
    SETTLED = "what is spent leaves too little"


class Costs(Protocol):
    """The costs that aren't known yet, of runs that have ended; it knows how to wait for them."""

    @property
    def awaited(self) -> bool: ...
    def waits_for(self, choice: str) -> bool: ...
    def wait_for_any(self) -> bool: ...
    def wait_no_more(self) -> None: ...


class Reservation(Struct, frozen=True):
    """The money that a run of *choice* reserves; *first*: it shows what others will cost.

    Without a budget there is neither a choice nor an amount.
    """

    choice: str
    amount: Decimal | None
    first: bool


class Budget:
    """Holds *budget*, None for a call without one: then there is always room.

    A run of an earlier call without a budget reserves nothing once the price of its choice is
    known, and all that is left until then. *held_back* is True once a second send of an intent
    found no room.
    """

    def __init__(
        self,
        budget: Decimal | None,
        book: Book,
        in_flight: InFlight,
        *,
        prices: Prices,
        costs: Costs,
    ) -> None:
        self._budget = budget
        self._book = book
        self._in_flight = in_flight
        self._prices = prices
        self._costs = costs
        self._capped = {
            run_id: run.reserved - price
            for run_id, run in book.late_costs.unpriced.items()
            if (price := prices.given(run.alias)) is not None
            and run.reserved is not None
            and run.reserved > price
        }
        self._passed_over: Counter[tuple[str, str]] = Counter()
        self.held_back = False

    @property
    def limited(self) -> bool:
        return self._budget is not None

    @property
    def used_up(self) -> bool:
        """Whether no run has room any more, whatever becomes of those under way."""
        if not self.limited or self._prices.some_are_free or self._costs.awaited:
            return False
        return self._free() <= 0

    @property
    def overdrawn(self) -> bool:
        """Whether more is settled and reserved than there is: runs have cost more than reserved.

        What has not left by then is put off.
        """
        if not self.limited:
            return False
        reserved = self._reserved()
        return reserved is not None and reserved > self._free()

    def choice(self, model: str, inputs: Mapping[str, Any]) -> str:
        """Return the choice of a run, "" where no budget is kept."""
        return self._prices.choice(model, inputs) if self.limited else ""

    def offer(
        self,
        alias: str,
        choice: str,
        model: str,
        inputs: Mapping[str, Any],
        *,
        besides: Attempt | None = None,
    ) -> Reservation | Keeps:
        """Return what a run of *choice* may reserve, or what keeps it.

        *besides* is the attempt that it is of, where that is under way already.
        """
        free, bound = self._free(), self._prices.bound(alias, choice)
        if bound is None:
            if self._is_shown(choice, besides):
                return Keeps.OTHERS
            if self._costs.waits_for(choice):
                return Keeps.COST
        expected = self._prices.estimate(model, inputs) if bound is None else bound
        if free <= 0 if expected is None else expected > free:
            # What is counted for a run whose cost isn't known yet may become less.
            return Keeps.COST if self._costs.wait_for_any() else Keeps.SETTLED
        reserved = self._reserved(besides)
        room = NOTHING if reserved is None else free - reserved
        if expected is None:
            wanted = max(room, SOMETHING)
        else:
            wanted = min(expected if bound is not None else CAUTION * expected, free)
        if wanted > room:
            return Keeps.OTHERS
        return Reservation(choice, wanted, first=bound is None)

    def pass_over(self, alias: str, choice: str, model: str, inputs: Mapping[str, Any]) -> None:
        """Count a cell that what is settled leaves no room for, with its price as it is known."""
        bound = self._prices.bound(alias, choice)
        expected = self._prices.estimate(model, inputs)
        price = ""
        if bound is not None:
            price = f" at up to {money(bound)} USD"
        elif expected is not None:
            price = f" at about {money(expected)} USD"
        self._passed_over[alias, price] += 1

    def hold(self, attempt: Attempt, inputs: Mapping[str, Any]) -> None:
        """Reserve for what may be running already, whether there is room for it or not."""
        choice, amount = self._prices.choice(attempt.model, inputs), attempt.reserved
        if amount is None:
            amount = self._prices.bound(attempt.alias, choice)
        if amount is None:
            expected = self._prices.estimate(attempt.model, inputs)
            amount = None if expected is None else CAUTION * expected
        self._in_flight.reserve(attempt, amount, choice=choice)

    def admits(self, attempt: Attempt, inputs: Mapping[str, Any]) -> bool:
        """Say whether an attempt may be sent again, and reserve for it."""
        if not self.limited:
            return True
        choice = self.choice(attempt.model, inputs)
        found = self.offer(attempt.alias, choice, attempt.model, inputs, besides=attempt)
        if isinstance(found, Reservation):
            self._in_flight.reserve(attempt, found.amount)
            return True
        return False

    def wait_no_more(self) -> None:
        """Let the call end although costs aren't known: no cell is begun any more."""
        self._costs.wait_no_more()

    def may_get_room(self) -> bool:
        """Say whether what is under way holds a part of the budget, or a cost that isn't known."""
        if any(each.reserved != 0 and not each.parked for each in self._in_flight):
            return True
        return self._costs.wait_for_any()

    def reached(self) -> BudgetReachedError:
        """Return the reason to ask for no further run."""
        spent = f"{self._book.cost} USD are spent"
        if (reserved := self._reserved()) != 0:
            spent += f", {_share(reserved)} reserved for what may be running"
        if unpriced_runs := sum(facts.unpriced_runs for facts in self._book.models.values()):
            runs = number_of(unpriced_runs, "run")
            spent += f"; {runs} without a known cost, counted as {_share(self._assumed_cost())}"
            spent += " (`price` beside a model's `id` says what a run of it costs at most)"
        return BudgetReachedError(
            f"the budget of {self._budget} USD allows no further run: {spent}{self._no_fit()}"
        )

    def _no_fit(self) -> str:
        """Say which cells were passed over."""
        cells = [
            f"{number_of(count, 'cell')} of {alias}{price}"
            for (alias, price), count in sorted(self._passed_over.items())
        ]
        return f"; no room for {', '.join(cells)}" if cells else ""

    def _is_shown(self, choice: str, besides: Attempt | None) -> bool:
        """Say whether a run is under way that will show the price of *choice*.

        A parked one shows nothing in this call, and what reserves nothing isn't running.
        """
        return self._in_flight.has_choice(choice) and any(
            each.choice == choice
            and each is not besides
            and not each.parked
            and not (each.unresolved and each.reserved == 0)
            for each in self._in_flight
        )

    def _free(self) -> Decimal:
        """Return what is not settled; minus infinity where a cost of any size isn't known."""
        assert self._budget is not None
        assumed = self._assumed_cost()
        return NOTHING if assumed is None else self._budget - self._book.cost - assumed

    def _assumed_cost(self) -> Decimal | None:
        """Return what runs without a known cost count as; None is all that is left."""
        total = Decimal(0)
        for model, facts in self._book.models.items():
            each = facts.max_cost
            if each is None and facts.unreserved:
                each = self._prices.estimate(model, {})
            if facts.unreserved and each is None:
                return None
            total += facts.assumed_cost + facts.unreserved * (each or 0)
        return total - self._too_much()

    def _too_much(self) -> Decimal:
        """Return how much more runs of earlier calls reserved than the manifest's `price`."""
        unpriced = self._book.late_costs.unpriced
        for run_id in self._capped.keys() - unpriced.keys():
            del self._capped[run_id]
        return sum(self._capped.values(), Decimal(0))

    def _reserved(self, besides: Attempt | None = None) -> Decimal | None:
        """Return what the others under way may still cost; None is all that is left."""
        total = Decimal(0)
        own = None if besides is None else besides.share
        for each, number in self._in_flight.shares.items():
            alias, choice, amount = each
            others = number - (each == own)
            if amount is None:
                amount = self._prices.bound(alias, choice)
            if amount is not None:
                total += others * amount
            elif others:
                return None
        return total


def _share(amount: Decimal | None) -> str:
    return "the rest" if amount is None else f"{amount} USD"
