"""The results of a call, each as it is saved, under asyncio and trio."""

import sys
from collections import deque
from enum import StrEnum
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
import anyio.to_thread

from batchrun.errors import UsageError
from batchrun.python.running import Running
from batchrun.python.values import End
from batchrun.results.result import Result


class Stage(StrEnum):
    """Where a stream stands."""

    NOT_BEGUN = "not begun"
    AT_WORK = "at work"
    OVER = "over"


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
        self._stage = Stage.NOT_BEGUN
        self._ready: deque[Result] = deque()
        self._limiter: anyio.CapacityLimiter | None = None

    def __repr__(self) -> str:
        return f"<Stream {self._running.folder}: {self._stage}>"

    @property
    def end(self) -> End:
        """What the call came to, also where it was left early.

        Raises UsageError until it is over, and again what it raised.
        """
        if self._stage is Stage.NOT_BEGUN or self._running.alive:
            raise UsageError("the call isn't over; its `end` is known behind the loop")
        return self._running.outcome()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if self._stage is not Stage.OVER:
            self._begin()
            await self._fill()
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
        if self._close() is Stage.AT_WORK:
            await self._left()

    def __del__(self) -> None:
        if self._stage is Stage.AT_WORK and not sys.is_finalizing():
            self._running.stop()

    def _begin(self) -> None:
        if self._stage is Stage.NOT_BEGUN:
            self._stage = Stage.AT_WORK
            self._running.start()

    def _close(self) -> "Stage":
        """Give no further result; return where the stream stood."""
        stage, self._stage = self._stage, Stage.OVER
        self._ready.clear()
        return stage

    async def _fill(self) -> None:
        """Wait until there is a result, or the end; where the wait is cancelled, leave the call."""
        try:
            if self._ready:  # others have their turn, however many there are
                await anyio.lowlevel.checkpoint()
                return
            found = await self._in_thread()
        except GeneratorExit:  # nothing can be waited for
            self._close()
            self._running.stop()
            raise
        except BaseException:
            self._close()
            await self._left()
            raise
        self._ready.extend(found)
        if not found:
            self._close()
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
