"""The history of callbacks, redeliveries, secrets and faults of the simulator, in virtual time."""

import copy
from collections import Counter
from typing import Any, Final

import anyio
import jsonschema
import pytest
from callback_receiver import NOW, SECRET, URL, Receiver, Service, serving
from test_simulator import API

from batchrun.simulator.control import counters
from batchrun.simulator.deliveries import CLAIM, Deliveries, Outcome

RUN: Final = "RunCallbackDelivery"
BATCH: Final = "BatchCallbackDelivery"


def check(body: Any, name: str) -> None:
    """Compare an answer with the API's description of *name*; no field may lack."""
    schema = copy.deepcopy(API["components"]["schemas"][name])
    whole = {**schema, "components": API["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)
    parts = [schema]
    for part in schema.get("allOf", []):
        reference = part.get("$ref", "").rpartition("/")[2]
        parts.append(API["components"]["schemas"][reference] if reference else part)
    assert body.keys() == {field for part in parts for field in part.get("properties", {})}


async def again(service: Service, run_id: str) -> Any:
    return await service.http.post(f"/v1/runs/{run_id}/callback-redeliveries")


async def test_the_history_of_a_run_names_each_attempt() -> None:
    answers = iter([500, 200])
    async with serving(
        receiver=Receiver(lambda _call: next(answers)), callback_secret=SECRET
    ) as service:
        run = await service.run(metadata=NOW)
        path = f"/v1/runs/{run['id']}/callback"
        await anyio.sleep(1)
        [waiting] = await service.get(path)
        await anyio.sleep(60)
        [delivered] = await service.get(path)

    check(waiting, RUN)
    check(delivered, RUN)
    names = ("status_code", "attempt_count", "failure_reason_code", "failure_detail")
    assert [waiting[name] for name in names] == [
        "pending",
        1,
        "http_status",
        "the answer was 500",
    ]
    assert waiting["next_attempt_at"] is not None
    assert waiting["completed_at"] is None
    assert [delivered[name] for name in names] == ["delivered", 2, None, None]
    assert delivered["next_attempt_at"] is None
    assert delivered["completed_at"] is not None
    for attempt in delivered["attempts"]:
        check(attempt, "CallbackAttempt")
    assert [
        (attempt["attempt_number"], attempt["status_code"], attempt["response_body"])
        for attempt in delivered["attempts"]
    ] == [(1, 500, "thanks"), (2, 200, "thanks")]
    first, second = service.receiver.calls
    assert delivered["payload_bytes"] == first.body.decode() == second.body.decode()
    assert delivered["payload"] == first.payload
    assert [each["id"] for each in delivered["attempts"]] == [
        call.headers["Runflow-Request-Id"] for call in (first, second)
    ]


async def test_a_delivery_that_is_given_up_says_why() -> None:
    async with serving(receiver=Receiver(seconds=lambda _call: 100)) as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(1000)
        [given_up] = await service.get(f"/v1/runs/{run['id']}/callback")

    assert (given_up["status_code"], given_up["failure_reason_code"]) == ("failed", "timeout")
    assert given_up["attempt_count"] == given_up["max_attempts"] == 5
    assert given_up["attempts"][0]["response_time_ms"] == 5000
    assert given_up["attempts"][0]["status_code"] is None
    assert given_up["next_attempt_at"] is None


async def test_an_attempt_that_outlived_its_claim_changes_nothing_that_is_settled() -> None:
    async with serving("callback_late=1000") as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(1)
        deliveries, later = Deliveries(service.world.store), service.world.now() + 10**9
        [(delivery_id, _)] = deliveries.due(0, later)
        claimed = [deliveries.claim(delivery_id, later + CLAIM * n) for n in range(2)]
        for n, outcome in ((1, Outcome(status=200)), (0, Outcome(reason="timeout", error="late"))):
            delivery = claimed[n]
            assert delivery is not None
            deliveries.note(delivery, outcome, request_id=str(n), began=later, now=later)
        [shown] = await service.get(f"/v1/runs/{run['id']}/callback")

    assert (shown["status_code"], shown["next_attempt_at"]) == ("delivered", None)
    assert shown["attempt_count"] == 2


async def test_the_history_of_a_batch_has_the_same_shape() -> None:
    async with serving() as service:
        batch = await service.batch(2)
        path = f"/v1/batches/{batch['id']}/callback"
        assert await service.get(path) == []
        await anyio.sleep(60)
        [delivery] = await service.get(path)
        children = [
            await service.get(f"/v1/runs/{item['run_id']}/callback") for item in batch["items"]
        ]

    check(delivery, BATCH)
    assert children == [[], []]


async def test_another_organisation_sees_no_history() -> None:
    async with serving() as service:
        run, batch = await service.run(), await service.batch(1)
        for subject in (f"runs/{run['id']}", f"batches/{batch['id']}", "runs/x", "batches/x"):
            headers = {"Authorization": "Bearer other"}
            path = f"/v1/{subject}/callback"
            assert (await service.http.get(path, headers=headers)).status_code == 404
            path = f"/v1/{subject}/callback-redeliveries"
            assert (await service.http.post(path, headers=headers)).status_code == 404


async def test_a_redelivery_is_another_delivery_with_the_payload_rebuilt() -> None:
    async with serving() as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(60)
        answer = await again(service, run["id"])
        await anyio.sleep(60)
        first, second = await service.get(f"/v1/runs/{run['id']}/callback")

    assert answer.status_code == 201
    check(answer.json(), RUN)
    assert (first["is_automatic"], second["is_automatic"]) == (True, False)
    assert first["payload_bytes"] != second["payload_bytes"], "its addresses are signed anew"
    assert second["status_code"] == "delivered"
    assert len(service.receiver.calls) == 2


async def test_a_redelivery_of_a_batch() -> None:
    async with serving() as service:
        batch = await service.batch(2)
        path = f"/v1/batches/{batch['id']}/callback-redeliveries"
        early = await service.http.post(path)
        await anyio.sleep(60)
        answer = await service.http.post(path)
        await anyio.sleep(60)

    assert early.status_code == 422
    assert answer.status_code == 201
    check(answer.json(), BATCH)
    assert service.subjects() == [batch["id"]] * 2


@pytest.mark.parametrize(
    "more", [{"callback_url": None}, {"metadata": {"simulate": {"seconds": 9}}}]
)
async def test_a_redelivery_needs_an_end_and_an_address(more: dict[str, Any]) -> None:
    async with serving() as service:
        run = await service.run(**{"metadata": NOW, **more})
        await anyio.sleep(1)
        answer = await again(service, run["id"])

    assert answer.status_code == 422
    check(answer.json(), "Error")


async def test_one_delivery_at_a_time() -> None:
    async with serving(receiver=Receiver(lambda _call: 500)) as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(1)
        early = await again(service, run["id"])
        await anyio.sleep(1000)
        late = await again(service, run["id"])

    assert early.status_code == 422
    assert early.json()["errors"][0]["error_type"] == "conflict"
    assert late.status_code == 201


# Secrets.


async def test_a_secret_is_shown_once_and_signs_what_is_made_from_then_on() -> None:
    async with serving() as service:
        await service.run(metadata=NOW)
        await anyio.sleep(1)
        created = await service.http.post("/v1/callback-secrets", json={"label": "night"})
        run = await service.run(metadata=NOW)
        await anyio.sleep(1)
        changed = await service.http.patch(
            f"/v1/callback-secrets/{created.json()['id']}", json={"label": None}
        )
        [delivery] = await service.get(f"/v1/runs/{run['id']}/callback")

    secret = created.json()
    assert created.status_code == 201
    check(secret, "CallbackSecretCreated")
    assert secret["plain_secret"].startswith("whsec_")
    assert (secret["is_current"], secret["label"], secret["last_used_at"]) == (True, "night", None)
    unsigned, signed = service.receiver.calls
    assert "Runflow-Signature" not in unsigned.headers
    assert signed.signed_with(secret["plain_secret"])
    assert delivery["signing_secret_id"] == secret["id"]
    shown = changed.json()
    assert shown.keys() == secret.keys() - {"plain_secret"}
    assert shown["label"] is None
    assert shown["last_used_at"] is not None


async def test_a_secret_is_changed_while_both_are_known() -> None:
    async with serving(
        receiver=Receiver(lambda call: 500 if call.at < 3 else 200), callback_secret=SECRET
    ) as service:
        await service.run(metadata=NOW)
        await anyio.sleep(1)
        second = (await service.http.post("/v1/callback-secrets", json={})).json()
        await service.run(metadata=NOW)
        await anyio.sleep(1)
        path = f"/v1/callback-secrets/{second['id']}"
        promoted = await service.http.patch(path, json={"is_current": True})
        await service.run(metadata=NOW)
        await anyio.sleep(60)

    assert not second["is_current"], "the first one signs until another is promoted"
    assert promoted.json()["is_current"]
    signed_with = [
        [name for name in (SECRET, second["plain_secret"]) if call.signed_with(name)]
        for call in service.receiver.calls
    ]
    by_run: dict[str, list[str]] = {}
    for call, names in zip(service.receiver.calls, signed_with, strict=True):
        by_run.setdefault(call.subject, []).extend(names)
    assert list(by_run.values()) == [[SECRET] * 2, [SECRET] * 2, [second["plain_secret"]] * 2]


@pytest.mark.parametrize("body", [{"label": "x" * 256}, {"label": 5}, {"is_current": 1}])
async def test_what_is_no_secret_is_refused(body: dict[str, Any]) -> None:
    async with serving() as service:
        secret = (await service.http.post("/v1/callback-secrets", json={})).json()
        path = f"/v1/callback-secrets/{secret['id']}"
        answer = await service.http.patch(path, json=body)
        headers = {"Authorization": "Bearer other"}
        foreign = await service.http.patch(path, json={}, headers=headers)
        last = await service.http.patch(path, json={"is_current": False})

    assert answer.status_code == 422
    assert foreign.status_code == 404
    assert last.status_code == 422, "callbacks would be unsigned from then on"


# Faults.


async def test_callback_lost() -> None:
    async with serving("callback_lost@2") as service:
        runs = [(await service.run(metadata=NOW))["id"] for _ in range(3)]
        await anyio.sleep(60)
        history = [len(await service.get(f"/v1/runs/{run}/callback")) for run in runs]
        redelivered = await again(service, runs[1])

    assert sorted(history) == [0, 1, 1]
    assert len(service.receiver.calls) == 2
    assert redelivered.status_code == 201


async def test_callback_twice() -> None:
    async with serving("callback_twice") as service:
        run = await service.run(metadata=NOW)
        await anyio.sleep(60)
        [delivery] = await service.get(f"/v1/runs/{run['id']}/callback")

    first, second = service.receiver.calls
    assert first.body == second.body
    assert second.at - first.at < 0.1
    assert delivery["status_code"] == "delivered"


async def test_callback_late() -> None:
    async with serving("callback_late=20") as service:
        await service.run(metadata=NOW)
        await anyio.sleep(60)

    assert [round(call.at) for call in service.receiver.calls] == [20]


async def test_callback_reorder() -> None:
    async with serving("callback_reorder=10") as service:
        runs = [(await service.run(metadata=NOW))["id"] for _ in range(20)]
        await anyio.sleep(60)

    assert service.subjects() != runs
    assert Counter(service.subjects()) == Counter(runs)
    assert max(call.at for call in service.receiver.calls) <= 10


async def test_callback_forged_and_callback_unsigned() -> None:
    faults = ("callback_forged@1", "callback_unsigned@2")
    async with serving(*faults, callback_secret=SECRET) as service:
        for _ in range(3):
            await service.run(metadata=NOW)
            await anyio.sleep(1)

    forged, unsigned, signed = service.receiver.calls
    assert len(forged.headers["Runflow-Signature"]) == 64
    assert not forged.signed_with(SECRET)
    assert "Runflow-Signature" not in unsigned.headers
    assert signed.signed_with(SECRET)


async def test_callback_stranger_and_callback_lies() -> None:
    faults = ("callback_stranger@1", "callback_lies@2")
    async with serving(*faults, callback_secret=SECRET) as service:
        runs = []
        for _ in range(2):
            runs.append((await service.run(metadata=NOW))["id"])
            await anyio.sleep(1)
        ended = await service.get(f"/v1/runs/{runs[1]}")

    stranger, lies = service.receiver.calls
    assert stranger.subject not in runs
    assert (lies.subject, lies.payload["event"]) == (runs[1], "run.failed")
    assert ended["status_code"] == "succeeded"
    assert stranger.signed_with(SECRET)
    assert lies.signed_with(SECRET)


async def test_a_fault_can_be_for_batches_or_for_a_model_only() -> None:
    faults = ("callback_lost/call_batch", "callback_unsigned~runflow/background-removal")
    async with serving(*faults, callback_secret=SECRET) as service:
        run = await service.run(metadata=NOW)
        await service.batch(1)
        await anyio.sleep(60)

    [call] = service.receiver.calls
    assert call.subject == run["id"]
    assert call.signed_with(SECRET)


@pytest.mark.parametrize("fault", ["stuck_queued", "forget_run"])
async def test_a_run_that_ends_for_no_reader_is_not_called_back(fault: str) -> None:
    async with serving(fault) as service:
        await service.run(metadata=NOW)
        await service.batch(1)
        await anyio.sleep(600)

    assert service.receiver.calls == []


async def test_the_stats_count_deliveries_and_attempts() -> None:
    async with serving(receiver=Receiver(lambda call: 500 if "no" in call.url else 200)) as service:
        await service.run(metadata=NOW)
        await service.run(metadata=NOW, callback_url="https://no.example/")
        await service.run(metadata={"simulate": {"seconds": 998}}, callback_url=f"{URL}/no")
        await anyio.sleep(1000)
        counted = counters(service.world)["callbacks"]

    assert counted == {"deliveries": 3, "pending": 1, "delivered": 1, "failed": 1, "attempts": 7}
