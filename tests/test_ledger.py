"""The ledger's file: durable before told, one write for all who wait, one holder, no half lines."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from ledger_lines import NOON, SWEEP, finished, intent, saved, submitted, text

from batchrun.base.disk import Disk, InlineDisk, ThreadedDisk, write_durably
from batchrun.errors import FolderError, LedgerError, LedgerLockedError
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.ledger.history import State
from batchrun.ledger.lock import LOCK
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import AnyRecord, Intent, Throttled, decode
from batchrun.ledger.scan import keys_of, known_ids
from batchrun.sweep.location import LEDGER


class SlowDisk(InlineDisk):
    """Takes a second for each write, and remembers what it wrote."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    async def write(self, fd: int, data: bytes) -> None:
        await anyio.sleep(1)
        write_durably(fd, data)
        self.writes.append(data)


class FailingDisk(InlineDisk):
    """Writes *good* times; then *part* bytes at most, and an error. Whoever asks again is told."""

    def __init__(self, good: int = 0, part: int = 0, error: BaseException | None = None) -> None:
        self.good = good
        self.part = part
        self.error = error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.calls = 0

    async def write(self, fd: int, data: bytes) -> None:
        self.calls += 1
        await anyio.sleep(1)
        if self.calls <= self.good:
            write_durably(fd, data)
            return
        write_durably(fd, data[: self.part])
        raise self.error


@contextmanager
def opened(folder: Path, disk: Disk | None = None) -> Iterator[Ledger]:
    with open_ledger(folder, disk=disk or InlineDisk(), clock=lambda: NOON) as ledger:
        yield ledger


def cells(folder: Path) -> list[str]:
    """Return the cells whose intents are in the file, in the file's order."""
    records = [decode(line) for line in (folder / LEDGER).read_bytes().splitlines(keepends=True)]
    return [record.cell for record in records if isinstance(record, Intent)]


# Writing.


async def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        await ledger.append(intent())
        at_once = (tmp_path / LEDGER).read_bytes()

    record = decode(at_once)
    assert record is not None
    assert record.at == "2026-05-04T12:00:00.000250Z"
    assert at_once.startswith(b'{"type":"intent","at":"2026-05-04T12:00:00.000250Z","group":1,')


async def test_no_records_cost_no_write(tmp_path: Path) -> None:
    disk = SlowDisk()
    with opened(tmp_path, disk) as ledger:
        await ledger.append(*())

    assert disk.writes == []


async def test_what_was_appended_is_there_for_the_next_process(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        await ledger.append(SWEEP)
        await ledger.append(intent(), submitted())
        await ledger.append(finished(), saved())
        book = ledger.book
    with opened(tmp_path) as ledger:
        assert vars(ledger.book) == vars(book)
        assert ledger.torn == 0


async def test_records_behind_a_history_can_be_read(tmp_path: Path) -> None:
    big = intent("c2", input={"prompt": "a chair " * 10_000})
    with opened(tmp_path) as ledger:
        await ledger.append(intent())
        await ledger.append(big)
        record = ledger.read(ledger.book.history("c2").intent_line)

    assert isinstance(record, Intent)
    assert record.input == big.input


async def test_records_that_wait_together_share_one_write(tmp_path: Path) -> None:
    disk = SlowDisk()
    with opened(tmp_path, disk) as ledger:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ledger.append, intent(f"c{number}"))
    groups = re.findall(rb'"group":(\d+)', b"".join(disk.writes))

    # The first to come finds nobody waiting; while it writes, the others gather.
    assert [write.count(b"\n") for write in disk.writes] in ([50], [1, 49])
    assert groups == [b"%d" % number for number in range(1, len(disk.writes) + 1)]
    assert all(write.index(b'"group"') < write.index(b"\n") for write in disk.writes)


async def test_a_group_begins_anew_after_each_write_and_each_start(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path) as ledger:
            await ledger.append(SWEEP)
            await ledger.append(SWEEP, SWEEP)
    groups = [
        json.loads(line).get("group") for line in (tmp_path / LEDGER).read_bytes().splitlines()
    ]

    assert groups == [1, 2, None, 3, 4, None]


async def test_lines_of_one_cell_keep_their_order_whoever_waits(tmp_path: Path) -> None:
    async def live(ledger: Ledger, key: str) -> None:
        await ledger.append(intent(key))
        await ledger.append(submitted(key))
        await ledger.append(finished(key), saved(key))

    with opened(tmp_path, SlowDisk()) as ledger:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(live, ledger, f"c{number}")
    with opened(tmp_path) as ledger:  # replay refuses what cannot follow
        histories = ledger.book.histories.values()

    assert len(histories) == 20
    assert all(history.state is State.SUCCEEDED and history.saved for history in histories)


