"""How many calls met a 429, and when, in steps of time. Pure: each moment is given."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

STEP: Final = 10
"""Seconds of a step. Steps are counted from 1970 on, so those of all calls are the same ones."""

STRETCH: Final = 6
"""Steps that are taken together at most: a minute."""


class Stretch(Struct, frozen=True):
    """How many calls met a 429 in each step from *since* on: in the first and the last some did."""

    since: datetime
    counts: tuple[int, ...]


class ThrottleCounts:
    """Counts the calls that met a 429 until they are taken."""

    def __init__(self) -> None:
        self._steps = Counter[int]()

    def note(self, at: datetime) -> None:
        """Count one more; *at* may go backwards, as clocks do that are set."""
        self._steps[int(at.timestamp() // STEP)] += 1

    def is_due(self, now: datetime) -> bool:
        """Say whether the first of them is so long ago that a whole stretch is over."""
        return bool(self._steps) and now.timestamp() // STEP - min(self._steps) >= STRETCH

    def take(self) -> Iterator[Stretch]:
        """Yield what was counted since the last time, in stretches."""
        steps, self._steps = self._steps, Counter()
        left = sorted(steps)
        while left:
            first = left[0]
            last = max(step for step in left if step < first + STRETCH)
            counts = tuple(steps[step] for step in range(first, last + 1))
            yield Stretch(_EPOCH + timedelta(seconds=first * STEP), counts)
            left = [step for step in left if step > last]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
