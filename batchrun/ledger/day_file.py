"""The file that a day's budget is drawn from, by all labels of a name: `BASE/NAME/days/DAY.jsonl`.

**No request leaves for which nothing is drawn.** Calls of several labels go on at once, so each
draws a chunk under the file's lock before it sends, and the line that says so is on disk by then.
Each line has the whole part of one label, so that its newest line counts, and only its own process
writes it. Without the lock two nightly jobs would see the same room, and both take it.

All that is in the file is in the ledgers, too. Where the file is gone, it is made again from them.
"""

import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio
import msgspec
from msgspec import Struct

from batchrun.base.disk import Disk, sync_folder
from batchrun.errors import FolderError
from batchrun.ledger.day_others import Others, owner_of
from batchrun.ledger.day_sums import NOT_GIVEN, Given, Held, Other
from batchrun.ledger.lock import call_of
from batchrun.ledger.records import timestamp
from batchrun.sweep.location import LEDGER, name_folder

DAYS: Final = "days"

PAUSE: Final = 0.02
"""Seconds between two tries to lock the file: it is held for as long as a line takes."""

PATIENCE: Final = 60.0
"""Seconds after which a lock that isn't given back ends the call."""

SLACK: Final = 3600.0
"""Seconds before the day begins from which on a ledger that has changed is read."""

_held: Final = msgspec.json.Decoder(Held)


class Chunk(Struct, frozen=True):
    """Money of *day* that one call may spend: *amount* is USD, *number* counts its chunks."""

    day: str
    number: int
    amount: Decimal


class DayPool(Protocol):
    """One day's budget, shared by calls that don't know of each other."""

    @property
    def day(self) -> str:
        """The UTC day, such as 2026-11-29."""

    @property
    def drawn(self) -> Decimal:
        """The sum of all that this call has drawn, settled or not."""

    @property
    def others(self) -> tuple[Other, ...]:
        """The parts of all other labels, as of the last look."""

    async def reserve(self, amount: Decimal, *, least: Decimal, spent: Decimal) -> Chunk | None:
        """Return a chunk of *amount*, or of what there is, once that is on disk.

        None where there is not even the *least*. *spent* is settled by now of all that was drawn.
        """

    async def settle(
        self, *, spent: Decimal, reserved: Decimal | None, waits: bool = False
    ) -> None:
        """Say what this call has spent of the day, and give back all but what is *reserved*.

        *waits*: it does nothing but wait for the others, which need not wait for it.
        """

    async def look(self) -> None:
        """Look at the parts of the others."""

    def in_place(self) -> bool:
        """Say whether the others still see what was drawn."""


