"""Promise 7: a hung or failing call holds up no other cell beyond its own slot and time-out.

In virtual time: what hangs, hangs for hours. Nothing is saved, as that needs threads, while which a
virtual clock runs away.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import Begun, World
from raw_server import Script, answer, raw_server
from simulated import Runflow, now

from batchrun.errors import UnreachableError, most_severe
from batchrun.ledger.history import State
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import TIMEOUT, api_client
from batchrun.runflow.one_send import CALL_TIMEOUT
from batchrun.runflow.post_outcomes import InDoubt
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

HOURS = 10_000.0
ONE = "models: [google/nano-banana-2]\ninputs: {prompt: a}\n"
SLEEPY = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b, c, d, e, f, g, h, i, j, k, l]}
limits: {concurrency: 3, rate: 10/s, settle: 5s, timeout: 10m}
"""

Which = Callable[[httpx.Request], bool]


class Silence(httpx.AsyncByteStream):
    """Half a body, and then nothing."""

    async def __aiter__(self) -> Any:
        yield b'{"id": "'
        await anyio.sleep(HOURS)


@dataclass(kw_only=True)
class Sleepy(Runflow):
    """Hangs in the calls that *hangs* names: before the headers, after them, or in the body.

    The transport in memory has no time-outs of single steps; the one of the whole call is ours.
    """

    hangs: dict[int, str] = field(default_factory=dict)
    which: Which = lambda _: False
    number: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.which(request):
            return await super().answer(request)
        self.number += 1
        match self.hangs.get(self.number):
            case "before":
                await anyio.sleep(HOURS)
            case "after" | "body":
                whole = await super().answer(request)
                return httpx.Response(whole.status_code, stream=Silence())
            case _:
                pass
        return await super().answer(request)


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def posts(request: httpx.Request) -> bool:
    return request.method == "POST"


def lists(request: httpx.Request) -> bool:
    return request.url.path == "/v1/runs"


def gets(request: httpx.Request) -> bool:
    return request.url.path.startswith("/v1/runs/")


@pytest.mark.parametrize("where", ["before", "body"])
@pytest.mark.parametrize("which", [posts, lists, gets])
async def test_a_call_that_hangs_costs_its_own_time_out_and_is_made_good(
    tmp_path: Path, where: str, which: Which
) -> None:
    undisturbed = World(tmp_path / "a", Runflow(), text=SLEEPY)
    undisturbed.path.mkdir()
    await undisturbed.call(download=False)
    took = anyio.current_time()
    service = Sleepy(which=which, hangs={2: where})
    world = World(tmp_path / "b", service, text=SLEEPY)
    world.path.mkdir()

    stops = await world.call(download=False)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 12}
    assert set(service.paid().values()) == {1}
    assert anyio.current_time() - took <= took + CALL_TIMEOUT + 30.0


async def test_a_post_that_hangs_holds_its_own_slot_alone(tmp_path: Path) -> None:
    service = Sleepy(which=posts, hangs={1: "before"})
    world = World(tmp_path, service, text=SLEEPY)

    stops = await world.call(download=False, max_duration=CALL_TIMEOUT - 1)

    assert states(world) == {State.SUCCEEDED: 11, State.DOUBTFUL: 1}
    assert most_severe(stops.codes) == 3


async def test_of_the_slots_that_hang_each_is_freed_by_its_time_out(tmp_path: Path) -> None:
    """All slots hang at once, and still the call goes on by itself."""
    service = Sleepy(which=posts, hangs=dict.fromkeys(range(1, 4), "body"))
    world = World(tmp_path, service, text=SLEEPY)

    stops = await world.call(download=False)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 12}
    assert set(service.paid().values()) == {1}


async def test_a_look_that_hangs_holds_up_no_other_wave(tmp_path: Path) -> None:
    """Two models are two waves; one's looks all hang."""
    text = SLEEPY.replace("[google/nano-banana-2]", "[a/stuck, b/quick]").replace("3,", "24,")

    def stuck(request: httpx.Request) -> bool:
        """Hang in every look at that model's wave but the one before its first POST."""
        refs = {run.client_ref for run in service.runs if run.model == "a/stuck"}
        return any(f"'{ref}'" in request.url.params.get("q", "") for ref in refs)

    service = Sleepy(which=stuck, hangs=dict.fromkeys(range(1, 1000), "before"))
    world = Begun(tmp_path, service, text=text)

    await world.call(download=False, max_duration=CALL_TIMEOUT - 1)

    by_model = Counter(
        (history.model, history.state) for history in world.book().histories.values()
    )
    assert by_model["b/quick", State.SUCCEEDED] == 12
    assert by_model["a/stuck", State.SUCCEEDED] == 0


