"""The short table on stdout: a line for each model, the totals, where the files are. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from unicodedata import east_asian_width

from batchrun.base.text import money, number_of
from batchrun.results.summary import Summary
from batchrun.results.tally import ModelRow, Tally

# Heading and field of Tally; a column that is zero everywhere is left out, but for the first.
_COLUMNS: Final = (
    ("done", "succeeded"),
    ("partial", "partial_succeeded"),
    ("failed", "failed"),
    ("rejected", "rejected"),
    ("cancelled", "cancelled"),
    ("parked", "parked"),
    ("in doubt", "in_doubt"),
    ("in flight", "in_flight"),
    ("pending", "pending"),
    ("unsaved", "unsaved"),
    ("lost", "lost"),
)
_GAP: Final = "  "
NO_CELL: Final = "no cell is left to run: `exclude` drops every one"
_NARROWEST: Final = 8


def table(summary: Summary, models: Sequence[ModelRow], width: int = 80) -> str:
    """Return the table, its lines at most *width* columns wide where the numbers allow it."""
    shown = [column for column in _COLUMNS if column[0] == "done" or _any(summary, column[1])]
    rows = [["model", "cells", *(heading for heading, _ in shown), "USD"]]
    rows += [_line(row.alias, row.tally, row.cost, shown) for row in models]
    spent = sum((row.cost for row in models), Decimal(0))
    if spent != summary.cost:
        # Aliases that the manifest no longer has; without them the column would not add up.
        gone = ["not in the manifest", "", *("" for _ in shown), money(summary.cost - spent)]
        rows.append(gone)
    if len(rows) > 2:
        rows.append(_line("total", summary.tally, summary.cost, shown))
    notes = [] if models else [NO_CELL]
    return "\n".join([*_aligned(rows, width), *_below(summary, notes)])


def _any(summary: Summary, name: str) -> bool:
    return bool(getattr(summary, name))


def _line(label: str, tally: Tally, cost: Decimal, shown: Sequence[tuple[str, str]]) -> list[str]:
    numbers = (getattr(tally, name) for _, name in shown)
    return [label, str(tally.cells), *(str(number or "-") for number in numbers), money(cost)]


def _aligned(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Align the first column left and the others right, with a rule under the headings."""
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)
    widths[0] = min(widths[0], max(_NARROWEST, room))
    lines = []
    for row in rows:
        label = _cut(row[0], widths[0])
        numbers = (text.rjust(size) for text, size in zip(row[1:], widths[1:], strict=True))
        padding = " " * (widths[0] - width_of(label))
        lines.append(_GAP.join([label + padding, *numbers]))
    rule = _GAP.join("─" * size for size in widths)
    return [lines[0], rule, *lines[1:]]


def _below(summary: Summary, notes: Sequence[str]) -> list[str]:
    """Say what the numbers above don't: points folded, cells orphaned, and where things are."""
    lines = [*notes]
    if summary.folded:
        lines.append(f"{number_of(summary.folded, 'point')} came to a cell that was there already")
    if summary.orphaned:
        lines.append(
            f"{number_of(summary.orphaned, 'cell')} of the ledger not in the manifest any more"
        )
    places = {"files": summary.outputs, "report": summary.report}
    lines += [f"{name}: {place}" for name, place in places.items() if place]
    return ["", *lines] if lines else []


def width_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
