"""The 429s of all calls of a sweep, as the page draws them. Pure.

A step without one isn't there. Where there are too many for a page, steps are put together.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from batchrun.base.times import moment
from batchrun.ledger.records import Throttled

MOST: Final = 5000
"""Steps of a page: those of a night in which each had one."""

_FIRST: Final = 10_000
"""Milliseconds of a step, at the least."""


class ThrottleBins(Struct, frozen=True):
    """How many requests met a 429 in the step that begins at each of *counts*, in *step* ms.

    Times are milliseconds since 1970, by the service's clock where it was known, else by ours.
    """

    step: int = _FIRST
    counts: tuple[tuple[int, int], ...] = ()


def throttle_bins(lines: Iterable[Throttled]) -> ThrottleBins:
    """Return the sums of *lines*; one whose time makes no sense is left out."""
    counts = Counter[int]()
    for line in lines:
        since = moment(line.server_at) or moment(line.since)
        if since is None:
            continue
        first = round(since.timestamp() * 1000)
        for number, count in enumerate(line.counts):
            counts[first + number * line.step * 1000] += count
    return _fitting(counts, _FIRST)


def joined(every: Iterable[ThrottleBins]) -> ThrottleBins:
    """Return the sums of several sweeps'."""
    counts, step = Counter[int](), _FIRST
    for each in every:
        step = max(step, each.step)
        for at, count in each.counts:
            counts[at] += count
    return _fitting(counts, step)


def _fitting(counts: Counter[int], step: int) -> ThrottleBins:
    while len(found := _put_together(counts, step)) > MOST:
        step *= 2
    return ThrottleBins(step, tuple(sorted(found.items())))


def _put_together(counts: Counter[int], step: int) -> Counter[int]:
    found = Counter[int]()
    for at, count in counts.items():
        found[at // step * step] += count
    return +found
