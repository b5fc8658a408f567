"""The budgets that are left: how much a run reserves before its cost is known. Pure.

**Settled plus reserved never exceeds a budget, but by what a run costs more than it reserved.** A
call may have several: of the sweep, of models, of the day. Each is one of `pots.py`, and a run fits
where it fits into all that hold its alias.

An estimate is no bound. As long as no run of a choice has shown what it costs, one of it goes
first, and the others wait (rule 31 of the contract): it reserves four times its price label, or all
that is left where it has none. Once a run has cost 0.15 with a label of 0.01, fifty were under way.

A cell that only the reservations of others keep out waits; one that doesn't fit in what is settled
is passed over for others that do, and counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Protocol

from msgspec import Struct

from batchrun.base.text import listed, number_of, usd
from batchrun.engine.in_flight import Attempt, InFlight
from batchrun.engine.pots import Pot, is_near, is_overdrawn, room
from batchrun.engine.prices import Prices
from batchrun.errors import BudgetReachedError
from batchrun.runflow.published_prices import published

CAUTION: Final = 4
"""Labels that the first run of a choice reserves."""

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
    """Holds the *pots* of a call; without one there is always room.

    A run of an earlier call without a budget reserves nothing once the price of its choice is
    known, and all that is left until then. *held_back* is True once a second send of an intent
    found no room.
    """

    def __init__(
        self, pots: Sequence[Pot], in_flight: InFlight, *, prices: Prices, costs: Costs
    ) -> None:
        self.pots = pots
        self._in_flight = in_flight
        self._prices = prices
        self._costs = costs
        self._unknown: set[str] = set()  # choices of which a run reserved all that was left
        self._passed_over: Counter[tuple[str, str]] = Counter()
        self._reached: dict[str, Pot] = {}
        self._keeping: set[str] = set()
        self._near: set[str] = set()
        self.held_back = False

    @property
    def limited(self) -> bool:
        return bool(self.pots)

    def used_up(self, alias: str) -> bool:
        """Say whether no run of *alias* has room any more, whatever becomes of those under way."""
        if not self.limited or self._prices.some_are_free or self._costs.awaited:
            return False
        return self._note_reached(pot for pot in self._of(alias) if pot.free() <= 0)

    def overdrawn(self, alias: str) -> bool:
        """Say whether more is settled and reserved than there is: runs have cost more than that.

        What has not left by then is put off.
        """
        return any(map(is_overdrawn, self._of(alias)))

    def begin_round(self) -> None:
        """Forget which pots keep cells waiting: they ask once more."""
        self._keeping.clear()

    def keeps_waiting(self, pot: Pot) -> bool:
        """Say whether, in this round, reservations in *pot* kept a cell from beginning."""
        return pot.name in self._keeping

    def news(self) -> list[str]:
        """Return a line for each pot of which most is spent by now: once in a call."""
        found = []
        for pot in self.pots:
            if pot.name not in self._near and is_near(pot):
                self._near.add(pot.name)
                found.append(f"{usd(pot.limit - pot.free())} USD of {pot.name} are used")
        return found

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
        pots, bound = self._of(alias), self._prices.bound(alias, choice)
        if not pots:
            return Reservation(choice, bound, first=False)
        if keeps := bound is None and self._awaits_price(choice, besides):
            return keeps
        expected = self._prices.estimate(model, inputs) if bound is None else bound
        if full := [pot for pot in pots if _is_full(pot, self._least(expected, model, inputs))]:
            return self._kept_by_settled(full)
        if expected is None and self._tries_out_another(choice, besides):
            return Keeps.OTHERS
        rooms = {pot.name: room(pot, besides) for pot in pots}
        if expected is None:
            wanted = max(min(rooms.values()), SOMETHING)
        else:
            most = expected if bound is not None else CAUTION * expected
            wanted = min(most, *(pot.free() for pot in pots))
        if small := {name for name, each in rooms.items() if wanted > each}:
            self._keeping |= small
            return Keeps.OTHERS
        if expected is None:
            self._unknown.add(choice)
        return Reservation(choice, wanted, first=bound is None)

    def _least(
        self, expected: Decimal | None, model: str, inputs: Mapping[str, Any]
    ) -> Decimal | None:
        """Return what must be left for a run: a published price is too old to be reserved.

        But where not even that is left, the run would pass the budget for all that is known.
        """
        page = published(model, inputs) if expected is None else None
        return expected if page is None else page.usd

    def pass_over(self, alias: str, choice: str, model: str, inputs: Mapping[str, Any]) -> None:
        """Count a cell that what is settled leaves no room for, with its price as it is known."""
        bound = self._prices.bound(alias, choice)
        expected = self._prices.estimate(model, inputs)
        price = ""
        if bound is not None:
            price = f" at up to {usd(bound)} USD"
        elif (least := self._least(expected, model, inputs)) is not None:
            price = f" at about {usd(least)} USD"
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
        return self._costs.wait_for_any() or any(pot.elsewhere for pot in self.pots)

    def reached(self) -> BudgetReachedError:
        """Return the reason to ask for no further run."""
        pots = list(self._reached.values()) or [min(self.pots, key=room)]
        whys = (f"{pot.name} allows no further run: {pot.said()}" for pot in pots)
        said = listed(whys, by="; ")
        left = [label for pot in pots for label in pot.left]
        return BudgetReachedError(f"{said}{self._no_fit()}", left=left)

    def _no_fit(self) -> str:
        """Say which cells were passed over."""
        cells = [
            f"{number_of(count, 'cell')} of {alias}{price}"
            for (alias, price), count in sorted(self._passed_over.items())
        ]
        return f"; no room for {listed(cells)}" if cells else ""

    def _of(self, alias: str) -> list[Pot]:
        return [pot for pot in self.pots if pot.holds(alias)]

    def _awaits_price(self, choice: str, besides: Attempt | None) -> Keeps | None:
        """Return what keeps a run as long as another one is to show the price of *choice*."""
        if self._is_shown(choice, besides):
            return Keeps.OTHERS
        return Keeps.COST if self._costs.waits_for(choice) else None

    def _kept_by_settled(self, full: Iterable[Pot]) -> Keeps:
        """Return what keeps a run that doesn't fit into what isn't settled of *full* pots."""
        if self._costs.wait_for_any():  # what is counted for such a run may become less
            return Keeps.COST
        self._note_reached(full)
        return Keeps.SETTLED

    def _note_reached(self, pots: Iterable[Pot]) -> bool:
        """Remember which pots allow no further run; return whether there is one."""
        reached = {pot.name: pot for pot in pots}
        self._reached |= reached
        return bool(reached)

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

    def _tries_out_another(self, choice: str, besides: Attempt | None) -> bool:
        """Say whether a run is under way of another choice of which nothing is known.

        Those go one at a time over the whole sweep (rule 31): each may cost all that is left.
        """
        self._unknown = {each for each in self._unknown if self._in_flight.has_choice(each)}
        return any(self._is_shown(each, besides) for each in self._unknown - {choice})


def _is_full(pot: Pot, expected: Decimal | None) -> bool:
    """Say whether a run doesn't fit into what isn't settled of *pot*."""
    free = pot.free()
    return free <= 0 if expected is None else expected > free
