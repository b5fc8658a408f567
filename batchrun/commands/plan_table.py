"""The table of a plan: a line for each model, and what its cells may cost."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from batchrun.base.text import decimals_of, listed, number_of, usd
from batchrun.engine.price_list import Cost
from batchrun.results.tally import ModelRow

NONE: Final = Cost()
_CENT: Final = Decimal("0.0001")
_HEAD: Final = (
    *("model", "cells", "done", "ended badly", "open", "to do"),
    *("cost to come", "price known from"),
)
_BAD: Final = 3
_AMOUNT: Final = 6
_SOURCE: Final = 7


def plan_table(models: Sequence[tuple[ModelRow, Cost]], width: int | None = None) -> Sequence[str]:
    """Return the heading, and a line for each of *models* with what is to do of it.

    Where that is wider than a terminal's *width*, where prices are known from is said below it;
    and where that is not enough, the amounts are without their ends, which the sum has.
    """
    costs = [cost for _, cost in models]
    lines = _lined(models, _aligned(costs), _HEAD)
    if width is None or max(map(len, lines)) <= width:
        return lines
    lines = _lined(models, _aligned(costs), _HEAD[:_SOURCE])
    if max(map(len, lines)) > width:
        lines = _lined(models, _aligned(costs, ends=False), _HEAD[:_SOURCE])
    known: dict[str, list[str]] = {}
    for row, cost in models:
        if cost.cells:
            known.setdefault(sources(cost), []).append(row.alias)
    said = (f"{source} ({listed(aliases)})" for source, aliases in known.items())
    return [*lines, f"prices known from: {listed(said, by='; ')}"] if known else lines


def _lined(
    models: Sequence[tuple[ModelRow, Cost]], amounts: Sequence[str], head: Sequence[str]
) -> Sequence[str]:
    """Return the lines of a table with the columns of *head*; of bad ends only where one is."""
    rows = [
        head,
        *(_row(row, cost, said) for (row, cost), said in zip(models, amounts, strict=True)),
    ]
    is_bad = any(_bad(row) for row, _ in models)
    shown = [n for n in range(len(head)) if n != _BAD or is_bad]
    widths = {n: max(len(row[n]) for row in rows) for n in shown}
    fitted = (
        [row[n].rjust(widths[n]) if 0 < n < _AMOUNT else row[n].ljust(widths[n]) for n in shown]
        for row in rows
    )
    return ["  ".join(row).rstrip() for row in fitted]


def _row(row: ModelRow, cost: Cost, said: str) -> Sequence[str]:
    tally, bad = row.tally, _bad(row)
    under_way = tally.in_flight + tally.parked + tally.in_doubt
    done = tally.cells - tally.pending - under_way - bad
    numbers = (f"{number:,}" for number in (tally.cells, done, bad, under_way, cost.cells))
    return row.alias, *numbers, said, sources(cost) if cost.cells else ""


def _bad(row: ModelRow) -> int:
    return row.tally.failed + row.tally.rejected + row.tally.cancelled


def _aligned(costs: Sequence[Cost], *, ends: bool = True) -> Sequence[str]:
    """Spell what each model costs: in each place of the column amounts end below each other."""
    known = [each for each in costs if each.cells and each.known]
    amounts = [amount for each in known for amount in (each.low, each.expected, each.high)]
    decimals = decimals_of(amount.quantize(_CENT) for amount in amounts)
    shown = 4 if ends else 2
    rows = [_parts(each, decimals)[:shown] for each in known]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(shown)]
    return [
        _fitted(_parts(each, decimals)[:shown], widths)
        if each.cells and each.known
        else _bare(each)
        for each in costs
    ]


def _parts(cost: Cost, decimals: int) -> Sequence[str]:
    """Return the word before the amount, the amount, and its ends where they aren't all one."""
    ends = (cost.low, cost.high) if cost.low != cost.high else ()
    amounts = [rounded(each, decimals) for each in (cost.expected, *ends)]
    return [_word(cost), *amounts, *[""] * (3 - len(amounts))]


def _fitted(parts: Sequence[str], widths: Sequence[int]) -> str:
    word = parts[0].ljust(widths[0])
    expected, *ends = (text.rjust(width) for text, width in zip(parts[1:], widths[1:], strict=True))
    return f"{word} {expected} USD" + (f" ({' to '.join(ends)})" if any(parts[2:]) else "")


def _bare(cost: Cost) -> str:
    return "unknown" if cost.cells else "none"


def _word(cost: Cost) -> str:
    return "at least" if cost.unknown else "about"


def spelled(cost: Cost) -> str:
    """Return an amount as people read it: with its ends where they aren't all one."""
    if not cost.known:
        return "unknown"
    _, expected, low, high = _parts(cost, 2)
    return f"{_word(cost)} {expected} USD" + (f" ({low} to {high})" if low else "")


def sources(cost: Cost) -> str:
    """Return where the prices are known from; how many cells each of several is of."""
    found = dict(cost.sources)
    if cost.unknown:
        found["not known"] = cost.unknown
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{said}: {number_of(cells, 'cell')}" for said, cells in found.items())


def total(cost: Cost) -> str:
    """Return what all of it may cost, in words that follow a comma; "" where no price is known."""
    return f", {spelled(cost)}" if cost.known else ""


def rounded(amount: Decimal, decimals: int = 2) -> str:
    """Spell an amount of a plan: no digit of it is worth more than a hundredth of a cent."""
    return usd(amount.quantize(_CENT), decimals=decimals)
