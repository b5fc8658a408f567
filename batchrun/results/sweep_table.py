"""The table of all sweeps below a folder."""

from collections.abc import Sequence
from typing import Final

from batchrun.base.text import decimals_of, escaped, size_of, usd
from batchrun.base.widths import width_of
from batchrun.results.standing_words import BAD, LEFT, said
from batchrun.results.sweep_facts import SweepFacts

HEAD: Final = ("sweep", "label", "last", "cells", "USD", "files", "state")
GAP: Final = "  "
LONGEST: Final = 40
"""Columns that a name or a label takes at most."""

RIGHT: Final = frozenset({3, 4, 5})


def sweep_table(sweeps: Sequence[SweepFacts]) -> str:
    """Return a line for each sweep, under a heading."""
    decimals = decimals_of(facts.cost for facts in sweeps if facts.cost is not None)
    rows = [HEAD, *(_row(facts, decimals) for facts in sweeps)]
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        parts = []
        for at, (text, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - width_of(text))
            parts.append(space + text if at in RIGHT else text + space)
        lines.append(GAP.join(parts).rstrip())
    rule = GAP.join("─" * width for width in widths[:-1]) + GAP + "─" * len(HEAD[-1])
    return "\n".join([lines[0], rule, *lines[1:]])


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
