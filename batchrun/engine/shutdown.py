"""Why a call ends before everything is done, and the signals that end it.

The first Ctrl-C, SIGTERM or SIGHUP asks to stop, the second stops at once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio

from batchrun.errors import INCOMPLETE, KILLED, BatchrunError


class Wakeup:
    """Wakes all tasks that wait for a change. They look up themselves what has changed."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None  # while a task waits

    def ring(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Return at the next ring. State checked before the call cannot be missed."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class Shutdown:
    """The reasons to stop, and how soon.

    *submitting* is False once no further run may be asked for; *holding* is True once not even
    what has been begun may still be sent; *leaving* is True once runs in flight are left to the
    next call; *at_once* is True when not even an answer is waited for. *interrupted* says that
    the user waits for the end. *refusing* says of models why they got no further cell, *unsaved*
    counts outputs that could not be saved, *unsent* cells whose files could not be put, both by
    their reasons. *unkept* counts runs whose logs are left to the next call.
    """

    def __init__(self, wakeup: Wakeup) -> None:
        self.submitting = True
        self.holding = False
        self.interrupted = False
        self.leaving = False
        self.at_once = False
        self.codes: list[int] = []
        self.errors: list[BatchrunError] = []
        self.notes: list[str] = []
        self.refusing: list[str] = []
        self.unsaved: Counter[str] = Counter()
        self.unsent: Counter[str] = Counter()
        self.unkept = 0
        self._wakeup = wakeup

    def submit_no_more(self, reason: BatchrunError | str) -> None:
        """Ask for no further run; see the runs in flight to their end."""
        self.submitting = False
        self.holding |= isinstance(reason, BatchrunError)
        self._note(reason)

    def leave(self, reason: BatchrunError | str) -> None:
        """Ask for no further run and leave the runs in flight to the next call."""
        self.submitting = False
        self.holding = self.leaving = True
        self._note(reason)

    def interrupt(self, reason: str, *, drain: bool) -> None:
        """Send nothing more, and leave; with *drain* only once the runs in flight have ended."""
        self.submitting = False
        self.holding = self.interrupted = True
        self.leaving = not drain
        self._note(reason)

    def kill(self, code: int, reason: str) -> None:
        """Leave at once."""
        self.at_once = self.interrupted = True
        self.codes.append(code)
        self.leave(reason)

    @asynccontextmanager
    async def giving_way(self) -> AsyncIterator[None]:
        """Break off what is done inside once the call is to leave."""
        async with anyio.create_task_group() as tasks:

            async def give_way() -> None:
                while not self.leaving:
                    await self._wakeup.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_way, name="give way")
            yield
            tasks.cancel_scope.cancel()

    def _note(self, reason: BatchrunError | str) -> None:
        if isinstance(reason, BatchrunError):
            if str(reason) not in map(str, self.errors):
                self.errors.append(reason)
            self.codes.append(reason.exit_code)
        else:
            self.notes.append(reason)
            self.codes.append(INCOMPLETE)
        self._wakeup.ring()


def only_expected(group: BaseExceptionGroup[BaseException]) -> Sequence[BatchrunError] | None:
    """Return the errors of a task group if all of them are expected stops, else None."""
    expected, other = group.split(BatchrunError)
    if expected is None or other is not None:
        return None
    return list(_leaves(expected))


def _leaves(group: BaseExceptionGroup[BatchrunError]) -> Sequence[BatchrunError]:
    found: list[BatchrunError] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found.extend(_leaves(error))
        else:
            found.append(error)
    return found


SIGNALS: Final = {
    "SIGINT": "Ctrl-C (SIGINT)",
    "SIGHUP": "the end of its terminal (SIGHUP)",
    "SIGTERM": "another process (SIGTERM)",
}


def spelled(signal: str) -> str:
    """Say what a signal comes from."""
    return SIGNALS.get(signal, signal)


LATEST: Final = 0.1
"""Seconds until a signal is obeyed: its handler only leaves its name, and wakes no task."""


async def obey(shutdown: Shutdown, received: Sequence[str], *, drain: bool) -> None:
    """Turn each name in *received* into a stop, until cancelled.

    *drain* sees runs in flight to their end first.
    """
    obeyed = 0
    while True:
        for name in received[obeyed:]:
            if obeyed:
                shutdown.kill(KILLED, f"killed by a second {spelled(name)}")
            else:
                shutdown.interrupt(f"stopped by {spelled(name)}", drain=drain)
            obeyed += 1
        await anyio.sleep(LATEST)
