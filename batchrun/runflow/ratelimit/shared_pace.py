"""One pace for all processes of a user on this machine that share an endpoint and a key.

No server: a file of some bytes, in a folder that only the user can read. The kernel's record locks
(`fcntl`) do the rest, because they go with the process whatever ends it, and know nothing of
process ids, which are given out again and differ between containers:

* the byte 0 is locked for the few microseconds in which a process reads and writes the file;
* the byte 1 + slot is locked by the process of that slot for as long as it lives.

No process ever waits in a lock: its holder can be stopped. The lock is asked for again
a little later, and after _STUCK seconds the file is replaced by a new one, to which the others
come over when they see that theirs has no name any more. The stopped one, once it goes on, finds
that its claim took too long, and claims anew.

Whatever goes wrong with the file, the process paces alone, and says so.
"""

import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.shared_pace_state import (
    LONGEST_PAUSE,
    SLOTS,
    SharedPaceState,
    decode,
    encode,
)

_SIZE: Final = 4096  # more than any state takes
_BUSY: Final = 0.0002  # seconds until another process has written
_STUCK: Final = 2.0
_LATE: Final = 1.0  # seconds that a claim may take
_ASKED_AGAIN: Final = 1.0  # seconds, at the latest: the process that we wait for may be gone
_OLD: Final = 7 * 86400.0
_OURS: Final = re.compile(r"[0-9a-f]{32}(\.\d+)?")  # as `_name` and `_replace` call files
_LOCK, _UNLOCK = fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN


class SharedPace:
    """Claims departures; one for a process, since the locks are the process's."""

    def __init__(
        self,
        path: Path,
        *,
        log: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._fd: int | None = _opened(path)
        self._slot: int | None = None
        self._next = float("-inf")
        self._holds: dict[Kind | None, float] = {}  # of this process; None is of both kinds
        self._known: dict[Kind, float] = {}  # of all, by the last claim
        self._busy_since: float | None = None

    def __repr__(self) -> str:
        return f"<SharedPace {self._path.name}, slot {self._slot}>"

    def claim(self, interval: float, kind: Kind = Kind.READS) -> float:
        """Return 0.0 if a call may leave now, else the seconds after which to ask again.

        *interval* is how many seconds this process would have between calls.
        """
        now = self._clock()
        if self._fd is None:
            return 0.0
        if now < self._next:
            return self._next - now
        try:
            return self._claim(now, interval, kind)
        except OSError as error:
            self._log(f"paces alone: {self._path}: {error}")
            self.close()
            return 0.0

    def pause(self, kind: Kind) -> float:
        """Return for how many seconds processes let no call of this kind leave, by the last claim.

        More than that is in `claim`.
        """
        return max(0.0, self._known.get(kind, float("-inf")) - self._clock())

    def hold(self, seconds: float, kind: Kind | None = None) -> None:
        """Let no call leave for *seconds*, or none of one *kind*; no longer than LONGEST_PAUSE.

        They hear of it when this process claims next.
        """
        if seconds <= 0:
            return
        until = self._clock() + min(seconds, LONGEST_PAUSE)
        self._holds[kind] = max(self._holds.get(kind, until), until)
        if self._fd is not None:
            with suppress(OSError):
                self._write_hold()

    def close(self) -> None:
        """Stop counting for the others."""
        fd, self._fd, self._slot = self._fd, None, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)

    def _claim(self, now: float, interval: float, kind: Kind) -> float:
        if not self._lock(0):
            return self._come_again(now)
        self._busy_since = None
        try:
            if os.fstat(self._file).st_nlink == 0:
                self._move()
                return _BUSY
            state = self._state(now)
            state.enter(self._own_slot(), interval)
            self._bury(state)
            self._known = state.holds
            wait, held = state.wait(now), state.held(now, kind)
            if wait == held == 0.0:
                state.last = now
            self._write(state)
        finally:
            self._unlock(0)
        if wait == held == 0.0 and self._clock() - now > _LATE:
            return _BUSY  # we were stopped, and others may have left meanwhile
        if wait or not held:  # else the other kind may go at once
            self._next = now + min(wait or interval, _ASKED_AGAIN)
        return min(max(wait, held), _ASKED_AGAIN)

    def _state(self, now: float) -> SharedPaceState:
        state = decode(os.pread(self._file, _SIZE, 0), now)
        for kind, until in self._holds.items():
            if until > now:
                state.let_wait(kind, until)
        return state

    def _write(self, state: SharedPaceState) -> None:
        text = encode(state)
        os.pwrite(self._file, text, 0)
        if os.fstat(self._file).st_size > len(text):
            os.ftruncate(self._file, len(text))

    @property
    def _file(self) -> int:
        assert self._fd is not None
        return self._fd

    def _write_hold(self) -> None:
        if not self._lock(0):
            return
        try:
            self._write(self._state(self._clock()))
        finally:
            self._unlock(0)

    def _own_slot(self) -> int:
        """Return the slot of this process, which it takes at its first claim."""
        if self._slot is None:
            self._slot = next((slot for slot in range(SLOTS) if self._lock(1 + slot)), None)
            if self._slot is None:
                raise OSError(f"{SLOTS} processes share it already")
        return self._slot

    def _bury(self, state: SharedPaceState) -> None:
        """Forget the processes that are gone: their bytes can be locked."""
        for slot, interval in enumerate(state.intervals):
            if interval and slot != self._slot and self._lock(1 + slot):
                self._unlock(1 + slot)
                state.enter(slot, 0.0)

    def _come_again(self, now: float) -> float:
        """Return when to ask for the lock again; its holder may have been stopped."""
        self._busy_since = self._busy_since or now
        if now - self._busy_since > _STUCK:
            self._busy_since = None
            if os.fstat(self._file).st_nlink:
                self._replace(now)
            self._move()
        return _BUSY

    def _replace(self, now: float) -> None:
        """Put a new file in the place of the stuck file; it begins as if a call left now."""
        state = decode(os.pread(self._file, _SIZE, 0), now)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        begun = SharedPaceState(last=now, hold=state.hold, holds=state.holds)
        fresh.write_bytes(encode(begun))
        fresh.replace(self._path)

    def _move(self) -> None:
        fresh = _opened(self._path)
        self.close()
        self._fd = fresh

    def _lock(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, _LOCK, 1, byte)
        except (BlockingIOError, PermissionError):  # POSIX leaves open which of the two
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, _UNLOCK, 1, byte)


@contextmanager
def shared_pace(
    folder: Path | None, endpoint: str, key: str, *, log: Callable[[str], None]
) -> Iterator[SharedPace | None]:
    """Yield what processes with this *endpoint* and *key* share; None where they can't, or shan't.

    The file's name shows neither: it is a hash of the one, keyed with the other.
    """
    shared = None
    if folder is not None:
        try:
            _make_safe(folder)
            shared = SharedPace(folder / _name(endpoint, key), log=log)
        except OSError as error:
            log(f"paces alone: {error}")
    try:
        yield shared
    finally:
        if shared is not None:
            shared.close()


def _name(endpoint: str, key: str) -> str:
    secret = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), person=b"batchrun pace").digest()
    return hashlib.blake2b(endpoint.encode(), key=secret, digest_size=16).hexdigest()


def _make_safe(folder: Path) -> None:
    """Make *folder* if need be, and tidy it; OSError where others could have a hand in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise OSError(f"{folder} is not a folder of this user alone")
    for path in folder.iterdir():
        if not _OURS.fullmatch(path.name):  # the folder that a user names may hold anything
            continue
        with suppress(OSError):  # a process that still has it open makes a new one
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
