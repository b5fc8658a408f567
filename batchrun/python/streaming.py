"""The results of a call, each as it is saved, under asyncio and trio."""

import sys
from collections import deque
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from batchrun.errors import UsageError
from batchrun.python.running import Running
from batchrun.python.values import End
from batchrun.results.result import Result


class Stream:
    """The results of a call, as an asynchronous iterator; the first one asked for begins it.

    Each cell comes once, when its files are saved, or when it has ended otherwise and gets no
    further run in this call. Results of earlier calls come first, in the grid's order. A cell that
    isn't at its end when the call is over doesn't come.

    A loop that is left early leaves the call as Ctrl-C does: what is known is written, runs in
    flight are left to the next call. `async with` waits until that is done; a cancellation and
    `aclose` do so, too. A loop that is left by `break` alone has it done behind its back.

    Raises what `batchrun.run` raises.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._ready: deque[Result] = deque()
        self._begun = False
        self._over = False
        self._limiter: anyio.CapacityLimiter | None = None

    def __repr__(self) -> str:
        how = "over" if self._over else "at work" if self._begun else "not begun"
        return f"<Stream {self._running.folder}: {how}>"

    @property
    def end(self) -> End:
        """What the call came to, also where it was left early.

        Raises UsageError until it is over, and again what it raised.
        """
        if not self._begun or self._running.alive:
            raise UsageError("the call isn't over; its `end` is known behind the loop")
        return self._running.outcome()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        while not (self._ready or self._over):
            self._begin()
            await self._wait()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the call where it is still at work, and wait until the ledger is whole."""
        self._ready.clear()
        if self._over:
            return
        self._over = True
        if self._begun:
            await self._left()

    def __del__(self) -> None:
        if self._begun and not self._over and not sys.is_finalizing():
            self._running.stop()

    def _begin(self) -> None:
        if not (self._begun or self._over):
            self._begun = True
            self._running.start()

    async def _wait(self) -> None:
        """Take what there is; where the wait is cancelled, the call is left."""
        try:
            found = await self._in_thread()
        except GeneratorExit:  # nothing can be waited for
            self._over = True
            self._running.stop()
            raise
        except BaseException:
            self._over = True
            await self._left()
            raise
        self._ready.extend(found)
        if not found:
            self._over = True
            self._running.join()  # it has nothing to do any more
            self._running.outcome()  # which may raise what stopped it

    async def _in_thread(self) -> list[Result]:
        self._limiter = self._limiter or anyio.CapacityLimiter(1)  # the program's own are its own
        return await anyio.to_thread.run_sync(
            self._running.wait, abandon_on_cancel=True, limiter=self._limiter
        )

    async def _left(self) -> None:
        """Have the call stopped, and wait for it whatever else is cancelled."""
        if self._running.alive:
            self._running.stop()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._running.join, limiter=anyio.CapacityLimiter(1))
