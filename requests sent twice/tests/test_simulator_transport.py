"""The simulator without a socket: on both event loops, in virtual time, with what a wire can do."""

import io
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import World as Calls
from PIL import Image
from simulated import BEGINNING, Runflow

from batchrun.ledger.history import State
from batchrun.simulator.control import counters
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.settings import Settings
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.world import World

PATH: Final = "/v1/models/google/nano-banana-2/runs"
INPUT: Final = {"prompt": "a red kite", "aspect_ratio": "16:9", "seed": 3}


def world(*faults: str, **settings: Any) -> World:
    """Return a world in virtual time, in memory."""
    chosen = Settings(drawing=False, faults=tuple(map(parse_fault, faults)), **settings)
    return World(None, settings=chosen, clock=loop_clock(BEGINNING.timestamp()))


def client(transport: httpx.AsyncBaseTransport, **options: Any) -> httpx.AsyncClient:
    headers = {"Authorization": "Bearer key"}
    url = "https://simulated.example"
    return httpx.AsyncClient(transport=transport, base_url=url, headers=headers, **options)


async def post(service: World, *, key: str = "k", **options: Any) -> httpx.Response:
    async with client(SimulatedTransport(service), **options) as http:
        return await http.post(PATH, json={"input": INPUT}, headers={"Idempotency-Key": key})


def made(service: World) -> int:
    count: int = counters(service)["runs"]
    return count


async def test_a_run_lives_by_the_clock_of_the_loop() -> None:
    service = world()
    seen: list[str] = []
    run: dict[str, Any] = {}
    async with client(SimulatedTransport(service)) as http:
        created = await http.post(PATH, json={"input": INPUT})
        run_id = created.json()["id"]
        began = anyio.current_time()
        while not seen or seen[-1] not in {"succeeded", "failed"}:
            run = (await http.get(f"/v1/runs/{run_id}")).json()
            seen.append(run["status_code"])
            await anyio.sleep(0.05)
        took = anyio.current_time() - began

    assert created.status_code == 201
    assert list(dict.fromkeys(seen)) == ["queued", "dispatching", "running", "succeeded"]
    created_at, completed_at = (
        datetime.fromisoformat(run[name]) for name in ("created_at", "completed_at")
    )
    assert abs(took - (completed_at - created_at).total_seconds()) < 0.2
    assert abs((created_at - BEGINNING).total_seconds() - began) < 0.1


async def test_an_output_that_is_not_drawn_is_one_pixel() -> None:
    service = world()
    async with client(SimulatedTransport(service)) as http:
        run_id = (await http.post(PATH, json={"input": INPUT})).json()["id"]
        await anyio.sleep(60)
        output = (await http.get(f"/v1/runs/{run_id}")).json()["output"]
        file = await http.get(output["outputs"][0]["url"])

    assert file.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(file.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (1, 1))


async def test_an_answer_says_what_time_it_is_by_the_same_clock() -> None:
    await anyio.sleep(1000)

    answer = await post(world())

    dated = parsedate_to_datetime(answer.headers["Date"])
    assert abs((dated - BEGINNING).total_seconds() - anyio.current_time()) < 2


async def test_a_request_takes_its_time_to_arrive() -> None:
    transport = SimulatedTransport(world(), latency=0.3)
    began = anyio.current_time()
    async with client(transport) as http:
        await http.get("/v1/auth/me")

    assert anyio.current_time() - began == pytest.approx(0.3)


async def test_a_service_that_cannot_be_reached_is_sent_nothing() -> None:
    transport = SimulatedTransport(world())
    transport.reachable = False

    async with client(transport) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(PATH, json={"input": INPUT})

    assert made(transport.world) == 0


