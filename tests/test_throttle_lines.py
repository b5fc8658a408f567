"""When a call's requests met 429s is in the ledger: in few lines, and without an fsync."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from engine_world import World
from hypothesis import given
from hypothesis import strategies as st
from simulated import BEGINNING, Runflow, refused

from batchrun.base.disk import Disk, InlineDisk
from batchrun.errors import LedgerError
from batchrun.ledger.records import Throttled, decode
from batchrun.ledger.scan import span_of
from batchrun.runflow.client import Client
from batchrun.runflow.ratelimit.throttle_counts import STEP, STRETCH, ThrottleCounts
from batchrun.settings import Settings
from batchrun.sweep.location import LEDGER

NINE = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 9]}}
limits: {concurrency: 6, rate: 20/s, batch: 1, give_up: 10m}
"""
NOON = datetime(2026, 5, 4, 12, 0, 3, tzinfo=UTC)


# The counts.


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def counted(*seconds: float) -> list[tuple[str, tuple[int, ...]]]:
    counts = ThrottleCounts()
    for each in seconds:
        counts.note(at(each))
    return [(f"{stretch.since:%H:%M:%S}", stretch.counts) for stretch in counts.take()]


def test_counts_are_by_steps_of_ten_seconds() -> None:
    assert counted(0, 1, 6.9, 7, 40) == [("12:00:00", (3, 1, 0, 0, 1))]
    assert counted(0, 59, 4000) == [("12:00:00", (1,)), ("12:01:00", (1,)), ("13:06:40", (1,))]
    assert counted() == []


