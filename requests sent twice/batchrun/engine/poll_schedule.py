"""When a wave is looked at next, from what is known of its model's durations. Pure.

A look too early finds nothing and costs a call; one too late leaves slots empty. So what is weighed
is how long the runs that have ended since the last look will have waited, all together: a look is
due when that comes to what a look is worth. Where nothing is known, or past the longest duration
that is, waits grow with each look that found nothing.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

GROWTH: Final = 1.5
LONGEST: Final = 8.0
"""Without knowledge a wait grows up to this many intervals."""

ENOUGH: Final = 5
"""Durations that must be known before they are believed."""

FINENESS: Final = 4
"""Parts of an interval that a wait is found in."""

FURTHEST: Final = 60
"""Intervals that are looked into ahead."""

SINGLE_POLL_VALUE: Final = 2.5
"""The worth of a look at one open run in a large sweep: so many intervals of its waiting.

Chosen by `benchmarks/watching.py`, like the square root: few looks for a lag of an interval or so.
"""

BATCH_POLL_VALUE: Final = 0.7
"""The same at the wave of a batch in a large sweep, where no call waits for its turn: batches have
saved the calls that submitting takes, and waves as small as they are cost more looks. Chosen by
`benchmarks/batches.py`.
"""

LARGE: Final = 200
"""Open runs from which on a sweep is large. In a smaller one calls are plenty, and a look is worth
less in proportion.
"""


def poll_value(open_runs: int, *, in_flight: int, interval: float, value: float) -> float:
    """Return the run-seconds of waiting that a look at so many of the runs in flight is worth."""
    return value * interval * math.sqrt(open_runs) * min(1.0, in_flight / LARGE)


def next_wait(
    ages: Sequence[float],
    durations: Sequence[float],
    *,
    interval: float,
    idle_looks: int,
    in_flight: int,
    value: float = SINGLE_POLL_VALUE,
) -> float:
    """Return the seconds from one look to the next, never under *interval*.

    *ages* are of the open runs, *durations* are sorted; *idle_looks* is how many looks in a row
    found that nothing had ended; *in_flight* counts the runs of the whole sweep; *value* is what
    a look at one run is worth, in intervals.
    """
    blind = interval * min(LONGEST, GROWTH**idle_looks)
    if len(durations) < ENOUGH or not ages:
        return blind
    enough = poll_value(len(ages), in_flight=in_flight, interval=interval, value=value)
    expected = Expected(ages, durations)
    steps = range(FINENESS, FURTHEST * FINENESS + 1)
    step = interval / FINENESS
    first = bisect_left(steps, enough, key=lambda number: expected.waited(number * step))
    return steps[first] * step if first < len(steps) else blind


class Expected:
    """The ends to be expected of runs of some *ages*, by the last *durations* (sorted).

    Each run is expected to take as long as one of the durations that are longer than its age. Of a
    run that is older than all durations nothing is known, and nothing expected.
    """

    def __init__(self, ages: Sequence[float], durations: Sequence[float]) -> None:
        self._durations = durations
        self._sums = [0.0, *accumulate(durations)]
        shorter = ((age, bisect_right(durations, age)) for age in ages)
        self._runs = [(age, first) for age, first in shorter if first < len(durations)]

    def waited(self, wait: float) -> float:
        """Return the seconds that the runs which end within *wait* will have waited for its end."""
        durations, sums, known, total = self._durations, self._sums, len(self._durations), 0.0
        for age, first in self._runs:
            end = age + wait
            last = bisect_right(durations, end, first)
            total += ((last - first) * end - sums[last] + sums[first]) / (known - first)
        return total
