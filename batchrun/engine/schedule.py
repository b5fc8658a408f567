"""When a wave is looked at next, from what is known of its model's durations. Pure.

A look too early finds nothing and costs a call; one too late leaves a slot empty. With the
durations of earlier runs at hand, the next look is due when about one run should have ended since
the last; without them, or past the longest of them, waits grow with each look that found nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

GROWTH: Final = 1.5
LONGEST: Final = 8.0
"""Without knowledge a wait grows up to this many intervals."""

ENOUGH: Final = 5
"""Durations that must be known before they are believed."""

STEPS: Final = 60


def next_wait(
    ages: Sequence[float], durations: Sequence[float], *, interval: float, idle_looks: int
) -> float:
    """Return the seconds from one look to the next, never under *interval*.

    *ages* are those of the open runs, *durations* are sorted; *idle_looks* is how many looks in a
    row found that nothing had ended.
    """
    blind = interval * min(LONGEST, GROWTH**idle_looks)
    if len(durations) < ENOUGH or not ages:
        return blind
    wanted = min(1.0, len(ages) / 2)
    for step in range(1, STEPS + 1):
        wait = interval * step
        if expected_ends(ages, durations, wait) >= wanted:
            return wait
    return blind


def expected_ends(ages: Sequence[float], durations: Sequence[float], wait: float) -> float:
    """Return how many of the runs should end within *wait*, going by *durations* (sorted)."""
    return sum(_chance(age, durations, wait) for age in ages)


def _chance(age: float, durations: Sequence[float], wait: float) -> float:
    longer = len(durations) - bisect_right(durations, age)
    if not longer:
        return 0.0  # past the longest one known: nothing is known
    still = len(durations) - bisect_right(durations, age + wait)
    return (longer - still) / longer
