"""The ledger file: locked, replayed at the start, then only appended to.

`lock.py` holds it.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.disk import Disk, ThreadedDisk, open_anew, publish, sync, sync_folder
from batchrun.errors import LedgerError, LostLedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.lock import locked
from batchrun.ledger.reader import read_line
from batchrun.ledger.records import (
    AnyRecord,
    encode,
    timestamp,
)
from batchrun.ledger.replay import Replayed, replay, salvage
from batchrun.sweep.location import LEDGER

Clock = Callable[[], datetime]

SECOND_LOOK: Final = 0.1
"""Seconds before a ledger is looked for a second time."""

T = TypeVar("T")
P = ParamSpec("P")


def utc_now() -> datetime:
    return datetime.now(UTC)


class _Group:
    """Lines written by one fsync. `led` is true while one of the waiting tasks writes them."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.led = False
        self.durable = False
        self.news = anyio.Event()

    def wake(self) -> None:
        """Wake all tasks that wait for the group."""
        news, self.news = self.news, anyio.Event()
        news.set()


class Ledger:
    """Append records, and ask the book what they add up to."""

    def __init__(
        self, fd: int, path: Path, replayed: Replayed, *, disk: Disk, clock: Clock = utc_now
    ) -> None:
        self.path = path
        self.book: Book = replayed.book
        self.torn = replayed.torn
        self._fd = fd
        self._end = replayed.whole
        self._group = replayed.group
        self.disk = disk
        self._clock = clock
        self._followers: list[Callable[[AnyRecord], None]] = []
        self.opened_at = clock()
        self._gathering = _Group()
        self._broken: BaseException | None = None
        self._turn = anyio.Lock()

    async def append(self, *records: AnyRecord) -> None:
        """Return once *records* are on disk, in their order.

        Records that wait together share one write and one fsync. After a write that failed nothing
        is ever written again, and no append returns. A cancelled append may still reach
        the disk: for an intent that means a look-up more, and never a run more. Raises ValueError,
        and writes none of *records*, if one of them cannot follow.
        """
        if self._broken is not None:
            raise self._failed(self._broken)
        if not records:
            return  # an fsync for nothing
        self._enqueue(records)
        group = self._gathering
        while not group.durable:
            if group.led:
                await group.news.wait()
            else:
                await self._lead(group)

    def enclose(self, *records: AnyRecord) -> None:
        """Have *records* written along with the next append, or by `settle`: no fsync of their own.

        For lines that may be lost: a crash before that takes them along. Does nothing after a
        failed write. Raises ValueError as `append` does.
        """
        if self._broken is None:
            self._enqueue(records)

    async def settle(self) -> None:
        """Write what is enclosed, and what cancelled appends left. Nothing after a failed write."""
        async with self._turn:
            if self._gathering.lines and self._broken is None:
                await self._flush()

    @property
    def end(self) -> int:
        """The offset at which the next line will stand."""
        return self._end

    @property
    def group(self) -> int:
        """The number of the newest commit group."""
        return self._group

    def now(self) -> datetime:
        """Return the time by the clock that stamps the lines."""
        return self._clock()

    def follow(self, take: Callable[[AnyRecord], None]) -> None:
        """Have *take* called with each line that is written from now on, with its time."""
        self._followers.append(take)

    def check_place(self) -> None:
        """Raise LostLedgerError unless the file that is held is the one that bears the name.

        The folder may be moved, deleted, or replaced by an older copy while a call is at work. A
        difference counts after a second look: a network's file system may lag (rule 17).
        """
        for pause in (0.0, SECOND_LOOK):
            if pause:
                time.sleep(pause)
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._fd), self.path.stat()):
                    return
        raise LostLedgerError(
            f"{self.path} was moved, deleted or replaced during the call; nothing more was sent, "
            "and what was is written in the file that it was"
        )

    async def scan(
        self, question: Callable[Concatenate[Path, P], T], *wanted: P.args, **options: P.kwargs
    ) -> T:
        """Return what a *question* of `scan.py` finds in the file; it holds up no other task.

        Raises LostLedgerError where the file is gone meanwhile, LedgerError where it can't be read.
        """
        try:
            return await self.disk.read(partial(question, self.path, *wanted, **options))
        except OSError as error:
            self.check_place()
            raise LedgerError(f"cannot read {self.path}: {error.strerror}") from error

    def read(self, line: int) -> AnyRecord:
        """Return the record of the line at offset *line*; LedgerError if it is not on disk."""
        return read_line(self._fd, line, self.path)

    def _enqueue(self, records: Sequence[AnyRecord]) -> None:
        # The book first: a line that cannot follow would make the file unreadable for good.
        if len(records) > 1:  # of a single record that is refused nothing is added anyway
            self.book.check(records)
        at, lines, end = timestamp(self._clock()), self._gathering.lines, self._end
        stamped = [replace(record, at=at) for record in records]
        if not lines and stamped:
            stamped[0] = replace(stamped[0], group=self._group + 1)
        texts = [encode(record) for record in stamped]
        for record, text in zip(stamped, texts, strict=True):
            self.book.add(record, end)
            for take in self._followers:
                take(record)
            end += len(text)
        self._group += bool(stamped and not lines)
        lines += texts
        self._end = end

    async def _lead(self, group: "_Group") -> None:
        """Have *group* written; its waiting tasks are woken at the end."""
        group.led = True
        try:
            async with self._turn:
                if not group.durable:
                    await self._flush()
        finally:
            # Cancelled while it waited for its turn, it leaves the group to another.
            group.led = False
            group.wake()

    async def _flush(self) -> None:
        if self._broken is not None:
            raise self._failed(self._broken)
        group, self._gathering = self._gathering, _Group()
        try:
            # Cancelled after the lines were taken and before they were written, they would be
            # lost while the next flush calls them durable.
            with anyio.CancelScope(shield=True):
                await self.disk.write(self._fd, b"".join(group.lines))
        except BaseException as error:
            # After any error it is not known which of the lines are in the file. Another line could
            # be glued onto half a line, and would not stand where the book says it does.
            self._broken = error
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise
        group.durable = True

    def _failed(self, error: BaseException) -> LedgerError:
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or repr(error)
        return LedgerError(
            f"cannot write to the ledger {self.path}: {reason}{'; free some space' * full}; "
            "nothing that is not written is sent, what was sent is found again by the next call"
        )


