"""When a wave is looked at next, from what is known of its model's durations. Pure.

A look too early finds nothing and costs a call; one too late leaves slots empty. So what is weighed
is how long the runs that have ended since the last look will have waited, all together: a look is
due when that comes to what a look is worth. Where nothing is known, or past the longest duration
that is, waits grow with each look that found nothing.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

GROWTH: Final = 1.5
LONGEST: Final = 8.0
"""Without knowledge a wait grows up to this many intervals."""

ENOUGH: Final = 5
"""Durations that must be known before they are believed."""

STEPS: Final = 240
PER_INTERVAL: Final = 4
"""How finely the future is cut: steps of a quarter of the interval, for sixty intervals."""

DEAR: Final = 2.6
"""What a look at one open run is worth in a large sweep: so many intervals of its waiting.

Chosen by `benchmarks/watching.py`, like the square root: few looks for a lag of an interval or so.
"""

CHEAP: Final = 0.7
"""The same at the wave of a batch in a large sweep, where no call waits for its turn: batches have
saved the calls that submitting takes, and waves as small as they are cost more looks. Chosen by
`benchmarks/batches.py`.
"""

LARGE: Final = 200
"""Open runs from which on a sweep is large. In a smaller one calls are plenty, and a look is worth
less in proportion.
"""


def worth(open_runs: int, *, in_flight: int, interval: float, dear: float) -> float:
    """Return the run-seconds of waiting that a look at so many of the runs in flight is worth."""
    return dear * interval * math.sqrt(open_runs) * min(1.0, in_flight / LARGE)


def next_wait(
    ages: Sequence[float],
    durations: Sequence[float],
    *,
    interval: float,
    idle_looks: int,
    in_flight: int,
    dear: float = DEAR,
) -> float:
    """Return the seconds from one look to the next, never under *interval*.

    *ages* are those of the open runs, *durations* are sorted; *idle_looks* is how many looks in a
    row found that nothing had ended; *in_flight* counts those of the whole sweep; *dear* is what a
    look at one run is worth, in intervals.
    """
    blind = interval * min(LONGEST, GROWTH**idle_looks)
    if len(durations) < ENOUGH or not ages:
        return blind
    longer = [len(durations) - bisect_right(durations, age) for age in ages]
    waited, enough = 0.0, worth(len(ages), in_flight=in_flight, interval=interval, dear=dear)
    for step in range(1, STEPS + 1):
        wait = step * interval / PER_INTERVAL
        waited += expected_ends(ages, longer, durations, wait) * interval / PER_INTERVAL
        if waited >= enough:
            return max(interval, wait)
    return blind


def expected_ends(
    ages: Sequence[float], longer: Sequence[int], durations: Sequence[float], wait: float
) -> float:
    """Return how many of the runs should end within *wait*, going by *durations* (sorted).

    *longer* says for each run how many of the durations are longer than its age; of a run older
    than all of them nothing is known, and nothing expected.
    """
    known = len(durations)
    return sum(
        1 - (known - bisect_right(durations, age + wait)) / more
        for age, more in zip(ages, longer, strict=True)
        if more
    )
