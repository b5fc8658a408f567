"""The reports of a sweep while it runs; `results/progress_lines.py` shows it. Pure."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct


class Moment(Struct, frozen=True):
    """The runs under way now, those of earlier calls included, and the sweep's cost so far.

    *nodes* are the steps of runs under way that have several: how many are over, and all.
    """

    in_flight: int
    cost: Decimal
    nodes: tuple[int, int] | None = None


NOTHING: Final = Moment(0, Decimal(0))


class Progress(Protocol):
    """Gets the events of a sweep, in their order."""

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        """The sweep has at most *total* cells; *now* returns what is under way."""

    def fewer(self, points: int) -> None:
        """So many points of the grid are no cells of this call: folded, excluded, not asked for."""

    def passed(self, *, bad: str = "") -> None:
        """A cell was at its end before this call; *bad* is a word for a bad one, as `failed`."""

    def ended(self, *, bad: str = "") -> None:
        """A cell came to its end: it has no attempt left, or needs none; *bad* likewise."""

    def note(self, message: str) -> None:
        """Say something now, on a line of its own."""

    def tick(self) -> None:
        """Called now and then; says how things stand where it is time to."""

    def close(self) -> None:
        """No more is coming."""


class Notices:
    """Notes that many things have in common, each said once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: set[str] = set()

    def once(self, reason: str, message: str | None = None) -> None:
        """Note *message*, or *reason* itself, if nothing was noted for that *reason* before."""
        if reason not in self._said:
            self._said.add(reason)
            self._progress.note(message or reason)