@contextmanager
def open_ledger(
    folder: Path, *, sweep: str | None = None, disk: Disk | None = None, clock: Clock = utc_now
) -> Iterator[Ledger]:
    """Hold the ledger in *folder*: locked, replayed, what a crash left at its end cut off.

    A ledger that isn't there is made. *sweep* is the id of the sweep that the folder is known to
    be of: the ledger of another sweep, or a ledger without a whole first line, is refused before
    anything is cut off it. Raises LedgerLockedError if another process holds it,
    LedgerError if it is broken, FolderError if the folder cannot be used.
    """
    path = folder / LEDGER
    with locked(folder) as file:
        try:
            with path.open("rb") as lines:
                replayed = replay(lines, path=path)
            check_sweep(replayed.book, sweep, path)
            if replayed.torn:
                # Else the next line is glued onto the torn one, and both are lost.
                file.truncate(replayed.whole)
            sync(file.fileno())
            sync_folder(folder)
        except OSError as error:
            raise LedgerError(f"cannot use the ledger {path}: {error.strerror}") from error
        yield Ledger(file.fileno(), path, replayed, disk=disk or ThreadedDisk(), clock=clock)


class Rebuilding(Struct, frozen=True):
    """A new ledger, with all that could be kept of the old one.

    *lost* counts lines that couldn't; *runs* are the ids of the runs that the kept lines name.
    """

    ledger: Ledger
    lost: int
    runs: frozenset[str]


@contextmanager
def rebuild_ledger(
    folder: Path, *, disk: Disk | None = None, clock: Clock = utc_now
) -> Iterator[Rebuilding]:
    """Hold the ledger in *folder*, and give a new ledger that takes its place in the end.

    The old one is broken, behind, or gone; where there is one it is kept under another name. Until
    the end nothing has changed, whatever happens. Raises what `open_ledger` raises, and LedgerError
    for a ledger of a newer format.
    """
    path, new = folder / LEDGER, folder / f"{LEDGER}.new"
    with locked(folder):
        try:
            with _written(new), open_anew(new) as file, path.open("rb") as lines:
                kept = salvage(lines, file, path)
                fd = os.dup(file.fileno())
            try:
                replayed = Replayed(kept.book, new.stat().st_size, 0, kept.group)
                ledger = Ledger(fd, new, replayed, disk=disk or ThreadedDisk(), clock=clock)
                yield Rebuilding(ledger, kept.lost, frozenset(kept.runs))
            finally:
                os.close(fd)
            with _written(path):
                if path.stat().st_size:
                    _keep(path, folder / f"ledger-{clock():%Y%m%dT%H%M%S}.jsonl")
                publish(new, path)
        finally:
            new.unlink(missing_ok=True)


def check_sweep(book: Book, sweep: str | None, path: Path) -> None:
    """Raise LostLedgerError if *book* isn't of *sweep*; None is any."""
    found = None if book.sweep is None else book.sweep.sweep
    if sweep is not None and found != sweep:
        what = "damaged from its first line on" if found is None else f"of sweep {found}"
        raise LostLedgerError(f"{path} is {what}, and the sweep.json beside it of sweep {sweep}")


def _keep(path: Path, other: Path) -> None:
    """Give a file another name beside the one it has, so that at no moment it has none."""
    try:
        other.hardlink_to(path)
    except FileExistsError:  # kept within the same second
        pass
    except OSError:  # a file system without links
        shutil.copyfile(path, other)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror}") from error
