"""The one limiter that every API call of the process goes through."""

from typing import Final, Protocol

import anyio
import anyio.lowlevel

from batchrun.runflow.ratelimit.pace import Pace

_LATEST: Final = 0.003  # the most of a wait that is spent awake


class Shared(Protocol):
    """A pace in which other processes have a part; `shared_pace.py` has the only one."""

    def claim(self, interval: float) -> float:
        """Return 0.0 if a call may leave now, else the seconds after which to ask again."""

    def hold(self, seconds: float) -> None:
        """Let no call leave for *seconds*."""


class Limiter:
    """Lets callers through one at a time, in the order they came, at the pace given.

    With *shared*, calls of other processes count as well.
    """

    def __init__(self, pace: Pace, shared: Shared | None = None) -> None:
        self.departures = 0
        self._pace = pace
        self._shared = shared
        self._turn = anyio.Lock(fast_acquire=True)  # the sender waits soon enough
        self._news: anyio.Event | None = None  # while a call sleeps
        self._late = 0.0

    def __repr__(self) -> str:
        return f"<Limiter {self.departures} departures, {self.waiting} waiting, {self._pace!r}>"

    @property
    def waiting(self) -> int:
        """How many callers wait behind the one whose turn it is."""
        return self._turn.statistics().tasks_waiting

    @property
    def pause(self) -> float:
        """How many seconds no call may leave for."""
        return self._pace.delay(anyio.current_time())

    async def wait(self) -> float:
        """Return, with the time, when the caller may send. A cancelled wait uses nothing up.

        The sender must say how it went: well, throttled, troubled or abandoned.
        """
        async with self._turn:
            # Asked again after each sleep: a 429 may have come meanwhile.
            while (delay := self._delay()) > 0:
                await self._sleep(delay)
            now = anyio.current_time()
            self._pace.leave(now)
            self.departures += 1
            return now

    def well(self, sent_at: float) -> None:
        """Note that the call that left at *sent_at* was answered by the API."""
        self._pace.well(sent_at=sent_at, now=anyio.current_time())
        self._tell()

    def throttled(self, sent_at: float, pause: float | None = None) -> None:
        """Note that it met a 429, and the seconds that the service asks to wait."""
        now = anyio.current_time()
        self._pace.throttled(sent_at=sent_at, now=now, pause=pause)
        if self._shared is not None:
            self._shared.hold(self._pace.delay(now))
        self._tell()

    def troubled(self, sent_at: float) -> None:
        """Note that it had a 5xx, no answer, or an answer that is not the API's."""
        self._pace.troubled(sent_at=sent_at, now=anyio.current_time())
        self._tell()

    def abandoned(self, sent_at: float) -> None:
        """Note that it was cancelled."""
        self._pace.abandoned(sent_at=sent_at)
        self._tell()

    def backoff(self, tries: int) -> float:
        """Return how long a call waits by itself before its next try."""
        return self._pace.backoff(tries)

    def _delay(self) -> float:
        """Return how long the head of the queue has to wait; 0.0 is given to one caller only."""
        delay = self._pace.delay(anyio.current_time())
        if delay > 0 or self._shared is None:
            return delay
        return self._shared.claim(1 / self._pace.rate)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

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
        self._news = anyio.Event()
        with anyio.move_on_after(delay - self._late):
            await self._news.wait()
            return
        late = anyio.current_time() - due
        # The worst of late counts, and fades: a mean would be too little half of the time.
        self._late = min(_LATEST, max(late, 0.9 * self._late)) if late > 1e-6 else 0.0
