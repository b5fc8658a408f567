"""How much a run may cost before it is known what it did cost. Pure.

Settled plus reserved never exceeds the budget. A run reserves what the dearest run of its model has
cost in this sweep, else what the price label says; where neither is known, all that is left: so
runs go one by one until the first has told the price.
"""

from decimal import Decimal

from batchrun.ledger.book import ModelFacts


def left(budget: Decimal, *, settled: Decimal, reserved: Decimal) -> Decimal:
    """Return what may still be reserved."""
    return budget - settled - reserved


def reservation(facts: ModelFacts, estimate: Decimal | None, room: Decimal) -> Decimal | None:
    """Return what a run reserves, or None if there is no *room* for it."""
    expected = estimate if facts.dearest is None else max(facts.dearest, estimate or Decimal(0))
    if expected is None:
        return room if room > 0 else None
    return expected if expected <= room else None
