"""The budget of one UTC day, over all labels of a name, as a pot. Pure.

Living calls of other labels reserve a part of it: a cell that only these keep out waits. What a
call has left reserved that is gone counts as settled, until its label settles it (rule 33).
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from batchrun.base.text import usd
from batchrun.engine.in_flight import Attempt, InFlight, Share
from batchrun.engine.pots import NOTHING, held, share_of
from batchrun.engine.prices import Prices
from batchrun.ledger.day_sums import DaySums, Other, total


class DayPot:
    """What *limit* leaves of the *day*; *others* are the parts of the other labels.

    *sums* are those of this ledger. The day, "" before the first, is changed by `day_budget.py`.
    """

    def __init__(self, limit: Decimal, in_flight: InFlight, prices: Prices) -> None:
        self.limit = limit
        self.day = ""
        self.others: Sequence[Other] = ()
        self.sums = DaySums()
        self._in_flight = in_flight
        self._prices = prices

    @property
    def name(self) -> str:
        return f"the budget of {usd(self.limit)} USD a day ({self.day}, UTC)"

    @property
    def elsewhere(self) -> bool:
        """Two calls would wait for each other for ever: one that only waits frees nothing."""
        return any(other.alive and other.reserved != 0 and not other.waits for other in self.others)

    @property
    def left(self) -> Sequence[Path]:
        return [each.folder for each in self.others if not each.alive and each.reserved != 0]

    def holds(self, alias: str) -> bool:  # noqa: ARG002  (of any)
        return True

    def free(self) -> Decimal:
        gone = (other.reserved for other in self.others if not other.alive)
        assumed = total((self.unpriced(), *gone))
        if assumed is None:
            return NOTHING
        spent = sum((other.spent for other in self.others), self.spent)
        return self.limit - spent - assumed

    def reserved(self, besides: Attempt | None = None) -> Decimal | None:
        others = (other.reserved for other in self.others if other.alive)
        return total((self.own(besides), *others))

    def own(self, besides: Attempt | None = None) -> Decimal | None:
        """Return what attempts of this call reserve of the day; None is all that is left."""
        return held(self._in_flight, self._prices, self._is_of_day, besides)

    @property
    def spent(self) -> Decimal:
        """What runs of this ledger have cost that count on the day."""
        return self.sums.spent(self.day)

    def kept(self) -> Decimal | None:
        """Return what this call needs of the day beside what is spent; None is all that is left."""
        return total((self.own(), self.unpriced()))

    def unpriced(self) -> Decimal | None:
        """Return what runs of this ledger without a known cost count as; None is no bound."""
        return self.sums.unpriced(self.day, self._prices.given)

    def said(self) -> str:
        said = f"{usd(self.spent)} USD are spent"
        if (reserved := self.kept()) != 0:
            said += f", {share_of(reserved)} reserved for what may be running"
        if others := sum((each.spent for each in self.others), Decimal(0)):
            said += f"; {usd(others)} USD are spent by other labels"
        for each in self.others:
            if each.reserved != 0:
                goes_on = "which goes on" if each.alive else "whose call is gone"
                said += f"; {share_of(each.reserved)} reserved by {label_of(each)}, {goes_on}"
        return said

    def _is_of_day(self, share: Share) -> bool:
        return share.day in {None, self.day}


def label_of(other: Other) -> str:
    """Name another label in a message."""
    name = other.folder.name
    return f"label {name[1:]}" if name.startswith("@") else "the sweep without label"
