"""The simulator's callbacks: sent once, signed, again where they are not taken, in virtual time."""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from callback_receiver import BASE, NOW, PATH, SECRET, URL, Call, Receiver, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchrun.simulator.control import counters


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
        await anyio.sleep(10)
        await service.run(metadata={"simulate": {"seconds": 7}})
        await anyio.sleep(60)

    [call] = service.receiver.calls
    assert call.at == pytest.approx(17, abs=0.001)


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
    async with serving() as service:
        await anyio.sleep(1)  # nothing is to be sent, and the bell alone says that something is
        batch = await service.batch(3, metadata={"a": 1})
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
        await service.run(metadata=NOW)
        await anyio.sleep(3600)

    calls = service.receiver.calls
    assert [round(call.at, 3) for call in calls] == [0, 5, 15, 35, 75]
    assert len({(call.body, call.headers["Runflow-Signature"]) for call in calls}) == 1
    assert len({call.headers["Runflow-Request-Id"] for call in calls}) == 5


async def test_a_slow_receiver_delays_no_other() -> None:
    def seconds(call: Call) -> float:
        return 100 if "slow" in call.url else 0

    async with serving(receiver=Receiver(seconds=seconds)) as service:
        for _ in range(100):
            await service.run(callback_url="https://slow.example/", metadata=NOW)
        quick = await service.run(metadata=NOW)
        await anyio.sleep(1)
        seen = service.subjects()

    assert quick["id"] in seen


async def test_a_receiver_that_takes_too_long_is_called_again() -> None:
    taken: list[Call] = []

    def seconds(call: Call) -> float:
        taken.append(call)
        return 100 if len(taken) == 1 else 0

    async with serving(receiver=Receiver(seconds=seconds)) as service:
        await service.run(metadata=NOW)
        await anyio.sleep(100)

    assert [round(call.at, 3) for call in service.receiver.calls] == [0, 10]


async def test_a_receiver_can_be_an_application_in_this_process() -> None:
    came: list[bytes] = []

    async def hook(request: Request) -> Response:
        came.append(await request.body())
        await anyio.sleep(100 if len(came) == 1 else 0)
        return Response(status_code=204)

    app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    async with serving(transport=httpx.ASGITransport(app)) as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(100)
        [delivery] = await service.get(f"/v1/runs/{run['id']}/callback")

    assert came == [delivery["payload_bytes"].encode()] * 2
    assert [each["error_message"] for each in delivery["attempts"]] == [
        "no answer within 5 s",
        None,
    ]


@pytest.mark.parametrize(
    "callback_url",
    [
        "x" * 2049,
        "http://me.example/" + "x" * 2048,
        "ftp://me.example/",
        "http://",
        "http:///hook",
        "http://me.example:0/",
        "http://me.example:99999/",
        "http://\x00/",
        "http://[::1/",
        5,
        "",
        "hook",
    ],
)
async def test_an_address_that_cannot_be_called_is_refused(callback_url: Any) -> None:
    async with serving() as service:
        body = json.dumps({"input": {"prompt": "a kite"}, "callback_url": callback_url})
        answer = await service.http.post(PATH, content=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "callback_url"]


async def test_a_call_that_breaks_ends_no_other() -> None:
    def answers(call: Call) -> int:
        if "breaks" in call.url:
            raise ExceptionGroup("as of a connection", [OverflowError("port must be 0-65535")])
        return 200

    async with serving(receiver=Receiver(answers)) as service:
        broken = await service.run(callback_url="https://breaks.example/", metadata=NOW)
        await anyio.sleep(1)
        await service.run(metadata=NOW)
        await anyio.sleep(100)
        [given_up] = await service.get(f"/v1/runs/{broken['id']}/callback")

    assert [call.url for call in service.receiver.calls].count(URL) == 1
    assert given_up["status_code"] == "failed"
    assert given_up["failure_reason_code"] == "connection_error"


async def test_an_answer_that_is_no_text_ends_no_call_of_others() -> None:
    """Its charset lets half a character through, which no history can keep."""

    async def half(_request: Request) -> Response:
        return Response(b"+2AA-", headers={"Content-Type": "text/plain; charset=utf-7"})

    app = Starlette(routes=[Route("/hook", half, methods=["POST"])])
    async with serving(transport=httpx.ASGITransport(app)) as service:
        runs = [await service.run(metadata=NOW) for _ in range(2)]
        await anyio.sleep(60)
        histories = [await service.get(f"/v1/runs/{run['id']}/callback") for run in runs]

    assert [len(history) for history in histories] == [1, 1]
    assert all(history[0]["status_code"] == "delivered" for history in histories)


async def test_two_simulators_with_one_state_call_back_once(tmp_path: Path) -> None:
    state, receiver = tmp_path / "state.sqlite", Receiver(seconds=lambda _call: 4)
    async with (
        serving(state=state, receiver=receiver) as one,
        serving(state=state, receiver=receiver) as other,
    ):
        made = [
            (await service.run(metadata={"simulate": {"seconds": 9}}))["id"]
            for service in (one, other)
            for _ in range(100)  # three times what goes out at once
        ]
        await anyio.sleep(60)

    assert Counter(call.subject for call in receiver.calls) == Counter(made)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_state_that_is_locked_for_a_while_holds_callbacks_up_and_no_more(
    tmp_path: Path, others: int
) -> None:
    state = tmp_path / "state.sqlite"
    async with serving(state=state, receiver=Receiver(seconds=lambda _call: 2)) as service:
        service.world.store.one("PRAGMA busy_timeout = 0")
        flying = await service.run(metadata={"simulate": {"seconds": 1}})
        ending = [await service.run(metadata={"simulate": {"seconds": 5}}) for _ in range(others)]
        await anyio.sleep(2)
        with sqlite3.connect(state, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            await anyio.sleep(30)
            other.execute("COMMIT")
        other.close()
        await anyio.sleep(60)
        counted = counters(service.world)["callbacks"]

    # The first answer came while the state was locked.
    assert Counter(service.subjects()) == {flying["id"]: 2} | {run["id"]: 1 for run in ending}
    assert counted["delivered"] == counted["attempts"] == 1 + others


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
