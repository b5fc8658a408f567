"""An asyncio event loop whose clock jumps to the next deadline instead of sleeping.

Threads and virtual time do not mix: while a thread works, all tasks look idle and the clock jumps.
Code under test in virtual time is therefore given a disk that writes inline.
"""

import asyncio
import selectors


class JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: what would have been a sleep moves the clock instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
