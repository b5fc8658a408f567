"""The text of the bar, for any width of a terminal. Pure.

The time left is at the right end, and before it is known the time so far. It stays whole: where the
terminal is narrow, of what stands in the middle the most wanted comes first.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from batchrun.base.text import span

WANTED: Final = ("count", "bad", "percent", "cost", "in flight", "nodes", "elapsed")
"""The parts beside the right end: each is there if those before it leave it room. The bar itself
fills the rest.
"""

NARROWEST: Final = 5
"""Blocks of the bar without which there is none."""

UNKNOWN: Final = 10
"""Blocks of the bar where the terminal's width isn't known."""

BLOCK: Final = "█"


class BarView(Struct, frozen=True, kw_only=True):
    """What a bar shows: *bad* are the counts of bad ends in words, *left* the seconds to come.

    *nodes* is "" where no run under way has several steps.
    """

    done: int
    total: int
    in_flight: str
    cost: str
    bad: Sequence[str] = ()
    nodes: str = ""
    elapsed: float = 0.0
    left: float | None = None


def bar_line(view: BarView, columns: int | None) -> str:
    """Return the line, at most *columns* wide, None where that isn't known."""
    if columns is None:
        return _line(view, WANTED, UNKNOWN)
    shown: list[str] = []
    for name in WANTED:
        if len(_line(view, [*shown, name], 0)) <= columns:
            shown.append(name)
    line = _line(view, shown, 0)
    if not shown or len(line) > columns:
        return _shortest(view, columns)
    room = columns - len(line) - len("||")
    return _line(view, shown, room) if room >= NARROWEST and "percent" in shown else line


def _line(view: BarView, shown: Collection[str], blocks: int) -> str:
    parts = {
        "count": [f"{view.done:,}/{view.total:,}"],
        "bad": view.bad,
        "in flight": [view.in_flight],
        "nodes": [view.nodes] if view.nodes else [],
        "cost": [view.cost],
    }
    percent = _percent(view) if "percent" in shown else ""
    middle = ", ".join(each for name in parts if name in shown for each in parts[name])
    both = view.left is not None and "elapsed" in shown
    right = f"{clock(view.elapsed)}, {_right(view)}" if both else _right(view)
    line = " ".join(each for each in (middle, f"[{right}]") if each)
    return f"{percent}{_bar(view, blocks)}{line}" if percent else line


def _shortest(view: BarView, columns: int) -> str:
    """Return the most that fits where hardly anything does."""
    shown = [f"{_percent(view)} {_right(view)}", _right(view), _percent(view)]
    return next((each for each in shown if len(each) <= columns), "")


def _bar(view: BarView, blocks: int) -> str:
    if not blocks:
        return " "
    full = blocks * view.done // max(view.total, 1)
    return f"|{BLOCK * full}{' ' * (blocks - full)}| "


def _percent(view: BarView) -> str:
    return f"{100 * view.done // max(view.total, 1):3}%"


def _right(view: BarView) -> str:
    return clock(view.elapsed) if view.left is None else f"{span(view.left)} left"


def clock(seconds: float) -> str:
    """Spell a time as a clock does: `01:20`, `3:20:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
