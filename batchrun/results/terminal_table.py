"""The short table on stdout: a line for each model, the totals, where the files are. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from batchrun.base.text import decimals_of, number_of, usd
from batchrun.base.widths import cut, width_of
from batchrun.results.standing_words import HEADINGS
from batchrun.results.summary import Summary
from batchrun.results.tally import ModelRow, Tally

_GAP: Final = "  "
NO_CELL: Final = "no cell is left to run: `exclude` drops every one"
_NARROWEST: Final = 8


def table(
    summary: Summary,
    models: Sequence[ModelRow],
    width: int = 80,
    *,
    orphans_cost: Decimal | None = None,
) -> str:
    """Return the table, its lines at most *width* columns wide where the numbers allow it.

    *orphans_cost* is what cells have cost that the manifest no longer names, in USD, if it's known.
    """
    # A column that is zero everywhere is left out, but for the first.
    shown = [name for name in HEADINGS if name == "succeeded" or getattr(summary, name)]
    gone = summary.cost - sum((row.cost for row in models), Decimal(0))
    decimals = decimals_of([*(row.cost for row in models), gone, summary.cost])
    cost = partial(usd, decimals=decimals)
    rows = [["model", "cells", *(HEADINGS[name] for name in shown), "USD"]]
    rows += [[*_line(row.alias, row.tally, shown), cost(row.cost)] for row in models]
    if gone:
        # Aliases that the manifest no longer has; without them the column would not add up.
        rows.append(["not in the manifest", "", *("" for _ in shown), cost(gone)])
    if len(rows) > 2:
        rows.append([*_line("total", summary.tally, shown), cost(summary.cost)])
    notes = [] if models else [NO_CELL]
    return "\n".join([*_aligned(rows, width), *_below(summary, notes, orphans_cost)])


def _line(label: str, tally: Tally, shown: Sequence[str]) -> list[str]:
    numbers = (getattr(tally, name) for name in shown)
    return [label, f"{tally.cells:,}", *(f"{number:,}" if number else "-" for number in numbers)]


def _aligned(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Align the first column left and the others right, with a rule under the headings."""
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)
    widths[0] = min(widths[0], max(_NARROWEST, room))
    lines = []
    for row in rows:
        label = cut(row[0], widths[0])
        numbers = (text.rjust(size) for text, size in zip(row[1:], widths[1:], strict=True))
        padding = " " * (widths[0] - width_of(label))
        lines.append(_GAP.join([label + padding, *numbers]))
    rule = _GAP.join("─" * size for size in widths)
    return [lines[0], rule, *lines[1:]]


def _below(summary: Summary, notes: Sequence[str], orphans_cost: Decimal | None) -> list[str]:
    """Say what the numbers above don't: points folded, cells orphaned, and where things are."""
    lines = [*notes]
    if summary.folded:
        lines.append(folded(summary.folded, summary.cells + summary.folded))
    if summary.orphaned:
        lines.append(_orphaned(summary.orphaned, orphans_cost))
    places = {"files": summary.outputs, "report": summary.report}
    # The last line may name the same place.
    lines += [f"{name}: {at}" for name, at in places.items() if at and at not in summary.next]
    return ["", *lines] if lines else []


def folded(number: int, points: int) -> str:
    """Say that so many of the grid's *points* came to a cell that another one has."""
    combinations = number_of(points, "combination")
    if number == 1:
        return f"1 of {combinations} sends its model the same as another, so it shares a run"
    return f"{number:,} of {combinations} send their model the same as another, so they share a run"


def _orphaned(number: int, cost: Decimal | None) -> str:
    match, their = ("match", "their") if number > 1 else ("matches", "its")
    paid = "" if cost is None else f" ({usd(cost)} USD)"
    cells = number_of(number, "cell")
    return f"{cells} no longer {match} the manifest{paid}; {their} files are kept"
