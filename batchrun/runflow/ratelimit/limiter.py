"""The one limiter that every API call of the process goes through."""

from typing import Final, Protocol

import anyio
import anyio.lowlevel

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.pace import Pace

_LATEST: Final = 0.003  # the most of a wait that is spent awake


class HeldError(Exception):
    """The service asked calls of this kind to wait for longer than the caller would."""


class Shared(Protocol):
    """A pace in which other processes have a part; `shared_pace.py` has the only one."""

    def claim(self, interval: float, kind: Kind) -> float:
        """Return 0.0 if a call may leave now, else the seconds after which to ask again."""

    def pause(self, kind: Kind) -> float:
        """Return for how many seconds other processes let no call of this kind leave."""

    def hold(self, seconds: float, kind: Kind | None = None) -> None:
        """Let no call leave for *seconds*, or none of one *kind*."""


class Limiter:
    """Lets callers through one at a time, in the order they came, at the pace given.

    A caller whose kind is held back steps aside, so that the other kind goes on. With *shared*,
    calls of other processes count as well.
    """

    def __init__(self, pace: Pace, shared: Shared | None = None) -> None:
        self.departures = 0
        self._pace = pace
        self._shared = shared
        self._turn = anyio.Lock(fast_acquire=True)  # the sender waits soon enough
        self._aside = {kind: anyio.Lock(fast_acquire=True) for kind in Kind}
        self._news: anyio.Event | None = None  # while a call sleeps
        self._late = 0.0

    def __repr__(self) -> str:
        return f"<Limiter {self.departures} departures, {self.waiting} waiting, {self._pace!r}>"

    @property
    def waiting(self) -> int:
        """How many callers wait behind the one whose turn it is."""
        return self._turn.statistics().tasks_waiting

    def pause(self, kind: Kind = Kind.READS) -> float:
        """Return how many seconds no call of this kind may leave for."""
        return self._pace.delay(anyio.current_time(), kind)

    def named(self, kind: Kind) -> float:
        """Return how much is left of the wait that the service named to calls of this kind."""
        return self._pace.named(anyio.current_time(), kind)

    async def wait(self, kind: Kind = Kind.READS, *, patience: float = float("inf")) -> float:
        """Return, with the time, when the caller may send. A cancelled wait uses nothing up.

        The sender must say how it went: well, throttled, troubled or abandoned. Raises HeldError
        where the service asked to wait for more than *patience* seconds.
        """
        while True:
            if self._held(kind) > 0:
                await self._step_aside(kind, patience)
            async with self._turn:
                if (sent_at := await self._go(kind)) is not None:
                    return sent_at

    async def _go(self, kind: Kind) -> float | None:
        """Return when the head of the queue has left; None where its kind is held back."""
        # Asked again after each sleep: a 429 may have come meanwhile.
        while self._held(kind) <= 0:
            if (delay := self._delay(kind)) <= 0:
                now = anyio.current_time()
                self._pace.leave(now, kind)
                self.departures += 1
                return now
            await self._sleep(delay)
        return None

    async def _step_aside(self, kind: Kind, patience: float) -> None:
        async with self._aside[kind]:
            while (held := self._held(kind)) > 0:
                if self.named(kind) > patience:
                    raise HeldError
                await self._sleep(held)

    def well(self, sent_at: float, kind: Kind = Kind.READS) -> None:
        """Note that the call that left at *sent_at* was answered by the API."""
        self._pace.well(sent_at=sent_at, now=anyio.current_time(), kind=kind)
        self._tell()

    def throttled(
        self, sent_at: float, pause: float | None = None, kind: Kind = Kind.READS
    ) -> None:
        """Note that it met a 429, and the seconds that the service asks to wait."""
        now = anyio.current_time()
        self._pace.throttled(sent_at=sent_at, now=now, pause=pause, kind=kind)
        if self._shared is not None:
            self._shared.hold(self._pace.pause(now))
            self._shared.hold(self._pace.held(now, kind), kind)
        self._tell()

    def troubled(self, sent_at: float, pause: float | None = None, kind: Kind = Kind.READS) -> None:
        """Note that it had a 5xx, no answer, or an answer that is not the API's."""
        now = anyio.current_time()
        self._pace.troubled(sent_at=sent_at, now=now, pause=pause, kind=kind)
        self._tell()

    def abandoned(self, sent_at: float) -> None:
        """Note that it was cancelled."""
        self._pace.abandoned(sent_at=sent_at)
        self._tell()

    def backoff(self, tries: int) -> float:
        """Return how long a call waits by itself before its next try."""
        return self._pace.backoff(tries)

    def _held(self, kind: Kind) -> float:
        """Return for how long calls of this kind are held back, and the others are not."""
        held = self._pace.held(anyio.current_time(), kind)
        return held if self._shared is None else max(held, self._shared.pause(kind))

    def _delay(self, kind: Kind) -> float:
        """Return how long the head of the queue has to wait; 0.0 is given to one caller only."""
        delay = self._pace.delay(anyio.current_time(), kind)
        if delay > 0 or self._shared is None:
            return delay
        return self._shared.claim(1 / self._pace.rate, kind)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _sleep(self, delay: float) -> None:
        """Sleep for *delay* or until there is news.

        epoll counts in whole milliseconds, so every sleep ends up to one late, which is a tenth
        of the pace at 100 calls a second. How late is learnt, and slept less. A virtual clock is
        never late; there the second branch would spin for ever.
        """
        if delay <= self._late:
            await anyio.lowlevel.checkpoint()
            return
        due = anyio.current_time() + delay - self._late
        news = self._news = self._news or anyio.Event()
        with anyio.move_on_after(delay - self._late):
            await news.wait()
            return
        late = anyio.current_time() - due
        # The worst of late counts, and fades: a mean would be too little half of the time.
        self._late = min(_LATEST, max(late, 0.9 * self._late)) if late > 1e-6 else 0.0
