"""The limits that a run has to fit in: the sweep's, its model's, and that of the day. Pure.

Each is a pot: *free* is what is not settled, and *reserved* what runs that aren't settled may take
of it. A run may begin where it fits into every pot that holds its alias.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

from batchrun.base.text import number_of, usd
from batchrun.engine.in_flight import Attempt, InFlight, Share
from batchrun.engine.prices import Prices
from batchrun.ledger.book import Book
from batchrun.ledger.facts import ModelFacts, WithoutCost

NOTHING: Final = Decimal("-Infinity")

NEAR: Final = Decimal("0.8")
"""The part of a budget at which one line is said."""


class Pot(Protocol):
    """One limit, and what is left of it."""

    @property
    def limit(self) -> Decimal:
        """The limit, in USD."""

    @property
    def name(self) -> str:
        """The budget as messages name it."""

    @property
    def elsewhere(self) -> bool:
        """Whether calls that go on elsewhere reserve a part of it."""

    @property
    def left(self) -> Sequence[Path]:
        """The folders of calls that have gone, and whose reservations still count."""

    def holds(self, alias: str) -> bool:
        """Say whether runs of *alias* take from it."""

    def free(self) -> Decimal:
        """Return what is not settled; minus infinity where a cost of any size isn't known."""

    def reserved(self, besides: Attempt | None = None) -> Decimal | None:
        """Return what runs that aren't settled may take, *besides* one; None is all of it."""

    def said(self) -> str:
        """Say what was spent of it, and what is reserved."""


def room(pot: Pot, besides: Attempt | None = None) -> Decimal:
    """Return what a further run may reserve in *pot*; minus infinity where all is reserved."""
    reserved = pot.reserved(besides)
    return NOTHING if reserved is None else pot.free() - reserved


def is_overdrawn(pot: Pot) -> bool:
    """Say whether runs have cost so much more than they reserved that others don't fit now."""
    reserved = pot.reserved()
    return reserved is not None and reserved > pot.free()


def is_near(pot: Pot) -> bool:
    """Say whether most of *pot* is settled; where a cost isn't known, it isn't said."""
    free = pot.free()
    return free.is_finite() and pot.limit - free >= NEAR * pot.limit


class LifePot:
    """The budget over the life of a ledger: of all its runs, or of one *alias*."""

    elsewhere = False
    left: Sequence[Path] = ()

    def __init__(
        self,
        limit: Decimal,
        book: Book,
        in_flight: InFlight,
        prices: Prices,
        *,
        alias: str | None = None,
    ) -> None:
        self.limit = limit
        self.name = f"the budget of {usd(limit)} USD"
        if alias is not None:
            self.name += f" for {alias}"
        self._alias = alias
        self._book = book
        self._in_flight = in_flight
        self._prices = prices
        self._capped = {
            run_id: run.reserved - price
            for run_id, run in book.late_costs.unpriced.items()
            if (price := prices.given(run.alias)) is not None
            and run.reserved is not None
            and run.reserved > price
            and self.holds(run.alias)
        }

    def holds(self, alias: str) -> bool:
        return self._alias in {None, alias}

    def free(self) -> Decimal:
        assumed = self._assumed_cost()
        return NOTHING if assumed is None else self.limit - self._spent() - assumed

    def reserved(self, besides: Attempt | None = None) -> Decimal | None:
        return held(self._in_flight, self._prices, lambda share: self.holds(share.alias), besides)

    def said(self) -> str:
        said = f"{usd(self._spent())} USD are spent"
        if (reserved := self.reserved()) != 0:
            said += f", {share_of(reserved)} reserved for what may be running"
        if unpriced := sum(runs.runs for _, _, _, runs in self._unpriced()):
            said += f"; {number_of(unpriced, 'run')} without a known cost, counted as "
            said += f"{share_of(self._assumed_cost())} (`price` beside a model's `id` says what a "
            said += "run of it costs at most)"
        return said

    def _spent(self) -> Decimal:
        if self._alias is None:
            return self._book.cost
        return self._book.spent.get(self._alias, Decimal(0))

    def _unpriced(self) -> Iterator[tuple[str, str, ModelFacts, WithoutCost]]:
        """Yield the runs without a known cost, by model and alias."""
        for model, facts in self._book.models.items():
            for alias, runs in facts.without_cost.items():
                if self.holds(alias):
                    yield model, alias, facts, runs

    def _assumed_cost(self) -> Decimal | None:
        """Return what runs without a known cost count as; None is all that is left."""
        total = Decimal(0)
        for model, alias, facts, runs in self._unpriced():
            each = self._prices.given(alias) if facts.max_cost is None else facts.max_cost
            if each is None and runs.unreserved:
                each = self._prices.estimate(model, {})
            if runs.unreserved and each is None:
                return None
            total += runs.reserved + runs.unreserved * (each or 0)
        return total - self._too_much()

    def _too_much(self) -> Decimal:
        """Return how much more runs of earlier calls reserved than the manifest's `price`."""
        unpriced = self._book.late_costs.unpriced
        for run_id in self._capped.keys() - unpriced.keys():
            del self._capped[run_id]
        return sum(self._capped.values(), Decimal(0))


def held(
    in_flight: InFlight,
    prices: Prices,
    counts: Callable[[Share], bool],
    besides: Attempt | None = None,
) -> Decimal | None:
    """Return what attempts under way may cost whose share *counts*; None is all that is left."""
    total = Decimal(0)
    own = None if besides is None else besides.share
    for share, number in in_flight.shares.items():
        others = number - (share == own)
        if not others or not counts(share):
            continue
        amount = share.amount
        if amount is None:
            amount = prices.bound(share.alias, share.choice)
        if amount is None:
            return None
        total += others * amount
    return total


def pots_of(
    sweep: Decimal | None,
    models: Mapping[str, Decimal],
    book: Book,
    in_flight: InFlight,
    prices: Prices,
) -> list[Pot]:
    """Return the pots over a ledger's life: of the *sweep*, and of *models* by alias."""
    pots: list[Pot] = [
        LifePot(limit, book, in_flight, prices, alias=alias) for alias, limit in models.items()
    ]
    if sweep is not None:
        pots.insert(0, LifePot(sweep, book, in_flight, prices))
    return pots


def share_of(amount: Decimal | None) -> str:
    """Spell an amount of USD, or all that is left."""
    return "the rest" if amount is None else f"{usd(amount)} USD"
