"""The budget that is left: how much a run reserves before its cost is known. Pure.

**Settled plus reserved never exceeds the budget; a second send passes as a first one does.** A run
reserves what the dearest run of its model has cost in this sweep, else what the price label says;
where neither is known, all that is left. So runs go one by one until the first has shown its cost.
Once the first run of an unknown price reserved all that was left, and the others nothing: they left
at once. And a call with a budget once sent again, without a reserve, what a call without a budget
had left in doubt.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from batchrun.engine.in_flight import Attempt, InFlight, share
from batchrun.errors import BudgetReachedError
from batchrun.ledger.book import Book, ModelFacts
from batchrun.runflow.prices import estimate


def left(budget: Decimal, *, settled: Decimal, reserved: Decimal) -> Decimal:
    """Return what may still be reserved."""
    return budget - settled - reserved


def reservation(facts: ModelFacts, estimate: Decimal | None, room: Decimal) -> Decimal | None:
    """Return what a run reserves, or None if there is no *room* for it."""
    expected = estimate if facts.max_cost is None else max(facts.max_cost, estimate or Decimal(0))
    if expected is None:
        return room if room > 0 else None
    return expected if expected <= room else None


class Budget:
    """Holds *budget*, None for a call without one: then there is always room.

    *labels* are the price labels of models, by id; only a budget asks for them. A run of an
    earlier call without a budget reserves nothing once its model's price is known, and all that is
    left until then. *held_back* is True once a second send of an intent found no room.
    """

    def __init__(self, budget: Decimal | None, book: Book, in_flight: InFlight) -> None:
        self._budget = budget
        self._book = book
        self._in_flight = in_flight
        self.labels: Mapping[str, str | None] = {}
        self.held_back = False

    @property
    def limited(self) -> bool:
        return self._budget is not None

    def reserve(
        self, model: str, inputs: Mapping[str, Any], *, besides: Attempt | None = None
    ) -> Decimal | None:
        """Return what a run reserves, None if there is no room for it.

        *besides* is the attempt that it is of, where that is under way already.
        """
        assert self._budget is not None
        reserved, assumed_cost = self._reserved(besides), self._assumed_cost()
        if reserved is None or assumed_cost is None:
            return None
        room = left(self._budget, settled=self._book.cost + assumed_cost, reserved=reserved)
        expected = estimate(self.labels.get(model), inputs)
        return reservation(self._book.facts(model), expected, room)

    def hold(self, attempt: Attempt, inputs: Mapping[str, Any]) -> None:
        """Reserve for what may be running already, whether there is room for it or not."""
        everything = Decimal("Infinity")
        expected = estimate(self.labels.get(attempt.model), inputs)
        wanted = reservation(self._book.facts(attempt.model), expected, everything)
        self._in_flight.reserve(attempt, None if wanted == everything else wanted)

    def admits(self, attempt: Attempt, inputs: Mapping[str, Any]) -> bool:
        """Say whether an attempt may be sent again, and reserve for it."""
        if not self.limited:
            return True
        reserved = self.reserve(attempt.model, inputs, besides=attempt)
        if reserved is not None:
            self._in_flight.reserve(attempt, reserved)
        return reserved is not None

    def may_get_room(self) -> bool:
        """Say whether something that is under way holds a part of the budget."""
        return any(each.reserved != 0 and not each.parked for each in self._in_flight)

    def reached(self) -> BudgetReachedError:
        """Return the reason to ask for no further run."""
        spent = f"{self._book.cost} USD are spent"
        if (reserved := self._reserved()) != 0:
            spent += f", {_share(reserved)} reserved for what may be running"
        if unpriced_runs := sum(facts.unpriced_runs for facts in self._book.models.values()):
            runs = f"{unpriced_runs} run{'s' * (unpriced_runs > 1)}"
            spent += f"; {runs} without a known cost, counted as {_share(self._assumed_cost())}"
        return BudgetReachedError(
            f"the budget of {self._budget} USD allows no further run: {spent}"
        )

    def _assumed_cost(self) -> Decimal | None:
        """Return what runs without a known cost count as; None is all that is left."""
        total = Decimal(0)
        for model, facts in self._book.models.items():
            each = facts.max_cost
            if each is None:
                each = estimate(self.labels.get(model), {})
            if facts.unreserved and each is None:
                return None
            total += facts.assumed_cost + facts.unreserved * (each or 0)
        return total

    def _reserved(self, besides: Attempt | None = None) -> Decimal | None:
        """Return what the others under way may still cost; None is all that is left."""
        total = Decimal(0)
        own = None if besides is None else share(besides)
        for each, number in self._in_flight.shares.items():
            model, amount = each
            others = number - (each == own)
            if amount is None:
                amount = self._book.facts(model).max_cost
            if amount is not None:
                total += others * amount
            elif others:
                return None
        return total


def _share(amount: Decimal | None) -> str:
    return "the rest" if amount is None else f"{amount} USD"
