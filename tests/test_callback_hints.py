"""Callbacks in the engine, in virtual time: what they hasten, and that they decide nothing."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import httpx
import pytest
from calling_back import SECRET, URL, CallingBack, Door, lost
from engine_world import PLANTED
from simulated import BEGINNING, MadeRun, Runflow, refused

from batchrun.engine.run import Runner
from batchrun.errors import most_severe
from batchrun.ledger.records import CellRecord, Finished, Intent, Submitted, decode
from batchrun.runflow.callbacks import Ended
from batchrun.runflow.client import Client
from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.settings import Settings

LONG: Final = 30.0


def text(
    cells: int, *, concurrency: int, rate: str = "10/s", batch: int = 1, url: str = URL
) -> str:
    return (
        f"models: [google/nano-banana-2]\ninputs: {{prompt: {{$range: [1, {cells}]}}}}\n"
        f"limits: {{concurrency: {concurrency}, rate: {rate}, batch: {batch}}}\n"
        f"callbacks: {{url: {url}}}\n"
    )


def service(**how: Any) -> Runflow:
    return Runflow(**{"duration": lambda _: LONG, "callback_secret": SECRET, **how})


def records(world: CallingBack, kind: type[CellRecord]) -> Iterator[tuple[float, Any]]:
    """Yield the lines of a kind that are no part of the sweep's beginning, and when they were."""
    for line in (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True):
        record = decode(line)
        if isinstance(record, kind) and record.cell not in PLANTED:
            yield (datetime.fromisoformat(record.at) - BEGINNING).total_seconds(), record


def finished(world: CallingBack) -> dict[str, float]:
    """Return when the line was written that ended each run, by the run's id."""
    return {record.run_id: at for at, record in records(world, Finished)}


def reads(runflow: Runflow) -> int:
    return runflow.calls["list"] + runflow.calls["get"]


def assert_each_cell_has_one_run(world: CallingBack, cells: int) -> None:
    assert world.service.paid() == Counter({run.cell: 1 for run in world.service.runs})
    assert len(world.service.runs) == cells
    assert finished(world).keys() == {run.id for run in world.service.runs}


class Watch(Limiter):
    """A limiter that remembers how long calls waited for their turn."""

    longest = 0.0

    async def wait(self, kind: Kind = Kind.READS, *, patience: float = float("inf")) -> float:
        began = anyio.current_time()
        sent_at = await super().wait(kind, patience=patience)
        self.longest = max(self.longest, anyio.current_time() - began)
        return sent_at


@dataclass
class Watched(CallingBack):
    """*limiter* is that of the last call."""

    limiter: Watch | None = None

    def client(self, http: httpx.AsyncClient, settings: Settings) -> Client:
        self.limiter = Watch(Pace(settings.rate.per_second, jitter=Random(1).random))
        return Client(http, self.limiter, give_up=settings.give_up, clock=self.clock)


async def test_a_large_sweep_is_hardly_asked_for_and_ends_are_known_soon(tmp_path: Path) -> None:
    """A thousand runs of 30 s, at 10 calls a second."""
    world = Watched(tmp_path, service(), text=text(1000, concurrency=400))

    stops = await world.call(download=False)

    assert most_severe(stops.codes) == 0
    assert_each_cell_has_one_run(world, 1000)
    assert reads(world.service) <= 50
    assert world.limiter is not None
    known = finished(world)
    lags = [known[run.id] - run.ends for run in world.service.runs]
    assert max(lags) <= world.limiter.longest + 2.5


async def test_a_slot_is_free_at_once(tmp_path: Path) -> None:
    world = CallingBack(tmp_path, service(), text=text(40, concurrency=4, rate="100/s"))

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 40)
    came = [at for at, _ in world.doors[0].came]
    begun = sorted(at for at, _ in records(world, Intent))
    for number, at in enumerate(came[:36]):
        assert begun[number + 4] <= at + 0.2


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_no_more_run_at_the_service_than_may(tmp_path: Path, batches: str) -> None:
    runflow = service(duration=lambda n: 5.0 + n * 7 % 11, batches=batches)
    world = CallingBack(
        tmp_path, runflow, text=text(60, concurrency=12).replace("batch: 1", "attempts: 2")
    )

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 60)
    assert runflow.most_in_flight <= 12


