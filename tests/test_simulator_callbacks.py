"""The simulator's callbacks: sent once, signed, again where they are not taken, in virtual time."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from callback_receiver import Call, Receiver
from simulated import BEGINNING

from batchrun.simulator.caller import Caller
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.settings import Settings
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.world import World

BASE: Final = "https://simulated.example"
PATH: Final = "/v1/models/google/nano-banana-2/runs"
BATCHES: Final = "/v1/models/runflow/background-removal/batches"
URL: Final = "https://me.example/hook"
SECRET: Final = "whsec_first"


class Service:
    """A world that calls back to *receiver*, and the client that asks it."""

    def __init__(self, world: World, http: httpx.AsyncClient, receiver: Receiver) -> None:
        self.world = world
        self.http = http
        self.receiver = receiver

    async def run(self, **more: Any) -> dict[str, Any]:
        """Return a new run that calls back; *more* is the POST's body beside its input."""
        body = {"input": {"prompt": "a kite"}, "callback_url": URL, **more}
        answer = await self.http.post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str) -> Any:
        return (await self.http.get(path)).json()

    def subjects(self) -> list[str]:
        return [call.subject for call in self.receiver.calls]


@asynccontextmanager
async def serving(
    *faults: str, receiver: Receiver | None = None, state: Path | None = None, **settings: Any
) -> AsyncIterator[Service]:
    """Serve a world in virtual time, and send its callbacks to *receiver*."""
    receiver = receiver or Receiver()
    chosen = Settings(drawing=False, faults=tuple(map(parse_fault, faults)), **settings)
    world = World(state, settings=chosen, clock=loop_clock(BEGINNING.timestamp()))
    caller = Caller(world, base_url=BASE, transport=receiver)
    headers = {"Authorization": "Bearer key"}
    transport = SimulatedTransport(world)
    async with (
        httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as http,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(caller.run)
        yield Service(world, http, receiver)
        tasks.cancel_scope.cancel()
    world.store.close()


async def test_a_run_that_ends_is_called_back_once() -> None:
    async with serving() as service:
        run = await service.run(metadata={"a": [1, "ü"]})
        await anyio.sleep(60)
        ended = await service.get(f"/v1/runs/{run['id']}")

    [call] = service.receiver.calls
    output = call.payload.pop("output")
    assert call.url == URL
    assert output["outputs"][0]["url"].startswith(f"{BASE}/files/{run['id']}/0.png?")
    assert {**call.payload, "output": None} == {
        "event": "run.completed",
        "run_id": run["id"],
        "status": "succeeded",
        "output": None,
        "duration_ms": ended["duration_ms"],
        "created_at": ended["created_at"],
        "completed_at": ended["completed_at"],
        "metadata": {"a": [1, "ü"]},
    }
    assert call.payload["completed_at"].endswith("+00:00")
    assert "Runflow-Signature" not in call.headers
    assert call.headers["Runflow-Request-Id"]


async def test_a_callback_goes_out_at_the_moment_the_run_ends() -> None:
    async with serving() as service:
        await service.run(metadata={"simulate": {"seconds": 7}})
        await anyio.sleep(60)

    [call] = service.receiver.calls
    assert call.at == pytest.approx(7, abs=0.001)


async def test_a_signature_is_that_of_the_bytes_with_the_secret() -> None:
    async with serving(callback_secret=SECRET) as service:
        await service.run()
        await anyio.sleep(60)

    [call] = service.receiver.calls
    assert call.signed_with(SECRET)
    assert not call.signed_with("whsec_other")


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        ("succeeded", "run.completed"),
        ("partial_succeeded", "run.partial_succeeded"),
        ("failed", "run.failed"),
        ("canceled", "run.cancelled"),
    ],
)
async def test_the_event_names_how_a_run_ended(outcome: str, event: str) -> None:
    async with serving() as service:
        run = await service.run(metadata={"simulate": {"outcome": outcome}})
        await anyio.sleep(60)
        ended = await service.get(f"/v1/runs/{run['id']}")

    [call] = service.receiver.calls
    assert (call.payload["event"], call.payload["status"]) == (event, ended["status_code"])
    if outcome == "failed":
        assert call.payload["output"] == {
            "code": ended["failure_code"],
            "message": ended["failure_message"],
            "errors": None,
        }
    elif outcome == "canceled":
        assert call.payload["output"] is None


