"""Cells of the ledger that the manifest no longer names, and what they have cost."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from batchrun.ledger.book import Book
from batchrun.ledger.history import GOOD, NOWHERE, OPEN, History
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Finished

MOST_ADDED_UP: Final = 20_000
"""Cells up to which a call's end adds up what they have cost: a line of the ledger is read for
each.
"""


class Lost(Struct, frozen=True, kw_only=True):
    """The paid cells of the ledger that the manifest doesn't name, and what they have cost."""

    cells: int = 0
    cost: Decimal = Decimal(0)

    def without(self, others: "Lost") -> "Lost":
        """Return these cells without *others*, which are among them."""
        return Lost(cells=self.cells - others.cells, cost=self.cost - others.cost)


def lost_cells(ledger: Readable, orphans: Iterable[str]) -> Lost:
    """Return which of the *orphans* are paid, and what all of them have cost."""
    cells, cost = 0, Decimal(0)
    for key in orphans:
        history = ledger.book.history(key)
        spent = _cost(ledger, history) + ledger.book.other_costs.get(key, Decimal(0))
        cells += bool(spent) or is_paid(ledger.book, key)
        cost += spent
    return Lost(cells=cells, cost=cost)


def is_paid(book: Book, key: str) -> bool:
    """Say whether a cell was paid for, or may be paid for by a run that is open."""
    return book.history(key).state in GOOD | OPEN or bool(book.other_costs.get(key))


def _cost(ledger: Readable, history: History) -> Decimal:
    if history.state not in GOOD or history.ended_line == NOWHERE:
        return Decimal(0)
    ended = ledger.read(history.ended_line)
    return (isinstance(ended, Finished) and ended.cost) or Decimal(0)


def orphans_cost(ledger: Readable, orphans: Iterable[str], number: int) -> Decimal | None:
    """Return what the *orphans* have cost, of which there are so many; None for too many."""
    return lost_cells(ledger, orphans).cost if number <= MOST_ADDED_UP else None