async def test_the_callback_of_a_batch_is_that_of_all_its_runs(tmp_path: Path) -> None:
    manifest = text(40, concurrency=20, rate="100/s", batch=20)
    world = CallingBack(tmp_path, service(batches="yes"), text=manifest)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 40)
    assert [ended.batch for _, ended in world.heard] == [True, True]
    first = world.heard[0][0]
    begun = sorted(at for at, _ in records(world, Intent))
    assert begun[20:] == pytest.approx([first] * 20, abs=1.2), "a moment's wait for company"


@pytest.mark.parametrize("way", ["lost", "unsigned", "signed by someone else"])
async def test_with_all_of_them_lost_a_sweep_is_as_without(tmp_path: Path, way: str) -> None:
    def chance(number: int) -> float:
        return 20.0 + number * 7919 % 23

    async def forged(door: Door, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        secret = None if way == "unsigned" else "whsec_of_another_organisation"
        return httpx.Response(await door.post(body, secret))

    with_them = CallingBack(
        tmp_path / "with",
        service(duration=chance),
        text=text(120, concurrency=60),
        way=lost if way == "lost" else forged,
    )
    without = CallingBack(
        tmp_path / "without",
        service(duration=chance),
        text=text(120, concurrency=60).partition("callbacks:")[0],
    )
    for world in (with_them, without):
        world.path.mkdir()

    began = anyio.current_time()
    await without.call(download=False)
    between = anyio.current_time()
    await with_them.call(download=False)
    ended = anyio.current_time()

    assert_each_cell_has_one_run(with_them, 120)
    assert with_them.heard == []
    assert reads(with_them.service) <= 1.03 * reads(without.service)
    assert ended - between <= 1.03 * (between - began)


async def test_once_they_are_lost_the_model_is_watched_as_ever(tmp_path: Path) -> None:
    """The first 60 come; from then on a callback that is late puts the model back to normal."""

    async def tires(door: Door, request: httpx.Request) -> httpx.Response:
        if len(door.came) < 60:
            return await door.knock(request)
        return await lost(door, request)

    world = CallingBack(tmp_path, service(), text=text(200, concurrency=30), way=tires)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 200)
    known = finished(world)
    lags = [known[run.id] - run.ends for run in world.service.runs]
    assert max(lags) <= 8.0, "5 s late, and the look"
    assert max(lags[110:]) <= 2.5


async def test_one_that_is_lost_is_missed_and_its_run_asked_for(tmp_path: Path) -> None:
    async def all_but_one(door: Door, request: httpx.Request) -> httpx.Response:
        if len(door.came) == 20 and not door.lost:
            door.lost.append(json.loads(request.content)["run_id"])
        if json.loads(request.content)["run_id"] in door.lost:
            return await lost(door, request)
        return await door.knock(request)

    world = CallingBack(tmp_path, service(), text=text(100, concurrency=10), way=all_but_one)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 100)
    [missing] = world.doors[0].lost
    ends = {run.id: run.ends for run in world.service.runs}
    assert finished(world)[missing] - ends[missing] <= 8.0


@dataclass(kw_only=True)
class Asked(Runflow):
    """*looks* are the moments at which lists of waves were asked for."""

    looks: list[float] = field(default_factory=list)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if "client_ref" in request.url.params.get("q", ""):
            self.looks.append(anyio.current_time())
        return await super().serve(request, word)


async def test_looks_are_rare_and_not_none(tmp_path: Path) -> None:
    """Runs take half an hour; a wave is looked at every five minutes, whatever comes."""
    runflow = Asked(duration=lambda _: 1800.0, callback_secret=SECRET)
    world = CallingBack(tmp_path, runflow, text=text(30, concurrency=10))

    await world.call(download=False, timeout=7200.0)

    assert_each_cell_has_one_run(world, 30)
    second = [at for at in runflow.looks if 1830.0 < at < 3600.0]
    assert len(second) == pytest.approx(1770 / 300, abs=2)
    assert max(after - before for before, after in pairwise(second)) <= 302.0


async def test_repeated_late_and_disordered_ones_change_nothing(tmp_path: Path) -> None:
    async def crooked(door: Door, request: httpx.Request) -> httpx.Response:
        number = len(door.came)
        await anyio.sleep(number * 7919 % 40)
        answers = [await door.knock(request) for _ in range(1 + number % 3)]
        return answers[-1]

    world = CallingBack(tmp_path, service(), text=text(100, concurrency=20), way=crooked)

    stops = await world.call(download=False)

    assert most_severe(stops.codes) == 0
    assert_each_cell_has_one_run(world, 100)
    assert world.service.most_in_flight <= 20
    assert len([*records(world, Finished)]) == 100


