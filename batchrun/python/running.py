"""A call at work in a thread of its own.

The thread has the event loop of the call, as the command line's process has. It is asked to stop by
a word on a list, which the call reads ten times a second: as a signal stops a command. So the
ledger is left whole, and the runs in flight to the next call, whatever the program does.

A thread that is left alone is asked to stop when its results are dropped, and when Python ends.
"""

import atexit
import concurrent.futures.thread  # noqa: F401  (see the end)
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from typing import Final

from batchrun.errors import LedgerLockedError, UsageError
from batchrun.python.values import End
from batchrun.results.result import Result

FULL: Final = 1000
"""Results that wait for the program, above which no results of earlier calls are added."""

AT_EXIT: Final = 40.0
"""Seconds that the end of Python waits for calls: what has left by then is in the ledger."""

LEFT: Final = "the program that began it"
"""Why a call is stopped whose results are no longer wanted."""

BUSY: Final = (
    "another call of this program is at work in {folder}; wait for its end, or leave it by the "
    "`aclose` of its stream, or by the end of its `async with`"
)

_running: Final[weakref.WeakSet["Running"]] = weakref.WeakSet()
_guard: Final = threading.Lock()
_numbers: Final = itertools.count(1)


def new_thread(work: Callable[[], None], *, name: str) -> threading.Thread:
    """Return a thread for event loops of its own: the program's context would say that one runs."""
    return threading.Thread(target=Context().run, args=(work,), name=name, daemon=True)


class Running:
    """The thread of one call of the sweep in *folder*, which does *work*."""

    def __init__(self, work: Callable[["Running"], End], folder: Path) -> None:
        self.folder = folder
        self.asked_to_stop: list[str] = []
        self.begun = False
        self.number = 0  # in the order in which calls begin
        self._work = work
        self._results: deque[Result] = deque()
        self._news = threading.Condition()
        self._end: End | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._thread = new_thread(self._run, name=f"batchrun {folder.name}")

    @property
    def closed(self) -> bool:
        """Whether the call was asked to stop."""
        return bool(self.asked_to_stop)

    @property
    def alive(self) -> bool:
        """Whether the call is still at work."""
        return self._thread.ident is not None and not self._over.is_set()

    def start(self) -> None:
        """Begin; a call of the same folder that is about to stop goes first."""
        with _guard:
            self.number = next(_numbers)
            _running.add(self)
        self.begun = True
        self._thread.start()

    def stop(self, why: str = LEFT) -> None:
        """Ask the call to stop, as a signal does: a second time, at once. It isn't waited for."""
        self.asked_to_stop.append(why)
        with self._news:
            self._news.notify_all()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the call.

        Not for that of the thread, which is near: a KeyboardInterrupt amid Thread.join leaves it
        for dead (CPython's issue 45274, until 3.13).
        """
        self._over.wait(seconds)

    def outcome(self) -> End:
        """Return what a call came to that is over; raise what stopped it."""
        if self._error is not None:
            raise self._error
        assert self._end is not None
        return self._end

    # From the thread of the call.

    def put(self, result: Result) -> None:
        """Give a result to the program."""
        with self._news:
            self._results.append(result)
            self._news.notify_all()

    def is_full(self) -> bool:
        """Say whether many results wait."""
        return len(self._results) >= FULL

    def is_closed(self) -> bool:
        """Say whether no more results are wanted."""
        return self.closed

    def _run(self) -> None:
        try:
            self._wait_for_others()
            self._end = self._work(self)
        except BaseException as error:  # noqa: BLE001  (it is raised where the outcome is asked for)
            self._error = error
        finally:
            self._over.set()
            with self._news:
                self._news.notify_all()

    def _wait_for_others(self) -> None:
        """Let calls of the same sweep go first that are about to stop; LedgerLockedError if not."""
        for other in all_running():
            before = other.folder == self.folder and other.number < self.number
            if before and other.closed:
                other.join()
            if before and other.alive:
                raise LedgerLockedError(BUSY.format(folder=self.folder))

    # From a thread of the program.

    def wait(self) -> list[Result]:
        """Return the results that there are, when there are any; none: the call is over."""
        with self._news:
            while not (self._results or self._over.is_set()):
                self._news.wait()
            found = list(self._results)
            self._results.clear()
        return found

    def until_its_end(self) -> None:
        """Begin, and return at the end. A KeyboardInterrupt stops it first, as a signal does."""
        try:
            self.start()
            self.join()
        except KeyboardInterrupt:
            self.stop("SIGINT")
            if not self.begun:
                raise
            try:
                self.join()
            except KeyboardInterrupt:
                self.stop("SIGINT")
                self.join()
            raise

    # In a process that the program forks: the thread is not there, and what it held stays held.

    def forked(self) -> None:
        """Be over; what asks for the results is said where they are."""
        self._error = UsageError(
            "this call is at work in the process that this one was forked from; its results are "
            "there"
        )
        self._results.clear()
        self._news = threading.Condition()
        self._over = threading.Event()
        self._over.set()


def all_running() -> list[Running]:
    """Return the calls of this process that have begun; some may be over."""
    with _guard:
        return list(_running)


def _leave_all() -> None:
    """Let no call be cut off in the midst of a write because the program ends.

    Ctrl-C meanwhile has them leave at once, and once more ends the wait.
    """
    left = [each for each in all_running() if each.alive]
    for _ in range(2):
        with suppress(KeyboardInterrupt):
            for each in left:
                each.stop()
            for each in left:
                each.join(AT_EXIT)
            return


def _forget_all() -> None:
    for each in _running:
        each.forked()
    _running.clear()
    _guard.release()


os.register_at_fork(
    before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget_all
)

# Before Python's own threads are shut down, while a call can still write and close its connections:
# `atexit` alone comes after that. What is registered last goes first, so the pool of threads that
# looks up names is imported above. The name is private, and has been there since 3.9.
getattr(threading, "_register_atexit", atexit.register)(_leave_all)