class DayFile:
    """A pool on this disk. *limit* is USD a day, *folder* that of the sweep; *given* as `Others`.

    All of its methods raise FolderError where the file can't be used.
    """

    def __init__(
        self,
        folder: Path,
        day: str,
        *,
        limit: Decimal,
        disk: Disk,
        clock: Callable[[], datetime],
        given: Given = NOT_GIVEN,
    ) -> None:
        self.day = day
        self.path = name_folder(folder) / DAYS / f"{day}.jsonl"
        self.drawn = Decimal(0)
        self.others: tuple[Other, ...] = ()
        self._limit = limit
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._beside = Others(folder, day, given)
        self._held: dict[str, Held] = {}
        self._file: os.stat_result | None = None  # which file it was at the last look
        self._end = 0
        self._number = 0

    def __repr__(self) -> str:
        return f"<DayFile {self.day}: {self.drawn} of {self._limit} USD drawn>"

    async def begin(self, now: datetime) -> None:
        """Find the other labels that were called on this day; *now* is the time that it hangs on.

        The files have the time of this machine, which may be another one.
        """
        begun = datetime.fromisoformat(f"{self.day}T00:00:00+00:00")
        since = time.time() - (now - begun).total_seconds() - SLACK
        await self._disk.read(partial(self._beside.find, since))

    async def reserve(self, amount: Decimal, *, least: Decimal, spent: Decimal) -> Chunk | None:
        async with self._locked() as fd:
            left = self._limit - self.drawn - _taken(self.others)
            if least > left:
                return None
            chunk = Chunk(self.day, self._number + 1, min(amount, left))
            await self._write(fd, spent, self.drawn + chunk.amount - spent)
        self._number = chunk.number
        self.drawn += chunk.amount
        return chunk

    async def settle(
        self, *, spent: Decimal, reserved: Decimal | None, waits: bool = False
    ) -> None:
        async with self._locked() as fd:
            known = self._held.get(owner_of(self._folder))
            said = None if known is None else (known.spent, known.reserved, known.waits)
            if said != (spent, reserved, waits):
                await self._write(fd, spent, reserved, waits=waits)
        self.drawn = spent + (reserved or 0)

    async def look(self) -> None:
        async with self._locked():
            pass

    def in_place(self) -> bool:
        with suppress(OSError):
            return self._is_same(self.path.stat())
        return False

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        """Hold the file, with all its lines read. A cancelled call waits for the end of it."""
        try:
            with anyio.CancelScope(shield=True):
                fd = await self._open()
                try:
                    self._read(fd)
                    parts = partial(self._beside.parts, dict(self._held))
                    self.others = await self._disk.read(parts)
                    yield fd
                finally:
                    os.close(fd)  # and its lock with it
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise FolderError(
                f"cannot use {self.path}, which `budget_per_day` is kept in: {error.strerror}"
                f"{'; free some space' * full}; nothing was sent for which no money is reserved"
            ) from error

    async def _open(self) -> int:
        """Return the file under its lock; it is the one that bears the name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = anyio.current_time() + PATIENCE
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), self.path.stat()):
                    return fd
            except BlockingIOError:
                if anyio.current_time() > until:
                    os.close(fd)
                    raise FolderError(
                        f"another process has held {self.path} for {PATIENCE:.0f} s; stop it"
                    ) from None
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            await anyio.sleep(PAUSE)

    def _read(self, fd: int) -> None:
        """Take in the lines since the last look; cut off what a killed process left of a line."""
        if not self._is_same(os.fstat(fd)):
            self._held, self._end = {}, 0
            sync_folder(self.path.parent)
            sync_folder(self.path.parent.parent)
        self._file = os.fstat(fd)
        text = os.pread(fd, self._file.st_size - self._end, self._end)
        whole = text.rfind(b"\n") + 1
        for line in text[:whole].splitlines():
            try:
                held = _checked(_held.decode(line))
            except ValueError as error:
                raise FolderError(
                    f"{self.path} has a line that is none of batchrun's ({error}); delete the "
                    "file while no call of this name goes on: it is made again from the ledgers"
                ) from None
            self._held[held.owner] = held
        self._end += whole
        if whole < len(text):
            os.ftruncate(fd, self._end)

    def _is_same(self, now: os.stat_result) -> bool:
        known = self._file
        return known is not None and os.path.samestat(known, now) and now.st_size >= self._end

    async def _write(
        self, fd: int, spent: Decimal, reserved: Decimal | None, *, waits: bool = False
    ) -> None:
        held = Held(
            owner=owner_of(self._folder),
            at=timestamp(self._clock()),
            spent=spent,
            reserved=reserved,
            through=(self._folder / LEDGER).stat().st_size,
            waits=waits,
            call=call_of(self._folder),
        )
        line = msgspec.json.encode(held) + b"\n"
        await self._disk.write(fd, line)
        self._held[held.owner] = held
        self._end += len(line)


def _checked(held: Held) -> Held:
    """Return *held*; ValueError where no call wrote it."""
    if held.owner and not (held.owner.startswith("@") and not {"/", "\0"} & {*held.owner}):
        raise ValueError("its owner is no label")
    if not all(usd.is_finite() for usd in (held.spent, held.reserved or held.spent)):
        raise ValueError("its amounts are none")
    if held.spent < 0:
        raise ValueError("its sum is below 0")
    return held


def _taken(others: tuple[Other, ...]) -> Decimal:
    """Return what the others have of a day; all of it where a part of theirs has no bound."""
    if any(each.reserved is None for each in others):
        return Decimal("Infinity")
    return sum((each.spent + (each.reserved or 0) for each in others), Decimal(0))