async def test_what_is_about_no_run_of_ours_changes_nothing(tmp_path: Path) -> None:
    async def noise(door: Door, _runner: Runner) -> None:
        for number in range(200):
            await anyio.sleep(0.3)
            for body in (
                {"run_id": f"r-{number}", "status": "succeeded"},
                {"batch_id": f"b-{number}", "status": "failed"},
                {"event": "run.completed"},
            ):
                await door.post(json.dumps(body).encode())
            await door.post(b"{")
            await door.post(b"x" * 2_000_000)

    quiet = CallingBack(tmp_path / "quiet", service(), text=text(20, concurrency=4), way=lost)
    noisy = CallingBack(
        tmp_path / "noisy", service(), text=text(20, concurrency=4), way=lost, meanwhile=noise
    )
    for world in (quiet, noisy):
        world.path.mkdir()
        await world.call(download=False)

    assert noisy.heard
    assert set(noisy.doors[0].answers) == {204, 400, 413}
    assert noisy.service.calls == quiet.service.calls
    assert_each_cell_has_one_run(noisy, 20)


async def test_nothing_is_written_on_the_word_of_a_callback(tmp_path: Path) -> None:
    """It says that a run has ended that goes on: the API has the last word, and takes the slot."""

    async def lie(door: Door, runner: Runner) -> None:
        await anyio.sleep(5.0)
        first = world.service.runs[0]
        for _ in range(3):
            await door.post(json.dumps({"run_id": first.id, "status": "failed"}).encode())

    runflow = service(duration=lambda n: (60.0, 20.0)[n] if n < 2 else LONG)
    world = CallingBack(tmp_path, runflow, text=text(6, concurrency=2), way=lost, meanwhile=lie)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 6)
    assert {record.status_code for _, record in records(world, Finished)} == {"succeeded"}
    known = finished(world)
    assert all(known[run.id] >= run.ends for run in world.service.runs)
    begun = sorted(at for at, _ in records(world, Intent))
    assert begun[2] == pytest.approx(5.0, abs=0.2), "the slot was free"
    assert begun[3] >= 35.0, "and is held again: the second's end leaves two that run"


@dataclass(kw_only=True)
class Behind(Runflow):
    """Doesn't know a run until some moment, in *unknown* by the run's id."""

    unknown: dict[str, float] = field(default_factory=dict)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        run_id = request.url.path.rpartition("/")[2]
        if anyio.current_time() < self.unknown.get(run_id, 0.0):
            return refused(404, "NOT_FOUND", "no such run")
        return await super().serve(request, word)


async def test_what_goes_on_has_its_slot_again_whichever_look_shows_it(tmp_path: Path) -> None:
    """The look that the callback hastened shows nothing of the run, and a later one that it runs.

    Without its slot one run too many would go on beside it, as long as it does.
    """

    async def lie(door: Door, _runner: Runner) -> None:
        await anyio.sleep(5.0)
        first = runflow.runs[0].id
        runflow.unknown[first] = anyio.current_time() + 5.0
        await door.post(json.dumps({"run_id": first, "status": "failed"}).encode())

    runflow = Behind(duration=lambda n: (300.0, 20.0)[n] if n < 2 else LONG, callback_secret=SECRET)
    world = CallingBack(tmp_path, runflow, text=text(8, concurrency=2), way=lost, meanwhile=lie)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 8)
    begun = sorted(at for at, _ in records(world, Intent))
    assert begun[2] == pytest.approx(5.0, abs=0.2), "the slot was free"
    assert all(after - before >= LONG for before, after in pairwise(begun[2:]))


async def test_what_it_reserves_stays_reserved_until_the_api_has_spoken(tmp_path: Path) -> None:
    """The budget pays for two runs. Their slots are free before it is known what they cost."""
    runflow = service(duration=lambda _: 10.0)
    manifest = text(4, concurrency=4).replace(
        "models: [google/nano-banana-2]", "models: [{id: google/nano-banana-2, price: 0.08}]"
    )
    world = CallingBack(tmp_path, runflow, text=manifest)

    await world.call(download=False, budget=Decimal("0.16"))

    begun = sorted(at for at, _ in records(world, Intent))
    assert len(begun) == 2
    assert len(world.service.runs) == 2


