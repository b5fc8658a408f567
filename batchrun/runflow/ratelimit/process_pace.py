"""One pace for all calls of this process that go to one endpoint with one key.

A Python program may have several calls at work at once, each in a thread, with a limiter of its
own. What two processes share through a file, they share here: when the last request left, how slow
the slowest of them is, and how long the service asked to wait. For other processes they are one:
the kernel's record locks are the process's, so the file is opened once, and used by one at a time.

A call that is alone in its process waits for nothing here.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.limiter import Shared
from batchrun.runflow.ratelimit.shared_pace import shared_pace
from batchrun.runflow.ratelimit.shared_pace_state import LONGEST_PAUSE, SharedPaceState


class ProcessPace:
    """The pace of the calls that have joined; *beyond* is that of other processes."""

    def __init__(
        self, beyond: Shared | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._beyond = beyond
        self._clock = clock
        self._lock = threading.Lock()
        self._state = SharedPaceState()
        self._members: list[Member] = []
        self._last: Member | None = None

    def __repr__(self) -> str:
        return f"<ProcessPace of {len(self._members)} calls, beyond it {self._beyond!r}>"

    def __len__(self) -> int:
        return len(self._members)

    def join(self) -> "Member":
        """Return the part of a further call."""
        with self._lock:
            member = Member(self)
            self._members.append(member)
        return member

    def leave(self, member: "Member") -> None:
        """Count a call no more."""
        with self._lock:
            self._members.remove(member)

    def claim(self, member: "Member", interval: float, kind: Kind) -> float:
        """Return 0.0 if a call of *member* may leave now, else when to ask again, in seconds."""
        with self._lock:
            now = self._clock()
            member.interval, member.asked = interval, now
            state = self._state
            state.intervals = [each.interval for each in self._members]
            if len(self._members) > 1 and (wait := self._wait(member, now, kind)):
                return wait
            if self._beyond is not None:
                wait = self._beyond.claim(max(state.intervals), kind)
                if wait:
                    return wait
            state.last, self._last = now, member
            member.asked = None
        return 0.0

    def _wait(self, member: "Member", now: float, kind: Kind) -> float:
        wait = max(self._state.wait(now), self._state.held(now, kind))
        if wait or self._last is not member:
            return wait
        # Else the one that left last would win each time, if it always asks first.
        between = max(self._state.intervals)
        waits = any(
            each.asked is not None and now - each.asked <= 2 * between
            for each in self._members
            if each is not member
        )
        return between if waits and now - self._state.last <= 2 * between else 0.0

    def pause(self, kind: Kind) -> float:
        """Return for how many seconds no call of this kind may leave."""
        with self._lock:
            alone = len(self._members) == 1
            own = 0.0 if alone else self._state.held(self._clock(), kind)
            return own if self._beyond is None else max(own, self._beyond.pause(kind))

    def hold(self, seconds: float, kind: Kind | None) -> None:
        """Let no call leave for *seconds*, or none of one *kind*; no longer than LONGEST_PAUSE."""
        with self._lock:
            if seconds > 0:
                self._state.let_wait(kind, self._clock() + min(seconds, LONGEST_PAUSE))
            if self._beyond is not None:
                self._beyond.hold(seconds, kind)


class Member:
    """The part that one call has in the pace; `limiter.py` has its Shared."""

    def __init__(self, pace: ProcessPace) -> None:
        self.interval = 0.0
        self.asked: float | None = None
        self._pace = pace

    def claim(self, interval: float, kind: Kind) -> float:
        """Return 0.0 if a call may leave now, else the seconds after which to ask again."""
        return self._pace.claim(self, interval, kind)

    def pause(self, kind: Kind) -> float:
        """Return for how many seconds no call of this kind may leave."""
        return self._pace.pause(kind)

    def hold(self, seconds: float, kind: Kind | None = None) -> None:
        """Let no call leave for *seconds*, or none of one *kind*."""
        self._pace.hold(seconds, kind)


_paces: Final[dict[tuple[Path | None, str, str], tuple[ProcessPace, ExitStack]]] = {}
_guard: Final = threading.Lock()


def _forget_all() -> None:
    _paces.clear()
    _guard.release()


# A process that a program forks has no part in the calls of its parent.
os.register_at_fork(
    before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget_all
)


@contextmanager
def process_pace(
    folder: Path | None, endpoint: str, key: str, *, log: Callable[[str], None]
) -> Iterator[Member]:
    """Yield a call's part in the pace for this *endpoint* and *key*.

    Processes share theirs in *folder*, as `shared_pace` says. *log* is that of the first call.
    """
    at = (folder, endpoint, key)
    with _guard:
        if at not in _paces:
            stack = ExitStack()
            beyond = stack.enter_context(shared_pace(folder, endpoint, key, log=log))
            _paces[at] = ProcessPace(beyond), stack
        pace, stack = _paces[at]
        member = pace.join()
    try:
        yield member
    finally:
        with _guard:
            pace.leave(member)
            if not len(pace):
                del _paces[at]
                stack.close()