@pytest.mark.parametrize(
    ("fault", "error", "runs"),
    [
        ("drop_before", httpx.ReadError, 0),
        ("reset", httpx.ReadError, 0),
        ("hang_before_commit", httpx.ReadTimeout, 0),
        ("lost_answer", httpx.ReadError, 1),
        ("reset_after", httpx.ReadError, 1),
        ("hang_before_headers", httpx.ReadTimeout, 1),
        ("hang_after_headers", httpx.ReadTimeout, 1),
        ("half_answer", httpx.RemoteProtocolError, 1),
    ],
)
async def test_what_a_wire_does_to_an_answer(
    fault: str, error: type[httpx.TransportError], runs: int
) -> None:
    service = world(fault)
    began = anyio.current_time()

    with pytest.raises(error):
        await post(service, timeout=7.0)

    assert made(service) == runs
    waited = anyio.current_time() - began
    assert waited == pytest.approx(7.0) if error is httpx.ReadTimeout else waited < 1


async def test_a_caller_that_goes_away_breaks_off_its_request_and_what_is_committed_stays() -> None:
    service = world("hang_before_headers")

    with anyio.move_on_after(3):
        await post(service)
    service.faults.clear()

    assert made(service) == 1
    again = await post(service)
    assert again.status_code == 201
    assert made(service) == 1, "its key was honoured"


@pytest.mark.parametrize(("honoured", "runs"), [(True, 1), (False, 2)])
async def test_what_a_caller_left_behind_is_committed_with_its_resend(
    honoured: bool,  # noqa: FBT001  (a parameter of the test)
    runs: int,
) -> None:
    service = world("commit_on_resend=1@1", idempotency=honoured)

    sent: dict[str, Any] = {"json": {"input": INPUT}, "headers": {"Idempotency-Key": "k"}}
    async with client(SimulatedTransport(service)) as http:
        with anyio.move_on_after(0.5):
            await http.post(PATH, **sent)
        assert made(service) == 0
        await http.post(PATH, **sent)

    assert made(service) == runs


# A whole sweep, by the engine, against each fault that a service recovers from.

SWEEPS: Final[dict[str, Sequence[str]]] = {
    "nothing": [],
    "lost answers": ["lost_answer:40%", "no_idempotency"],
    "resets": ["reset:30%/create"],
    "hangs": ["hang_before_headers@2-3"],
    "halves": ["half_answer@1-3"],
    "errors": ["error_before:20%", "error_after@2"],
    "throttled": ["throttle=2:20%"],
    "late lists": ["list_lag=4", "lost_answer@1-2"],
    "small pages": ["page_cap=2", "lost_answer:30%"],
    "no filter": ["list_no_filter", "lost_answer@2-3", "no_idempotency"],
    "an empty filter": ["list_empty_on_filter", "lost_answer@2-3", "no_idempotency"],
    "old outputs": ["old_output"],
}


TEXT: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: a red chair, seed: {$range: [1, 6]}}
limits: {concurrency: 4, rate: 10/s}
"""


@pytest.mark.parametrize("kind", SWEEPS)
async def test_the_engine_plays_a_sweep_against_it_and_pays_each_cell_once(
    tmp_path: Path, kind: str
) -> None:
    service = world(*SWEEPS[kind])
    calls = Calls(
        tmp_path, Runflow(), text=TEXT, transport=SimulatedTransport(service, latency=0.05)
    )

    stops = await calls.call(settle=5.0, download=False)

    assert stops.codes == []
    assert Counter(each.state for each in calls.book().histories.values()) == {State.SUCCEEDED: 6}
    assert (counters(service)["runs"], counters(service)["twice"]) == (6, {})


async def test_it_plays_the_same_each_time(tmp_path: Path) -> None:
    ledgers = []
    for number in range(2):
        service = world("lost_answer:30%", "throttle:10%", seed=4)
        transport = SimulatedTransport(service, latency=0.05)
        began = anyio.current_time()
        calls = Calls(tmp_path / str(number), Runflow(), text=TEXT, transport=transport)
        (tmp_path / str(number)).mkdir()
        await calls.call(settle=5.0, download=False)
        ledgers.append((made(service), round(anyio.current_time() - began, 3)))

    assert ledgers[0] == ledgers[1]
