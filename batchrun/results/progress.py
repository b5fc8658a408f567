"""Who listens while a sweep runs: a bar, plain lines, or nobody. The only module that knows tqdm.

Everything goes to the stream it is given, which is stderr: stdout is the result's.

What is shown speaks of the sweep's cells. How many there are isn't known before the whole grid was
walked, which a million cells don't wait for: the total begins as the grid's bound and shrinks with
each point that turns out to be no cell of this call. Only the pace is this call's own.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TextIO

from tqdm import tqdm

from batchrun.results.summary import money

EVERY: Final = 30.0
"""Seconds between two plain lines."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is under way now, runs of earlier calls included, and what the sweep has cost so far."""

    in_flight: int
    cost: Decimal


NOTHING: Final = Moment(0, Decimal(0))


class Progress(Protocol):
    """Told what happens, in the order in which it happens."""

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        """The sweep has at most *total* cells; *now* tells what is under way."""

    def fewer(self, points: int) -> None:
        """So many points of the grid are no cells of this call: folded, excluded, not asked for."""

    def passed(self, *, good: bool) -> None:
        """A cell was at its end before this call."""

    def ended(self, *, good: bool) -> None:
        """A cell came to its end: it has no attempt left, or needs none."""

    def note(self, message: str) -> None:
        """Say something now, on a line of its own."""

    def tick(self) -> None:
        """Called now and then; says how things stand where it is time to."""

    def close(self) -> None:
        """No more is coming."""


class Standings:
    """The numbers that a bar and a line both show."""

    def __init__(self) -> None:
        self.total = 0
        self.passed = 0
        self.ended = 0
        self.failed = 0
        self.now: Callable[[], Moment] = lambda: NOTHING

    @property
    def done(self) -> int:
        return self.passed + self.ended

    def details(self) -> str:
        now = self.now()
        parts = [f"{self.failed} failed"] if self.failed else []
        parts += [f"{now.in_flight} in flight", f"{money(now.cost)} USD"]
        return ", ".join(parts)


class Shown:
    """Keeps count; whoever shows it decides how and how often."""

    def __init__(self) -> None:
        self._standings = Standings()

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        self._standings.total = total
        self._standings.now = now

    def fewer(self, points: int) -> None:
        self._standings.total -= points
        self._changed()

    def passed(self, *, good: bool) -> None:
        self._standings.passed += 1
        self._standings.failed += not good
        self._changed()

    def ended(self, *, good: bool) -> None:
        self._standings.ended += 1
        self._standings.failed += not good
        self._changed()

    def _changed(self) -> None:
        raise NotImplementedError


class _Tqdm(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """Draws *standings* as they are when it is drawn. Has no thread to refresh it: `tick` does."""

    monitor_interval = 0

    def __init__(self, standings: Standings, **rest: Any) -> None:
        self._standings = standings
        super().__init__(**rest)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What is drawn; the time left is by (n - initial) in the time elapsed."""
        standings = self._standings
        return {
            **super().format_dict,
            "ncols": _columns(self.fp),
            "n": standings.done,
            "initial": standings.passed,
            # A total that was passed would take the whole bar away.
            "total": max(standings.total, standings.done),
            "postfix": standings.details(),
        }


def _columns(stream: TextIO) -> int | None:
    """Return the width of a terminal, None where it isn't known.

    A pseudo-terminal that nobody gave a size says 0, and tqdm would fit the bar into that.
    """
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


class Bar(Shown):
    """One tqdm bar; what earlier calls did counts as done, and not for the pace."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._bar: _Tqdm | None = None

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        super().start(total, now)
        self._bar = _Tqdm(
            self._standings,
            file=self._stream,
            unit="cell",
            nrows=24,  # else it asks, and one that doesn't know has none: see `_columns`
            mininterval=0.2,
            miniters=0,
            smoothing=0,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}]",
        )

    def note(self, message: str) -> None:
        if self._bar is None:
            print(message, file=self._stream, flush=True)
        else:
            self._bar.write(message, file=self._stream)

    def tick(self) -> None:
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _changed(self) -> None:
        if self._bar is not None:
            self._bar.update(0)  # draws, if it is long enough ago that it did


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
        print(message, file=self._stream, flush=True)

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
        standings = self._standings
        return (
            f"{standings.done} of {max(standings.total, standings.done)} done, "
            f"{standings.details()}{self._eta(now)}"
        )

    def _eta(self, now: float) -> str:
        """Return the time left at this call's own pace; earlier calls' cells say nothing of it."""
        standings = self._standings
        if not standings.ended or standings.done >= standings.total:
            return ""
        seconds = (now - self._began) / standings.ended * (standings.total - standings.done)
        return f", about {span(seconds)} left"


class Silent:
    """Shows nothing but notes on what the user must know, and not even these without a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        pass

    def fewer(self, points: int) -> None:
        pass

    def passed(self, *, good: bool) -> None:
        pass

    def ended(self, *, good: bool) -> None:
        pass

    def note(self, message: str) -> None:
        if self._stream is not None:
            print(message, file=self._stream, flush=True)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


def choose(
    stream: TextIO, *, quiet: bool, no_progress: bool, environ: Mapping[str, str]
) -> Progress:
    """Return who listens: a bar needs a terminal that can move its cursor, and a person at it."""
    if quiet:
        return Silent()
    if no_progress:
        return Silent(stream)
    if stream.isatty() and environ.get("TERM", "dumb") != "dumb" and not environ.get("CI"):
        return Bar(stream)
    return Lines(stream)


def span(seconds: float) -> str:
    """Spell a length of time as people say it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