async def test_a_batch_is_called_back_once_and_its_runs_are_not() -> None:
    items = [{"image_url": f"https://files.example/{n}.png"} for n in range(3)]
    body = {"input": items, "callback_url": URL, "metadata": {"a": 1}}
    async with serving() as service:
        batch = (await service.http.post(BATCHES, json=body)).json()
        await anyio.sleep(60)
        ended = await service.get(f"/v1/batches/{batch['id']}")

    [call] = service.receiver.calls
    assert call.payload == {
        "event": "batch.succeeded",
        "batch_id": batch["id"],
        "status": "succeeded",
        "output": {
            "items": ended["items"],
            "succeeded": 3,
            "failed": 0,
            "cancelled": 0,
            "total": 3,
        },
        "duration_ms": ended["duration_ms"],
        "created_at": ended["created_at"],
        "completed_at": ended["completed_at"],
        "metadata": {"a": 1},
    }


async def test_what_is_not_taken_comes_again_ever_later_and_byte_for_byte() -> None:
    async with serving(receiver=Receiver(lambda _call: 500), callback_secret=SECRET) as service:
        await service.run(metadata={"simulate": {"seconds": 0}})
        await anyio.sleep(3600)

    calls = service.receiver.calls
    assert [round(call.at, 3) for call in calls] == [0, 5, 15, 35, 75]
    assert len({(call.body, call.headers["Runflow-Signature"]) for call in calls}) == 1
    assert len({call.headers["Runflow-Request-Id"] for call in calls}) == 5


async def test_a_slow_receiver_delays_no_other() -> None:
    def seconds(call: Call) -> float:
        return 100 if "slow" in call.url else 0

    now = {"simulate": {"seconds": 0}}
    async with serving(receiver=Receiver(seconds=seconds)) as service:
        for _ in range(100):
            await service.run(callback_url="https://slow.example/", metadata=now)
        quick = await service.run(metadata=now)
        await anyio.sleep(1)
        seen = service.subjects()

    assert quick["id"] in seen


async def test_a_receiver_that_takes_too_long_is_called_again() -> None:
    taken: list[Call] = []

    def seconds(call: Call) -> float:
        taken.append(call)
        return 100 if len(taken) == 1 else 0

    async with serving(receiver=Receiver(seconds=seconds)) as service:
        await service.run(metadata={"simulate": {"seconds": 0}})
        await anyio.sleep(100)

    assert [round(call.at, 3) for call in service.receiver.calls] == [0, 10]


@pytest.mark.parametrize(
    "callback_url", ["x" * 2049, "ftp://me.example/", "http://", 5, "", "hook"]
)
async def test_an_address_that_cannot_be_called_is_refused(callback_url: Any) -> None:
    async with serving() as service:
        body = {"input": {"prompt": "a kite"}, "callback_url": callback_url}
        answer = await service.http.post(PATH, json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "callback_url"]


async def test_what_was_not_sent_before_a_restart_is_sent_after_it(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    async with serving(state=state) as service:
        ended, waiting = [
            (await service.run(metadata={"simulate": {"seconds": seconds}}))["id"]
            for seconds in (0, 50)
        ]
        await anyio.sleep(1)
        assert service.subjects() == [ended]

    await anyio.sleep(100)
    async with serving(state=state) as service:
        await anyio.sleep(1)
        assert service.subjects() == [waiting]


async def test_a_thousand_runs_are_called_back_once_each() -> None:
    async with serving(callback_secret=SECRET) as service:
        made = [(await service.run())["id"] for _ in range(1000)]
        await anyio.sleep(60)

    assert Counter(service.subjects()) == Counter(made)
    assert all(call.signed_with(SECRET) for call in service.receiver.calls)