async def test_the_offsets_in_the_book_are_those_of_the_file(tmp_path: Path) -> None:
    with opened(tmp_path, SlowDisk()) as ledger:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ledger.append, intent(f"ç{number}"), submitted(f"ç{number}"))
        live = ledger.book
    with open_reader(tmp_path / LEDGER) as reader:
        assert vars(reader.book) == vars(live)


@pytest.mark.parametrize(
    "records", [[submitted()], [intent("c1"), finished("c1")], [intent(), intent("c2"), saved()]]
)
async def test_of_records_of_which_one_cannot_follow_none_is_written(
    tmp_path: Path, records: list[AnyRecord]
) -> None:
    with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match="cannot follow"):
            await ledger.append(*records)
        await ledger.append(SWEEP)

        assert not ledger.book.histories
    assert (tmp_path / LEDGER).read_bytes().count(b"\n") == 1


async def test_text_that_is_no_utf_8_reaches_the_file_as_text(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        await ledger.append(intent(), submitted())
        await ledger.append(finished(status="failed", failure_message="half \ud800"))
    with opened(tmp_path) as ledger:
        assert ledger.book.history("c1").state is State.FAILED


# Cancelled.


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 1.5, 2.5])
async def test_a_cancelled_append_never_loses_or_moves_what_others_wrote(
    tmp_path: Path, after: float
) -> None:
    """Its own line may be there or not; the book says the same as the file either way."""
    told: list[str] = []

    async def append(ledger: Ledger, key: str, scope: anyio.CancelScope) -> None:
        with scope:
            await ledger.append(intent(key))
            told.append(key)

    with opened(tmp_path, SlowDisk()) as ledger:
        cancelled = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for number in range(9):
                scope = cancelled[number // 3] if number % 3 == 1 else anyio.CancelScope()
                tasks.start_soon(append, ledger, f"c{number}", scope)
            await anyio.sleep(after)
            for scope in cancelled:
                scope.cancel()
            tasks.start_soon(append, ledger, "later", anyio.CancelScope())
        assert set(told) <= set(cells(tmp_path))
        await ledger.settle()
        book = ledger.book

    assert {"c0", "c2", "c3", "c5", "c6", "c8", "later"} <= set(told)
    assert sorted(cells(tmp_path)) == sorted(book.histories)
    with opened(tmp_path) as ledger:
        assert vars(ledger.book) == vars(book)


async def test_a_write_under_way_is_not_cut_short_by_a_cancellation(tmp_path: Path) -> None:
    disk = SlowDisk()
    with opened(tmp_path, disk) as ledger:
        with anyio.move_on_after(0.5):
            await ledger.append(intent("c1"))
        await ledger.append(intent("c2"))

    assert cells(tmp_path) == ["c1", "c2"]
    assert len(disk.writes) == 2


async def test_what_cancelled_appends_left_is_written_on_the_way_out(tmp_path: Path) -> None:
    disk = SlowDisk()
    with opened(tmp_path, disk) as ledger:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.append, intent("c1"))
            await anyio.sleep(0.5)
            tasks.start_soon(ledger.append, intent("c2"))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert cells(tmp_path) == ["c1"]
        await ledger.settle()
        await ledger.settle()

    assert cells(tmp_path) == ["c1", "c2"]
    assert len(disk.writes) == 2


async def test_an_enclosed_line_is_written_along_and_has_no_write_of_its_own(
    tmp_path: Path,
) -> None:
    disk = SlowDisk()
    throttled = Throttled(since="2026-05-04T12:00:00.000000Z", step=10, counts=(3,))
    with opened(tmp_path, disk) as ledger:
        ledger.enclose(throttled)
        assert disk.writes == []
        await ledger.append(intent("c1"))
        assert len(disk.writes) == 1
        ledger.enclose(throttled, throttled)
        await ledger.settle()
        assert len(disk.writes) == 2
        book = ledger.book

    lines = (tmp_path / LEDGER).read_bytes().splitlines(keepends=True)
    found = [decode(line) for line in lines]
    assert [type(each) for each in found] == [Throttled, Intent, Throttled, Throttled]
    assert [each and each.group for each in found] == [1, 0, 2, 0]
    with opened(tmp_path) as ledger:
        assert vars(ledger.book) == vars(book)


# Failing.


async def append_all(ledger: Ledger, keys: list[str]) -> dict[str, BaseException | None]:
    """Append an intent for each of *keys* at once; return what each was told."""
    told: dict[str, BaseException | None] = {}

    async def append(key: str) -> None:
        told[key] = None
        try:
            await ledger.append(intent(key))
        except LedgerError as error:
            told[key] = error

    async with anyio.create_task_group() as tasks:
        for key in keys:
            tasks.start_soon(append, key)
    return told