@given(st.lists(st.integers(-4000, 4000)))
def test_each_429_counts_once_and_a_stretch_is_a_minute_at_most(seconds: list[int]) -> None:
    counts = ThrottleCounts()
    for each in seconds:
        counts.note(at(each))

    stretches = list(counts.take())

    found = Counter[float]()
    for stretch in stretches:
        assert 1 <= len(stretch.counts) <= STRETCH
        assert stretch.counts[0]
        assert stretch.counts[-1]
        for number, count in enumerate(stretch.counts):
            found[stretch.since.timestamp() + number * STEP] += count
    assert +found == Counter(at(each).timestamp() // STEP * STEP for each in seconds)
    assert list(counts.take()) == [], "what was taken is not counted again"


def test_they_are_due_once_the_minute_of_the_first_is_over() -> None:
    counts = ThrottleCounts()
    assert not counts.is_due(at(9999))

    counts.note(at(0))
    counts.note(at(50))

    assert not counts.is_due(at(56))
    assert counts.is_due(at(57))
    assert not counts.is_due(at(-9999)), "a clock that was set back makes no flood of lines"


# The lines.


@dataclass(kw_only=True)
class Busy(Runflow):
    """Answers 429 to the calls that *refuses* picks by the time and their number."""

    refuses: Callable[[float, int], bool]
    turned_away: list[float] = field(default_factory=list)
    served: int = 0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        self.served += 1
        if not self.refuses(now := anyio.current_time(), self.served):
            return await super().serve(request, word)
        self.turned_away.append(now)
        return refused(429, "RATE_LIMITED", "slower")


@dataclass
class Counting(World):
    """Remembers the clients of its calls."""

    clients: list[Client] = field(default_factory=list)

    def client(self, http: httpx.AsyncClient, settings: Settings) -> Client:
        self.clients.append(super().client(http, settings))
        return self.clients[-1]

    def throttled(self) -> list[Throttled]:
        return list(span_of(self.folder / LEDGER).throttled)


def per_step(lines: list[Throttled]) -> Counter[str]:
    found = Counter[str]()
    for line in lines:
        since = datetime.fromisoformat(line.since)
        for number, count in enumerate(line.counts):
            found[f"{since + timedelta(seconds=number * line.step):%H:%M:%S}"] += count
    return +found


async def test_the_lines_of_a_call_have_each_429_at_its_time(tmp_path: Path) -> None:
    service = Busy(refuses=lambda now, number: now < 250 and number % 5 < 3)
    service.duration = lambda _: 60.0
    world = Counting(tmp_path, service, text=NINE)

    shutdown = await world.call(download=False)

    assert not shutdown.codes
    (client,) = world.clients
    assert len(service.turned_away) > 20
    assert sum(sum(line.counts) for line in world.throttled()) == client.rate_limited
    assert client.rate_limited == len(service.turned_away)
    came = Counter(
        f"{BEGINNING + timedelta(seconds=each // STEP * STEP):%H:%M:%S}"
        for each in service.turned_away
    )
    assert per_step(world.throttled()) == came
    assert len(world.throttled()) <= anyio.current_time() / 60 + 1


async def test_thousands_of_429s_are_a_few_short_lines(tmp_path: Path) -> None:
    counts = ThrottleCounts()
    for number in range(36_000):
        counts.note(at(number / 10))

    lines = list(counts.take())

    assert len(lines) <= 61
    assert sum(sum(line.counts) for line in lines) == 36_000


async def test_they_have_the_services_time_where_it_is_known(tmp_path: Path) -> None:
    service = Busy(refuses=lambda now, _: 3 < now < 20, date_ahead=3600.0)
    world = Counting(tmp_path, service, text=NINE)

    await world.call(download=False)

    (line,) = world.throttled()
    assert line.server_at is not None
    ahead = datetime.fromisoformat(line.server_at) - datetime.fromisoformat(line.since)
    assert abs(ahead.total_seconds() - 3600) <= 1


async def test_each_call_counts_its_own(tmp_path: Path) -> None:
    service = Busy(refuses=lambda _, number: number % 4 == 0)
    world = Counting(tmp_path, service, text=NINE)

    await world.call(download=False, limit=3)
    first = sum(sum(line.counts) for line in world.throttled())
    await world.call(download=False)

    assert first == world.clients[0].rate_limited > 0
    both = sum(sum(line.counts) for line in world.throttled())
    assert both == first + world.clients[1].rate_limited


@dataclass
class Writes:
    """Remembers what each write to the ledger had in it."""

    disk: Disk = field(default_factory=InlineDisk)
    texts: list[bytes] = field(default_factory=list)

    async def write(self, fd: int, data: bytes) -> None:
        self.texts.append(data)
        await self.disk.write(fd, data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.disk, name)


async def test_while_a_call_works_they_are_written_along_with_other_lines(tmp_path: Path) -> None:
    service = Busy(refuses=lambda now, number: now < 250 and number % 5 < 3)
    service.duration = lambda _: 60.0
    disk = Writes()
    world = Counting(tmp_path, service, text=NINE, disk=disk)  # type: ignore[arg-type]  # the rest of it is the other's

    await world.call(download=False)

    kinds = [[type(decode(line)) for line in each.splitlines(True)] for each in disk.texts]
    alone = [number for number, each in enumerate(kinds) if set(each) == {Throttled}]
    assert any(Throttled in each for each in kinds)
    assert alone in ([], [len(kinds) - 1]), "at the end of the call alone"


async def test_they_change_neither_what_a_call_sends_nor_what_it_pays(tmp_path: Path) -> None:
    service = Busy(refuses=lambda _, number: number % 4 == 0)
    world = Counting(tmp_path, service, text=NINE)
    await world.call(download=False, limit=4)
    path = world.folder / LEDGER
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if not isinstance(decode(line), Throttled)))
    without = vars(world.book())
    path.write_bytes(b"".join(lines))

    assert without.keys() == vars(world.book()).keys()
    assert [(key, each.state) for key, each in world.book().histories.items()] == [
        (key, each.state) for key, each in without["histories"].items()
    ]
    await world.call(download=False)
    assert len(service.runs) == 9
    assert set(service.paid().values()) == {1}


async def test_a_call_whose_disk_is_full_says_so_and_nothing_else(tmp_path: Path) -> None:
    class Full(InlineDisk):
        async def write(self, fd: int, data: bytes) -> None:
            if anyio.current_time() > 8:
                raise OSError(28, "No space left on device")
            await super().write(fd, data)

    service = Busy(refuses=lambda now, _: 5 < now < 30)
    world = Counting(tmp_path, service, text=NINE, disk=Full())

    shutdown = await world.call(download=False)

    assert service.turned_away
    assert set(shutdown.codes) == {LedgerError.exit_code}


async def test_a_refused_call_is_one_call_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    sweep = '{"type":"sweep","at":"2026-05-01T00:0%d:00Z","format":1}\n'
    throttled = (
        '{"type":"throttled","at":"2026-05-01T00:01:00Z","since":"x","step":10,"counts":[1]}'
    )
    path.write_text(f"{sweep % 0}{throttled}\n{sweep % 2}{throttled}\n{{broken\n")

    span = span_of(path)

    assert (span.calls, len(span.throttled)) == (1, 2)


pytestmark = pytest.mark.timeout(120)