async def test_a_run_that_never_ends_is_parked_and_taken_up_by_the_next_call(
    tmp_path: Path,
) -> None:
    service = Runflow(duration=lambda number: HOURS if number < 2 else 10.0)
    world = World(tmp_path, service, text=SLEEPY)

    await world.call(download=False)
    first, ended = states(world), anyio.current_time()
    parked = {h.run_id for h in world.book().histories.values() if h.parked}
    gets_before = service.calls["get"]
    await anyio.sleep(100)
    await world.call(download=False)

    assert first == {State.SUCCEEDED: 10, State.IN_FLIGHT: 2}
    assert parked == {run.id for run in service.runs[:2]}
    assert 600 <= ended < 700
    assert service.calls["get"] > gets_before, "parked again without a look"
    assert service.calls["create"] == 12
    await anyio.sleep(HOURS)
    await world.call(download=False)
    assert states(world) == {State.SUCCEEDED: 12}
    assert service.calls["create"] == 12


async def test_parked_runs_in_all_slots_leave_the_rest_to_a_later_call(tmp_path: Path) -> None:
    """They may be running, and so hold their slots: promise 5."""
    service = Runflow(duration=lambda number: HOURS if number < 3 else 10.0)
    world = World(tmp_path, service, text=SLEEPY)

    stops = await world.call(download=False)

    assert states(world) == {State.IN_FLIGHT: 3}
    assert any("parked runs hold the slots" in note for note in stops.notes)
    assert service.most_in_flight == 3


async def test_where_all_cells_are_parked_none_is_said_to_wait_for_a_slot(tmp_path: Path) -> None:
    service = Runflow(duration=lambda _: HOURS)
    world = World(tmp_path, service, text=SLEEPY.replace(", d, e, f, g, h, i, j, k, l", ""))
    await world.call(download=False, max_duration=5.0)

    stops = await world.call(download=False)

    assert states(world) == {State.IN_FLIGHT: 3}
    assert all(history.parked for history in world.book().histories.values())
    assert stops.notes == []


async def test_age_is_counted_from_the_services_own_time(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: HOURS), text=ONE)
    await world.call(download=False, timeout=600.0, max_duration=30.0)
    await anyio.sleep(700.0)
    world.clock = lambda: now() - timedelta(hours=1)
    began = anyio.current_time()

    await world.call(download=False, timeout=600.0)

    [history] = world.book().histories.values()
    assert history.parked
    assert anyio.current_time() - began < 60


async def test_a_clock_of_ours_that_is_ahead_parks_no_run(tmp_path: Path) -> None:
    service = Runflow(duration=lambda _: 60.0)
    world = World(tmp_path, service, text=ONE, clock=lambda: now() + timedelta(hours=1))

    await world.call(download=False, timeout=600.0)

    assert states(world) == {State.SUCCEEDED: 1}
    assert not any(history.parked for history in world.book().histories.values())


async def test_a_service_that_hangs_in_everything_is_given_up(tmp_path: Path) -> None:
    hangs = dict.fromkeys(range(1, 10_000), "before")
    world = World(tmp_path, Sleepy(which=lambda _: True, hangs=hangs), text=SLEEPY)

    stops = await world.call(download=False, give_up=300.0)

    assert most_severe(stops.codes) == 8
    assert isinstance(stops.errors[0], UnreachableError)
    assert anyio.current_time() < 300 + 2 * CALL_TIMEOUT + 30
    assert world.book().histories == {}, "nothing was sent, so nothing was written"