@pytest.mark.parametrize("part", [0, 1, 100, 10_000])
async def test_after_a_failed_write_nothing_is_written_and_nobody_is_told_it_was(
    tmp_path: Path, part: int
) -> None:
    """A full disk takes some of a group's bytes or, failing only in the fsync, all of them."""
    disk = FailingDisk(good=1, part=part)
    with opened(tmp_path, disk) as ledger:
        await ledger.append(intent("before"))
        told = await append_all(ledger, ["c1", "c2", "c3"])
        size = (tmp_path / LEDGER).stat().st_size
        later = await append_all(ledger, ["c4"])
        await ledger.settle()

    assert all(isinstance(error, LedgerError) for error in [*told.values(), *later.values()])
    assert disk.calls == 2
    assert (tmp_path / LEDGER).stat().st_size == size


async def test_those_whose_lines_were_durable_before_the_failure_are_told_so(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, FailingDisk(good=1)) as ledger:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.append, intent("first"))
            await anyio.sleep(0.5)
            told = await append_all(ledger, ["second"])

    assert isinstance(told["second"], LedgerError)
    assert cells(tmp_path) == ["first"]


async def test_lines_that_waited_for_a_write_that_failed_are_left_alone_on_the_way_out(
    tmp_path: Path,
) -> None:
    disk = FailingDisk()
    with opened(tmp_path, disk) as ledger:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(append_all, ledger, ["c1"])
            await anyio.sleep(0.5)
            tasks.start_soon(append_all, ledger, ["c2"])
        await ledger.settle()

    assert disk.calls == 1
    assert cells(tmp_path) == []


async def test_a_failed_write_is_said_with_the_file_the_reason_and_the_way_on(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, FailingDisk()) as ledger:
        told = await append_all(ledger, ["c1"])

    assert str(told["c1"]) == (
        f"cannot write to the ledger {tmp_path / LEDGER}: No space left on device; "
        "free some space; nothing that is not written is sent, what was sent is found again by "
        "the next call"
    )
    assert isinstance(told["c1"], LedgerError)
    assert told["c1"].exit_code == 9


async def test_a_record_that_comes_after_the_failure_changes_not_even_the_book(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, FailingDisk(error=OSError(errno.EIO, "I/O error"))) as ledger:
        await append_all(ledger, ["c1"])
        await append_all(ledger, ["c2"])

        assert set(ledger.book.histories) == {"c1"}


async def test_what_is_not_on_disk_is_not_read_from_it(tmp_path: Path) -> None:
    with opened(tmp_path, FailingDisk(part=50)) as ledger:
        await append_all(ledger, ["c1"])

        with pytest.raises(LedgerError, match=r"the line at byte 0 .* is not on disk"):
            ledger.read(ledger.book.history("c1").intent_line)


async def test_a_disk_that_fails_in_no_way_known_stops_the_ledger_too(tmp_path: Path) -> None:
    """Nobody knows what is in the file: another line might be glued onto half a one."""
    disk = FailingDisk(part=30, error=RuntimeError("the thread is gone"))
    with opened(tmp_path, disk) as ledger:
        with pytest.raises(RuntimeError):
            await ledger.append(intent("c1"))
        with pytest.raises(LedgerError, match="the thread is gone"):
            await ledger.append(intent("c2"))

    assert disk.calls == 1


@pytest.mark.parametrize("part", range(0, 1200, 37))
async def test_the_call_after_a_full_disk_goes_on_with_what_is_whole(
    tmp_path: Path, part: int
) -> None:
    with opened(tmp_path, FailingDisk(good=1, part=part)) as ledger:
        await ledger.append(intent("before"))
        await append_all(ledger, ["c1", "c2", "c3"])
    with opened(tmp_path) as ledger:
        there = set(ledger.book.histories)
        await append_all(ledger, sorted({"c1", "c2", "c3"} - there))
    with opened(tmp_path) as ledger:
        assert set(ledger.book.histories) == {"before", "c1", "c2", "c3"}
        assert ledger.torn == 0


# Starting.

GROUPS: list[list[AnyRecord]] = [[SWEEP], [intent("c1"), intent("c2")], [submitted("c1")]]
LAST: list[AnyRecord] = [intent("c3"), finished("c1"), submitted("c2")]


