"""Who listens while a sweep runs: a bar, plain lines, or nobody. The only module that knows tqdm.

Everything goes to the stream it is given, which is stderr: stdout is the result's.
"""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Protocol, TextIO

from tqdm import tqdm

from batchrun.results.summary import money

EVERY: Final = 30.0
"""Seconds between two plain lines."""

GOOD_WORDS: Final = frozenset({"succeeded", "partial_succeeded"})


class Progress(Protocol):
    """Told what happens, in the order in which it happens."""

    def start(self, total: int | None, done: int) -> None:
        """The sweep has *total* cells (None: not known), *done* of them from earlier calls."""

    def submitted(self) -> None:
        """A run is in flight."""

    def finished(self, status_code: str, cost: Decimal | None) -> None:
        """A cell came to an end: its run's status code, or `rejected`."""

    def note(self, message: str) -> None:
        """Say something now, on a line of its own."""

    def tick(self) -> None:
        """Called now and then; says how things stand where it is time to."""

    def close(self) -> None:
        """No more is coming."""


class Standings:
    """The numbers that a bar and a line both show."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.failed = 0
        self.in_flight = 0
        self.cost = Decimal(0)

    def finished(self, status_code: str, cost: Decimal | None) -> None:
        self.done += 1
        # A rejected cell never was in flight, and a run of an earlier call was not counted here.
        if status_code != "rejected":
            self.in_flight = max(0, self.in_flight - 1)
        self.failed += status_code not in GOOD_WORDS
        self.cost += cost or 0

    def details(self) -> str:
        parts = [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.in_flight} in flight", f"{money(self.cost)} USD"]
        return ", ".join(parts)


class _Tqdm(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """Has no thread of its own to refresh it: `tick` does."""

    monitor_interval = 0


class Bar:
    """One tqdm bar; what earlier calls did counts as done, and not for the pace."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._standings = Standings()
        self._bar: _Tqdm | None = None

    def start(self, total: int | None, done: int) -> None:
        self._standings.total = total
        bar = _Tqdm(
            total=total,
            initial=done,
            file=self._stream,
            unit="cell",
            dynamic_ncols=True,
            mininterval=0.2,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}]",
        )
        bar.set_postfix_str(self._standings.details(), refresh=True)
        self._bar = bar

    def submitted(self) -> None:
        self._standings.in_flight += 1
        self._show(0)

    def finished(self, status_code: str, cost: Decimal | None) -> None:
        self._standings.finished(status_code, cost)
        self._show(1)

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

    def _show(self, steps: int) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._standings.details(), refresh=False)
            if self._bar.total is not None:
                # A total that was passed would take the whole bar away.
                self._bar.total = max(self._bar.total, self._bar.n + steps)
            self._bar.update(steps)


class Lines:
    """A plain line every *every* seconds, and never a carriage return: for logs and pipes."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, every: float = EVERY
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._every = every
        self._standings = Standings()
        self._earlier = 0
        self._began = self._last = clock()

    def start(self, total: int | None, done: int) -> None:
        self._standings.total = total
        self._earlier = done
        self._began = self._last = self._clock()

    def submitted(self) -> None:
        self._standings.in_flight += 1
        self.tick()

    def finished(self, status_code: str, cost: Decimal | None) -> None:
        self._standings.finished(status_code, cost)
        self.tick()

    def note(self, message: str) -> None:
        print(message, file=self._stream, flush=True)

    def tick(self) -> None:
        now = self._clock()
        if now - self._last >= self._every:
            self._last = now
            self.note(self._line(now))

    def close(self) -> None:
        pass

    def _line(self, now: float) -> str:
        standings = self._standings
        done = self._earlier + standings.done
        of = "" if standings.total is None else f" of {standings.total}"
        return f"{done}{of} done, {standings.details()}{self._eta(done, now)}"

    def _eta(self, done: int, now: float) -> str:
        """Return the time left at this call's own pace; earlier calls' cells say nothing of it."""
        standings = self._standings
        if standings.total is None or not standings.done or done >= standings.total:
            return ""
        seconds = (now - self._began) / standings.done * (standings.total - done)
        return f", about {span(seconds)} left"


class Silent:
    """Shows nothing but notes on what the user must know."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def start(self, total: int | None, done: int) -> None:
        pass

    def submitted(self) -> None:
        pass

    def finished(self, status_code: str, cost: Decimal | None) -> None:
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
    if quiet or no_progress:
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