def test_every_step_of_a_call_has_a_time_out() -> None:
    assert (TIMEOUT.connect, TIMEOUT.read, TIMEOUT.write) == (10, 30, 30)
    assert TIMEOUT.pool is None, "a call that has left the limiter never waits in a queue"


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("hang", ["hang_before_headers", "hang_after_headers", "in the body"])
async def test_on_a_socket_too_a_hung_call_ends_and_the_others_go_on(hang: str) -> None:
    run = b'{"id": "r1", "status_code": "queued"}'
    scripts: dict[str, Script] = {
        "hang_before_headers": ["read", "hang"],
        "hang_after_headers": ["read", answer(run)[: -len(run)], "hang"],
        "in the body": ["read", answer(run)[:-5], "hang"],
    }
    outcomes: list[Any] = []
    good: Script = ["read", answer(run, keep=False), "close"]
    with raw_server(scripts[hang], good, good, good, scripts[hang]) as server:
        async with api_client(server.url, "rf_live_0123456789", connections=4) as http:

            async def post(read: float) -> None:
                http.timeout = httpx.Timeout(600.0, read=read)
                client = Client(http, Limiter(Pace(50.0, jitter=lambda: 0.5)), give_up=600.0)
                outcomes.append(await client.create_run("a/b", b"{}", idempotency_key="k"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(post, 600.0)
                while not server.requests:
                    await anyio.sleep(0.01)
                async with anyio.create_task_group() as others:
                    for _ in range(3):
                        others.start_soon(post, 600.0)
                tasks.cancel_scope.cancel()
            await post(0.5)

    assert [isinstance(outcome, InDoubt) for outcome in outcomes] == [False, False, False, True]


@dataclass(kw_only=True)
class Mute(Runflow):
    """Answers 500, or not at all, whoever asks for the runs *mute* by their ids."""

    mute: Callable[[int], bool] = lambda number: number == 1
    hang: bool = False
    whole_lists: bool = True

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        muted = {
            run.id: number for number, run in enumerate(self.runs, start=1) if self.mute(number)
        }
        if gets(request) and request.url.path.rpartition("/")[2] in muted:
            await anyio.sleep(HOURS if self.hang else 0)
            return httpx.Response(500, text="oops")
        hidden = [] if self.whole_lists else muted.values()
        self.faults = [f"forget_run@{number}/list" for number in hidden]
        return await super().serve(request, word)


TWO = """\
models: [google/nano-banana-2, bria/b]
inputs: {prompt: {$range: [1, 30]}}
limits: {concurrency: 2, rate: 10/s}
"""


@pytest.mark.parametrize("how", ["answers 500", "hangs"])
@pytest.mark.parametrize(
    "mute",
    [pytest.param(lambda number: number == 1, id="one"), pytest.param(lambda _: True, id="all")],
)
async def test_a_run_that_gives_no_answer_by_its_id_is_told_of_by_the_list(
    tmp_path: Path, mute: Callable[[int], bool], how: str
) -> None:
    service = Mute(mute=mute, hang=how == "hangs")
    world = World(tmp_path, service, text=TWO)

    stops = await world.call(download=False)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 60}
    assert set(service.paid().values()) == {1}
    assert anyio.current_time() < 700.0, "others waited for it"


async def test_a_run_that_nothing_tells_of_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    service = Mute(whole_lists=False)
    world = World(tmp_path, service, text=TWO)

    stops = await world.call(download=False)

    assert most_severe(stops.codes) == 0, "it keeps its slot, and the rest has the other"
    assert states(world) == {State.SUCCEEDED: 59, State.IN_FLIGHT: 1}
    [left] = [h for h in world.book().histories.values() if h.state is State.IN_FLIGHT]
    assert left.parked
    service.whole_lists = True
    await world.call(download=False)
    assert states(world) == {State.SUCCEEDED: 60}
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("how", ["answers 500", "hangs"])
async def test_the_newest_run_may_be_seen_in_the_list_where_its_id_gives_no_answer(
    tmp_path: Path, how: str
) -> None:
    service = Mute(mute=lambda _: True, hang=how == "hangs")
    world = World(tmp_path, service, text=TWO)
    await world.call(download=False, limit=1)

    stops = await world.call(download=False, limit=1)

    assert most_severe(stops.codes) == 3
    assert states(world) == {State.SUCCEEDED: 2}


async def test_runs_in_flight_when_the_service_goes_silent_end_the_call_with_8(
    tmp_path: Path,
) -> None:
    class Failing(Runflow):
        async def answer(self, request: httpx.Request) -> httpx.Response:
            if anyio.current_time() > 5.0:
                return httpx.Response(502, text="<html>")
            return await super().answer(request)

    world = World(tmp_path, Failing(), text=ONE)

    stops = await world.call(download=False)

    assert most_severe(stops.codes) == UnreachableError.exit_code
    assert anyio.current_time() < 80.0