@pytest.mark.parametrize("last", [[submitted("c2")], LAST], ids=["a line", "a group"])
async def test_a_ledger_torn_at_any_byte_of_its_last_group_goes_on(
    tmp_path: Path, last: list[AnyRecord]
) -> None:
    whole, durable = text(*GROUPS, last), len(text(*GROUPS))
    for cut in range(durable, len(whole)):
        (tmp_path / LEDGER).write_bytes(whole[:cut])
        kept = whole[:cut].rfind(b"\n") + 1

        with opened(tmp_path) as ledger:
            assert ledger.torn == cut - kept
            assert (tmp_path / LEDGER).read_bytes() == whole[:kept]
            await ledger.append(intent("new"))
        with opened(tmp_path) as ledger:
            assert ledger.torn == 0
            assert ledger.book.history("new").state is State.DOUBTFUL


async def test_blocks_missing_in_the_last_group_are_cut_with_what_follows(tmp_path: Path) -> None:
    whole, durable = text(*GROUPS, LAST), len(text(*GROUPS))
    for start in range(durable, len(whole), 5):
        damaged = bytearray(whole)
        damaged[start : start + 64] = bytes(len(damaged[start : start + 64]))
        (tmp_path / LEDGER).write_bytes(damaged)

        with opened(tmp_path) as ledger:
            await ledger.append(intent("new"))
        data = (tmp_path / LEDGER).read_bytes()
        assert data.startswith(whole[: whole[:start].rfind(b"\n") + 1])
        assert b"\0" not in data


def test_a_broken_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    damaged = text(*GROUPS).replace(b'"c2"', b'"c2\0', 1)
    (tmp_path / LEDGER).write_bytes(damaged)

    with pytest.raises(LedgerError, match=r"broken at line 3, byte \d+"), opened(tmp_path):
        pass
    assert (tmp_path / LEDGER).read_bytes() == damaged


def test_a_newer_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    newer = text([SWEEP]).replace(b'"format":1', b'"format":2') + b'{"type":"torn'
    (tmp_path / LEDGER).write_bytes(newer)

    with pytest.raises(LedgerError, match="format 2 of a newer batchrun"), opened(tmp_path):
        pass
    assert (tmp_path / LEDGER).read_bytes() == newer


async def test_lines_of_a_later_version_are_kept(tmp_path: Path) -> None:
    blessed = b'{"type":"blessed","at":"2026-05-04T12:00:00.000250Z","group":1,"by":"whom"}\n'
    (tmp_path / LEDGER).write_bytes(blessed)

    with opened(tmp_path) as ledger:
        await ledger.append(intent())
    assert (tmp_path / LEDGER).read_bytes().startswith(blessed)


def test_a_ledger_that_is_not_there_is_made_with_its_folders(tmp_path: Path) -> None:
    with opened(tmp_path / "a" / "b") as ledger:
        assert ledger.path == tmp_path / "a" / "b" / LEDGER
        assert ledger.path.read_bytes() == b""


def _file_in_the_way(folder: Path) -> Path:
    (folder / "sweep").write_text("a file")
    return folder / "sweep"


def _folder_for_a_ledger(folder: Path) -> Path:
    (folder / LEDGER).mkdir()
    return folder


@pytest.mark.parametrize("make", [_file_in_the_way, _folder_for_a_ledger])
def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    folder = make(tmp_path)

    with (
        pytest.raises(FolderError, match=f"cannot use the output folder {folder}: ") as caught,
        opened(folder),
    ):
        pass
    assert caught.value.exit_code == 9


# Held.