@dataclass(kw_only=True)
class SlowToAnswer(Runflow):
    """Takes seconds to answer a POST that is carried out."""

    slow: float = 3.0
    answered: list[float] = field(default_factory=list)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        answer = await super().serve(request, word)
        if request.method == "POST" and answer.is_success:
            await anyio.sleep(self.slow)
            self.answered.append(anyio.current_time())
        return answer


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_one_that_overtakes_the_answer_to_its_post_is_kept(
    tmp_path: Path, batches: str
) -> None:
    runflow = SlowToAnswer(duration=lambda _: 1.0, callback_secret=SECRET, batches=batches)
    at_once = 12 if batches == "yes" else 1
    manifest = text(3 * at_once, concurrency=at_once, batch=at_once)
    world = CallingBack(tmp_path, runflow, text=manifest)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 3 * at_once)
    heard, answered = [at for at, _ in world.heard], runflow.answered
    assert all(before < at for before, at in zip(heard, answered, strict=True))
    begun = sorted(at for at, _ in records(world, Intent))[::at_once]
    for answer, following in zip(answered, begun[1:], strict=False):
        assert following == pytest.approx(answer, abs=0.2), "its slot is free at the answer"


@dataclass(kw_only=True)
class Forgetful(Runflow):
    """Shows nothing of the runs that are *hidden*; *asked* counts the questions for them."""

    hidden: set[str] = field(default_factory=set)
    asked: int = 0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.url.path.rpartition("/")[2] in self.hidden:
            self.asked += 1
            return refused(404, "NOT_FOUND", "no such run")
        answer = await super().serve(request, word)
        if request.url.path == "/v1/runs":
            body = answer.json()
            body["items"] = [run for run in body["items"] if run["id"] not in self.hidden]
            return httpx.Response(200, json=body, headers={"Date": answer.headers["Date"]})
        return answer


async def test_an_end_that_no_look_shows_is_looked_for_no_more(tmp_path: Path) -> None:
    """A run has timed out and is parked; its callback comes, and the service has forgotten it."""

    async def forget(door: Door, _runner: Runner) -> None:
        await anyio.sleep(60.0)
        first = runflow.runs[0]
        runflow.hidden.add(first.id)
        await door.post(json.dumps({"run_id": first.id, "status": "failed"}).encode())

    runflow = Forgetful(duration=lambda n: 3600.0 if n == 0 else 40.0, callback_secret=SECRET)
    world = CallingBack(tmp_path, runflow, text=text(12, concurrency=2), meanwhile=forget)

    await world.call(download=False, timeout=50.0)

    assert len(finished(world)) == 11
    assert runflow.asked <= 2
    begun = sorted(at for at, _ in records(world, Intent))
    assert sum(60.0 <= at < 61.0 for at in begun) == 1, "its slot is free"


async def test_a_call_hears_of_the_runs_that_an_earlier_one_left(tmp_path: Path) -> None:
    world = CallingBack(tmp_path, service(), text=text(8, concurrency=8))
    await world.call(download=False, max_duration=5.0)
    left = [run.id for run in world.service.runs]
    assert left
    assert not finished(world)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 8)
    assert {ended.id for _, ended in world.heard} >= set(left)


async def test_runs_that_call_elsewhere_are_watched_as_ever(tmp_path: Path) -> None:
    """The manifest has another address by now; to the runs that it left nothing is to come."""

    async def moved(door: Door, request: httpx.Request) -> httpx.Response:
        if request.url != URL:
            return await lost(door, request)
        return await door.knock(request)

    elsewhere = text(8, concurrency=8, url="https://me.example/elsewhere")
    world = CallingBack(tmp_path, service(), text=elsewhere, way=moved)
    await world.call(download=False, max_duration=5.0)
    before = world.service.runs
    world.text = text(30, concurrency=8)

    await world.call(download=False)

    assert_each_cell_has_one_run(world, 30)
    known = finished(world)
    assert max(known[run.id] - run.ends for run in before) <= 16.0


async def test_a_run_is_known_by_its_id_only_as_long_as_it_is_under_way(tmp_path: Path) -> None:
    seen: list[tuple[bool, bool]] = []

    async def look(_door: Door, runner: Runner) -> None:
        await anyio.sleep(10.0)
        run: MadeRun = world.service.runs[0]
        seen.append((runner._in_flight.with_run(run.id) is not None, runner._in_flight.full()))
        runner.hear(Ended(run.id))
        seen.append((runner._in_flight.with_run(run.id) is not None, runner._in_flight.full()))
        await anyio.sleep(60.0)
        seen.append((runner._in_flight.with_run(run.id) is not None, runner._in_flight.full()))

    world = CallingBack(tmp_path, service(), text=text(8, concurrency=2), meanwhile=look)

    await world.call(download=False)

    assert seen == [(True, True), (True, False), (False, True)]
    assert len([*records(world, Submitted)]) == 8
