"""Who listens while a sweep runs: plain lines, or nothing, or a bar (`progress_bar.py`).

Everything goes to the stream it is given, which is stderr: stdout is the result's.

The line speaks of the sweep's cells. Their number isn't known before the whole grid was
walked, which a million cells don't wait for: the total begins as the grid's bound and shrinks with
each point that turns out to be no cell of this call. Only the pace is this call's own.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, TextIO

from batchrun.base.progress import NOTHING, Moment
from batchrun.base.said import log
from batchrun.base.text import span, usd
from batchrun.results.bar_line import BarView
from batchrun.results.time_left import time_left

EVERY: Final = 30.0
"""Seconds between two plain lines."""


class Standings:
    """The numbers that a bar and a line both show."""

    def __init__(self) -> None:
        self.total = 0
        self.passed = 0
        self.ended = 0
        self.bad: Counter[str] = Counter()
        self.now: Callable[[], Moment] = lambda: NOTHING

    @property
    def done(self) -> int:
        return self.passed + self.ended

    def ended_badly(self) -> list[str]:
        """Return how many cells ended how, but for those that succeeded: as the table counts."""
        return [f"{number:,} {word}" for word, number in sorted(self.bad.items())]

    def details(self) -> str:
        now = self.now()
        nodes = filter(None, [_nodes(now)])
        return ", ".join([*self.ended_badly(), f"{now.in_flight:,} in flight", *nodes, _cost(now)])

    def view(self, seconds: float) -> BarView:
        """Return what a bar shows after so many *seconds*."""
        now, total = self.now(), max(self.total, self.done)
        return BarView(
            done=self.done,
            total=total,
            bad=self.ended_badly(),
            in_flight=f"{now.in_flight:,} in flight",
            nodes=_nodes(now),
            cost=_cost(now),
            elapsed=seconds,
            left=self.time_left(seconds),
        )

    def time_left(self, seconds: float) -> float | None:
        """Return the time left after so many *seconds* of this call, None where it isn't known."""
        return time_left(
            ended=self.ended,
            left=self.total - self.done,
            in_flight=self.now().in_flight,
            seconds=seconds,
        )


def _nodes(now: Moment) -> str:
    return "" if now.nodes is None else f"nodes {now.nodes[0]:,}/{now.nodes[1]:,}"


def _cost(now: Moment) -> str:
    return f"{usd(now.cost)} USD"


class Shown:
    """Keeps count; the part that shows it decides how and how often."""

    def __init__(self) -> None:
        self.standings = Standings()

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        self.standings.total = total
        self.standings.now = now

    def fewer(self, points: int) -> None:
        self.standings.total -= points
        self._changed()

    def passed(self, *, bad: str = "") -> None:
        self.standings.passed += 1
        self._count(bad)
        self._changed()

    def ended(self, *, bad: str = "") -> None:
        self.standings.ended += 1
        self._count(bad)
        self._changed()

    def _count(self, bad: str) -> None:
        if bad:
            self.standings.bad[bad] += 1

    def _changed(self) -> None:
        raise NotImplementedError


class Lines(Shown):
    """A plain line every *every* seconds, and never a carriage return: for logs and pipes."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, every: float = EVERY
    ) -> None:
        super().__init__()
        self._stream = stream
        self._clock = clock
        self._every = every
        self._began = self._last = clock()

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        super().start(total, now)
        self._began = self._last = self._clock()

    def note(self, message: str) -> None:
        log(message, self._stream)

    def tick(self) -> None:
        now = self._clock()
        if now - self._last >= self._every:
            self._last = now
            self.note(self._line(now))

    def close(self) -> None:
        pass

    def _changed(self) -> None:
        self.tick()

    def _line(self, now: float) -> str:
        standings = self.standings
        return (
            f"{standings.done:,} of {max(standings.total, standings.done):,} done, "
            f"{standings.details()}{self._eta(now)}"
        )

    def _eta(self, now: float) -> str:
        """Return the time left at this call's own pace; earlier calls' cells say nothing of it."""
        seconds = self.standings.time_left(now - self._began)
        return "" if seconds is None else f", about {span(seconds)} left"


class Silent:
    """Shows nothing but notes on what the user must know, and not even these without a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        pass

    def fewer(self, points: int) -> None:
        pass

    def passed(self, *, bad: str = "") -> None:
        pass

    def ended(self, *, bad: str = "") -> None:
        pass

    def note(self, message: str) -> None:
        if self._stream is not None:
            log(message, self._stream)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass
