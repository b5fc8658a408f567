"""What the counts of cells are called, in headings and in sentences. Pure.

`list`, `status`, the table of a call and its last line speak of the same cells: each has its words
from here. The names are those of `Tally`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

HEADINGS: Final[Mapping[str, str]] = {
    "succeeded": "done",
    "partial_succeeded": "partial",
    "failed": "failed",
    "rejected": "rejected",
    "cancelled": "cancelled",
    "parked": "parked",
    "in_doubt": "in doubt",
    "in_flight": "in flight",
    "pending": "pending",
    "unsaved": "unsaved",
    "lost": "lost",
}
"""The columns of a table, in their order."""

LEFT: Final[Mapping[str, str]] = {
    "pending": "not yet done",
    "in_flight": "in flight",
    "parked": "parked",
    "in_doubt": "in doubt",
    "unsaved": "not saved",
}
"""Cells for which a further call has something to do, in the order in which a reader would ask."""

BAD: Final[Mapping[str, str]] = {
    "failed": "failed",
    "rejected": "rejected",
    "cancelled": "cancelled",
    "partial_succeeded": "partly succeeded",
    "lost": "lost a file",
}
"""Cells that have ended, and not as they should."""


def said(counts: Mapping[str, int], *words: Mapping[str, str]) -> str:
    """Return the *counts* that aren't none and have *words*; "" where there is none."""
    return ", ".join(_said(counts, words))


def _said(counts: Mapping[str, int], words: Iterable[Mapping[str, str]]) -> Iterable[str]:
    for each in words:
        yield from (f"{number:,} {each[name]}" for name in each if (number := counts.get(name)))