def test_a_second_holder_is_turned_away_with_who_has_it(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with (
        opened(tmp_path),
        pytest.raises(LedgerLockedError) as caught,
        opened(tmp_path),
    ):
        pass
    found = re.fullmatch(
        r"another batchrun holds the ledger in (.*): pid (\d+) on (.*) since (\S+); "
        "wait for it, or stop it",
        str(caught.value),
    )

    assert caught.value.exit_code == 7
    assert found is not None
    assert found.group(1, 2, 3) == (str(tmp_path), str(os.getpid()), socket.gethostname())
    assert abs(datetime.fromisoformat(found[4]) - before) < timedelta(minutes=1)


@pytest.mark.parametrize("holder", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff"])
def test_a_lock_file_that_says_nothing_is_no_reason_to_fail(tmp_path: Path, holder: bytes) -> None:
    with opened(tmp_path):
        (tmp_path / LOCK).write_bytes(holder)
        with (
            pytest.raises(LedgerLockedError, match=r"its name is not in .*lock"),
            opened(tmp_path),
        ):
            pass


def test_the_ledger_is_free_once_its_holder_has_left_it(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


def test_a_ledger_that_was_refused_is_not_held(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"{}\n" + text([SWEEP]))
    with pytest.raises(LedgerError), opened(tmp_path):
        pass
    (tmp_path / LEDGER).write_bytes(text([SWEEP]))
    with opened(tmp_path):
        pass


def test_a_ledger_that_was_swapped_between_opening_and_locking_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes would each hold one, and each pay for the sweep."""
    import fcntl  # noqa: PLC0415  (the operating system's side of the race)

    lock = fcntl.flock

    def swapping(fd: int, operation: int) -> None:
        (tmp_path / LEDGER).rename(tmp_path / "moved")
        (tmp_path / LEDGER).touch()
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", swapping)
    with pytest.raises(FolderError, match="moved or replaced"), opened(tmp_path):
        pass


async def test_a_reader_is_not_held_up_and_sees_what_is_written(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        await ledger.append(SWEEP)
        await ledger.append(intent(), submitted())
        with open_reader(tmp_path / LEDGER) as reader:
            await ledger.append(finished())
            record = reader.read(reader.book.history("c1").intent_line)

            assert reader.book.history("c1").state is State.IN_FLIGHT
    assert isinstance(record, Intent)


HOLD = """
    import sys, time
    from pathlib import Path
    from batchrun.ledger.file import open_ledger
    with open_ledger(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(3600)
"""

WRITE = """
    import sys
    from pathlib import Path
    import anyio
    from ledger_lines import intent
    from batchrun.ledger.file import open_ledger

    async def work():
        with open_ledger(Path(sys.argv[1])) as ledger:
            async def lane(lane):
                for number in range(100_000):
                    key = f"{lane}-{number}"
                    if key not in ledger.book.histories:
                        await ledger.append(intent(key))
                        print(key, flush=True)
            async with anyio.create_task_group() as tasks:
                for name in "abcdefgh":
                    tasks.start_soon(lane, name)

    anyio.run(work)
"""


@contextmanager
def process(program: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run *program* in a Python of its own; it does not outlive the block."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.slow
def test_another_process_is_named_and_once_killed_does_not_block(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"

        with (
            pytest.raises(LedgerLockedError, match=rf"pid {running.pid} on \S+ since 20\S+Z;"),
            opened(tmp_path),
        ):
            pass
        running.send_signal(signal.SIGKILL)
        running.wait()
        with opened(tmp_path):
            pass


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_was_told_is_on_disk(tmp_path: Path) -> None:
    told: set[str] = set()
    for lines in (40, 1, 130, 77, 300):
        with process(WRITE, tmp_path) as running:
            assert running.stdout is not None
            for _ in range(lines):
                told.add(running.stdout.readline().strip())
            with open_reader(tmp_path / LEDGER) as reader:
                assert told <= set(reader.book.histories)
            running.kill()
            told |= {line.strip() for line in running.stdout if line.endswith("\n")}
        with opened(tmp_path) as ledger:
            assert told <= set(ledger.book.histories)


async def test_runs_and_keys_that_the_file_has_are_told_from_those_it_has_not(
    tmp_path: Path,
) -> None:
    odd = 'a "quoted" é \\ key'
    with opened(tmp_path) as ledger:
        await ledger.append(SWEEP, intent(idempotency_key="k1"), intent("c2", idempotency_key=odd))
        await ledger.append(submitted("c2", run_id="r2"), finished("c2", run_id="r2"))
        await ledger.append(intent("c3", metadata={"run_id": "r3", "idempotency_key": "k3"}))

        asked = {"k1", odd, "r2", "r3", "k3", "k", "c2", "banana"}
        assert known_ids(ledger.path, asked) == {"k1", odd, "r2"}
        assert known_ids(ledger.path, set()) == set()


async def test_the_keys_of_a_wave_are_those_of_its_intents(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for number in (1, 11):
            wave, key = f"br1.k3f9.{number}", f"of all in batch {number}"
            await ledger.append(
                *(
                    intent(f"c{number}-{index}", client_ref=wave, idempotency_key=key)
                    for index in range(3)
                )
            )
        await ledger.append(intent("c9", idempotency_key="of one"), submitted("c9", run_id="r9"))

        assert keys_of(ledger.path, "br1.k3f9.1") == {"of all in batch 1", "of one"}
        assert keys_of(ledger.path, "br1.k3f9.11") == {"of all in batch 11"}
        assert keys_of(ledger.path, "br1.k3f9.2") == set()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_reads_all_of_the_ledger_holds_nobody_up(tmp_path: Path) -> None:
    with open_ledger(tmp_path, disk=ThreadedDisk()) as ledger:
        reader = await ledger.scan(lambda _path: threading.get_ident())

    assert reader != threading.get_ident()
