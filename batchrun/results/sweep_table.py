"""The table of all sweeps below a folder."""

from collections.abc import Container, Sequence
from itertools import chain
from typing import Final

from batchrun.base.text import decimals_of, escaped, size_of, usd
from batchrun.base.widths import GAP, fitted, in_columns, width_of
from batchrun.results.standing_words import BAD, LEFT, said
from batchrun.results.sweep_facts import SweepFacts

HEAD: Final = ("sweep", "label", "last", "cells", "USD", "files", "state")
LONGEST: Final = 40
"""Columns that a name or a label takes at most."""

READABLE: Final = 8
"""Columns that a name or a state needs at least, so that it says something."""

LAST: Final = HEAD.index("last")
FILES: Final = HEAD.index("files")
RIGHT: Final = frozenset({3, 4, 5})


def sweep_table(sweeps: Sequence[SweepFacts], width: int | None = None) -> str:
    """Return a line for each sweep, under a heading.

    On a terminal of *width* columns names are cut, and the state is wrapped. Where that isn't
    enough, a day stands without its time, and then the size of files and the day are left out.
    """
    decimals = decimals_of(facts.cost for facts in sweeps if facts.cost is not None)
    rows = [HEAD, *(_row(facts, decimals) for facts in sweeps)]
    days = [(*row[:LAST], row[LAST][: len("2026-11-29")], *row[LAST + 1 :]) for row in rows]
    tries = [
        _Table(rows, ()),
        *(_Table(days, left_out) for left_out in ((), (FILES,), (FILES, LAST))),
    ]
    if width is None:
        return tries[0].text(None)
    return next((each for each in tries if each.has_room(width)), tries[-1]).text(width)


class _Table:
    """A table of *rows*, the first its heading, with some columns *left_out*."""

    def __init__(self, rows: Sequence[Sequence[str]], left_out: Container[int]) -> None:
        columns = [at for at in range(len(HEAD)) if at not in left_out]
        self._rows = [[row[at] for at in columns] for row in rows]
        self._right = {place for place, at in enumerate(columns) if at in RIGHT}
        self._kept = self._right | {place for place, at in enumerate(columns) if at == LAST}
        self._widths = [max(map(width_of, each)) for each in zip(*self._rows, strict=True)]

    def has_room(self, width: int) -> bool:
        """Say whether names and states have room in *width* columns of a terminal."""
        found = fitted(self._widths, width, self._kept, least=READABLE)
        return sum(found) + len(GAP) * (len(found) - 1) <= width

    def text(self, width: int | None) -> str:
        widths = self._widths if width is None else fitted(self._widths, width, self._kept)
        state = len(widths) - 1
        head, *lines = (
            [*in_columns(row, widths, right=self._right, wraps={state})] for row in self._rows
        )
        rule = GAP.join("─" * each for each in [*widths[:state], len(HEAD[-1])])
        return "\n".join([*head, rule, *chain(*lines)])


def _row(facts: SweepFacts, decimals: int) -> tuple[str, ...]:
    name = _short(facts.name or facts.folder.name)
    return (
        f"{name} (simulator)" if facts.simulated else name,
        _short(facts.label or ""),
        (facts.last or "")[:16].replace("T", " "),
        "" if facts.cells is None else f"{facts.cells:,}",
        "" if facts.cost is None else usd(facts.cost, decimals=decimals),
        "?" if facts.files is None else size_of(facts.files),
        state_of(facts),
    )


def state_of(facts: SweepFacts) -> str:
    """Return how a sweep stands, in words."""
    counted = said(facts.counts, LEFT, BAD)
    if facts.state == "running":
        return escaped(f"running: {facts.holder}")
    if facts.problem is not None:
        known = f"; {counted}" if counted else ""
        word = "not known" if facts.state == "unknown" else facts.state
        return escaped(f"{word}: {facts.problem}{known}")
    if not counted:
        return facts.state
    return f"{'finished' if facts.state == 'complete' else facts.state}: {counted}"


def _short(text: str) -> str:
    text = escaped(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
