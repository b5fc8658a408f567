"""Whole calls that send batches, in virtual time: what is taken, refused, lost, and found again."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import PLANTED, Begun, World
from simulated import Runflow, refused
from test_post_outcomes import parked

from batchrun.base.disk import InlineDisk
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Dropped, Extra, Intent, Learnt, Submitted, decode
from batchrun.sweep.location import LEDGER

MODEL = "runflow/smart-resize"
MANY = """\
models: [runflow/smart-resize]
inputs: {prompt: {$range: [1, 30]}}
limits: {concurrency: 30, rate: 20/s, settle: 5s}
outputs: {download: false}
"""
TAKEN = ["yes", "named"]


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def lines(world: World, kind: type) -> list[Any]:
    records = map(decode, (world.folder / LEDGER).read_bytes().splitlines(keepends=True))
    return [
        record
        for record in records
        if isinstance(record, kind) and getattr(record, "cell", None) not in PLANTED
    ]


@pytest.mark.parametrize("batches", TAKEN)
async def test_cells_that_wait_together_are_one_request(tmp_path: Path, batches: str) -> None:
    world = Begun(tmp_path, Runflow(batches=batches), text=MANY)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert sorted(world.service.paid().values()) == [1] * 30
    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (1, 0)
    assert world.service.calls["batch"] == 0  # nothing was in doubt
    assert world.service.calls["get"] <= 3


async def test_a_batch_is_a_wave_of_its_own_with_one_key(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call()

    intents = lines(world, Intent)
    (key, body) = world.service.sent_batches[0]
    asked = json.loads(body)
    assert {intent.idempotency_key for intent in intents} == {key}
    assert {intent.client_ref for intent in intents} == {intents[0].batch}
    assert {item["client_ref"] for item in asked["input"]} == {intents[0].batch}
    assert [(intent.index, intent.size) for intent in intents] == [(n, 30) for n in range(30)]
    cells = [[intent.cell, intent.attempt] for intent in intents]
    assert asked["metadata"]["batchrun"]["cells"] == cells
    assert [item["prompt"] for item in asked["input"]] == list(range(1, 31))


async def test_a_batch_has_no_more_items_than_it_may(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call(batch=15)

    sizes = [len(json.loads(body)["input"]) for _, body in world.service.sent_batches]
    assert sizes == [15, 15]
    assert states(world) == {State.SUCCEEDED: 30}


async def test_small_batches_are_asked_for_like_large_ones(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call(batch=5)

    sizes = [len(json.loads(body)["input"]) for _, body in world.service.sent_batches]
    assert sizes == [5] * 6


@pytest.mark.parametrize("word", ["400", "404", "422"])
async def test_a_model_that_takes_none_is_asked_once_and_never_again(
    tmp_path: Path, word: str
) -> None:
    world = Begun(tmp_path, Runflow(script=[word]), text=MANY)

    await world.call(limit=20)
    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (1, 30)
    assert [(line.model, line.batches) for line in lines(world, Learnt)] == [(MODEL, False)]
    assert {line.attempt for line in lines(world, Submitted)} == {1}


@pytest.mark.parametrize("word", ["422", "402"])
async def test_cells_of_a_refused_batch_count_once_for_the_limit(tmp_path: Path, word: str) -> None:
    world = Begun(tmp_path, Runflow(script=[word]), text=MANY)

    await world.call(limit=20)

    assert states(world) == {State.SUCCEEDED: 20}
    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (1, 20)


async def test_a_request_that_is_too_large_says_nothing_of_the_model(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(script=["413"], batches="yes"), text=MANY)

    await world.call(limit=15)
    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert [line.batches for line in lines(world, Learnt)] == [True]
    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (2, 15)


async def test_a_throttled_first_batch_keeps_the_others_waiting_for_its_answer(
    tmp_path: Path,
) -> None:
    service = Runflow(script=["429"] * 3, batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(batch=15)

    assert service.sent_batches[3][0] == service.sent_batches[0][0]
    assert len({key for key, _ in service.sent_batches}) == 2
    assert service.calls["create"] == 0


async def test_a_first_batch_that_hangs_holds_up_the_others_for_a_moment_only(
    tmp_path: Path,
) -> None:
    service = Runflow(script=["hang"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(batch=15, max_duration=30.0)

    assert service.calls["create"] == 15
    assert service.posts[0][0] < 8


async def test_cells_with_a_metadata_of_their_own_go_alone(tmp_path: Path) -> None:
    text = MANY + 'metadata: {mine: "${cell}"}\n'
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=text)

    await world.call()

    assert (service.calls["create_batch"], service.calls["create"]) == (0, 30)
    assert states(world) == {State.SUCCEEDED: 30}


async def test_input_that_a_batch_was_refused_for_is_sent_alone(tmp_path: Path) -> None:
    """The model takes batches: it is one of the inputs, and the next batch is welcome."""
    service = Runflow(script=["ok", "422", "ok", "422"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(batch=10)

    assert states(world) == {State.SUCCEEDED: 29, State.REJECTED: 1}
    assert (service.calls["create_batch"], service.calls["create"]) == (3, 10)
    assert [line.batches for line in lines(world, Learnt)] == [True]


async def test_few_are_sent_as_runs_that_share_a_wave(tmp_path: Path) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(limit=21)

    await world.call()

    assert (service.calls["create_batch"], service.calls["create"]) == (1, 9)
    assert len({run.client_ref for run in service.runs}) == 2


async def test_too_few_are_not_worth_to_ask(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call(limit=9)

    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (0, 9)


async def test_batches_can_be_switched_off(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call(batch=1)

    assert (world.service.calls["create_batch"], world.service.calls["create"]) == (0, 30)


@pytest.mark.parametrize("batches", TAKEN)
@pytest.mark.parametrize("filters", ["yes", "no", "empty"])
@pytest.mark.parametrize("word", ["lost", "500-after", "half", "no-id"])
async def test_a_lost_answer_is_found_by_any_of_its_runs(
    tmp_path: Path, word: str, filters: str, batches: str
) -> None:
    service = Runflow(script=[word], batches=batches, filters=filters)
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}
    assert len(service.sent_batches) == 1
    assert service.calls["create"] == 0
    assert service.calls["batch"] <= (2 if filters != "no" else 6)  # then it is looked at by them
    assert {line.adopted for line in lines(world, Submitted)} == {True}


@pytest.mark.parametrize("word", ["reset", "500", "503", "408"])
async def test_what_did_not_arrive_is_sent_again_with_the_same_bytes(
    tmp_path: Path, word: str
) -> None:
    service = Runflow(script=[word], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(limit=20)
    stops = await world.call()

    assert stops.codes == []
    assert set(service.paid().values()) == {1}
    assert service.sent_batches[0] in service.sent_batches[1:]
    assert len(service.sent_batches) == 3
    assert states(world) == {State.SUCCEEDED: 30}


async def test_a_smaller_batch_size_does_not_change_what_is_sent_again(tmp_path: Path) -> None:
    service = Runflow(script=["reset"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=3.0, settle=60.0)
    assert states(world) == {State.DOUBTFUL: 30}

    await world.call(batch=1)

    assert service.sent_batches == [service.sent_batches[0]] * 2
    assert set(service.paid().values()) == {1}
    assert states(world) == {State.SUCCEEDED: 30}


@pytest.mark.parametrize("word", ["429", "unreachable"])
async def test_what_was_never_taken_is_sent_again(tmp_path: Path, word: str) -> None:
    service = Runflow(script=[word], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert len(set(service.sent_batches)) == 1
    assert states(world) == {State.SUCCEEDED: 30}


async def test_what_a_whole_batch_costs_too_much_is_sent_as_far_as_the_credit_goes(
    tmp_path: Path,
) -> None:
    service = Runflow(script=["402", *["ok"] * 8, "402"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call()

    assert most_severe(stops.codes) == 5
    assert len(service.runs) >= 8
    assert states(world)[State.SUCCEEDED] == len(service.runs)
    assert states(world)[State.PENDING] + len(service.runs) == 30


async def test_where_no_list_tells_the_batch_says_which_of_its_runs_still_run(
    tmp_path: Path,
) -> None:
    service = Runflow(batches="yes", filters="no", duration=lambda number: 20.0 + number)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert service.calls["get"] <= 45  # one for each that has ended, and for the last ones
    assert 1 < service.calls["batch"] < 30


async def test_a_run_of_a_batch_that_runs_for_too_long_is_parked_without_a_list(
    tmp_path: Path,
) -> None:
    service = Runflow(batches="yes", filters="no", duration=lambda _: 500.0)
    world = Begun(tmp_path, service, text=MANY)

    await world.call(timeout=60.0)

    assert len(parked(world)) == 30
    assert len(service.sent_batches) == 1


async def test_a_batch_never_exceeds_the_concurrency(tmp_path: Path) -> None:
    service = Runflow(batches="yes", duration=lambda number: 5.0 + number % 7)
    world = Begun(tmp_path, service, text=MANY)

    await world.call(concurrency=12)

    assert service.most_in_flight <= 12
    assert states(world) == {State.SUCCEEDED: 30}
    assert service.calls["create"] < 30


async def test_an_item_that_failed_without_a_reason_is_sent_alone(tmp_path: Path) -> None:
    service = Runflow(batches="yes", without_run=frozenset({4}))
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 1)
    [dropped] = [each for each in lines(world, Dropped) if each.answered]
    assert dropped.reason.endswith("(its item of the batch failed, without a run)")


async def test_an_item_that_failed_for_its_input_is_refused_alone_as_well(
    tmp_path: Path,
) -> None:
    """The request for it alone is refused as well: that is final, with its reason."""

    class Refusing(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.method == "POST" and request.url.path.endswith("/runs"):
                return refused(422, "INPUT_VALIDATION_FAILED", "no such ratio")
            return await super().serve(request, word)

    service = Refusing(batches="yes", without_run=frozenset({4}))
    world = Begun(tmp_path, service, text=MANY)

    await world.call()
    await world.call()

    assert states(world) == {State.SUCCEEDED: 29, State.REJECTED: 1}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 1)


@pytest.mark.parametrize(
    ("told", "rejected"),
    [
        ({"error": {"code": "INPUT_VALIDATION_FAILED", "message": "no such ratio"}}, 1),
        ({"error": {"code": "MODEL_UNAVAILABLE", "message": "provider down"}}, 0),
        ({"error": {"message": "blocked by the content policy filter"}}, 1),
        ({"status_code": "cancelled"}, 1),
        ({"failure_message": "queue is full"}, 0),
    ],
)
async def test_the_reason_of_an_item_without_a_run_decides(
    tmp_path: Path, told: dict[str, Any], rejected: int
) -> None:
    def edit(batch: dict[str, Any]) -> dict[str, Any]:
        items = [each if each["run_id"] else {**each, **told} for each in batch["items"]]
        return {**batch, "items": items}

    service = Runflow(batches="yes", without_run=frozenset({4}), edit_batch=edit)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world)[State.REJECTED] == rejected
    assert states(world)[State.SUCCEEDED] == 30 - rejected
    assert service.calls["create"] == 1 - rejected


async def test_a_lost_item_of_a_lost_answer_is_rejected_too(tmp_path: Path) -> None:
    def edit(batch: dict[str, Any]) -> dict[str, Any]:
        told = {"error": {"code": "INPUT_VALIDATION_FAILED", "message": "no such ratio"}}
        items = [each if each["run_id"] else {**each, **told} for each in batch["items"]]
        return {**batch, "items": items}

    without = frozenset({0, 29})
    service = Runflow(script=["lost"], batches="yes", without_run=without, edit_batch=edit)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 28, State.REJECTED: 2}
    assert len(service.sent_batches) == 1
    assert service.calls["create"] == 0


@pytest.mark.parametrize("word", ["lost", "half"])
async def test_a_failed_item_of_a_lost_answer_is_sent_alone_too(tmp_path: Path, word: str) -> None:
    service = Runflow(script=[word], batches="yes", without_run=frozenset({0, 29}))
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 2)


@pytest.mark.parametrize("shown", [True, False])
async def test_the_run_of_an_item_that_was_said_to_have_none_is_said(
    tmp_path: Path, *, shown: bool
) -> None:
    """The answer to the POST says that an item failed; its run is listed, and may show its item."""

    class Lying(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            self.edit_batch = edit if request.method == "POST" or not shown else None
            return await super().serve(request, word)

    def edit(batch: dict[str, Any]) -> dict[str, Any]:
        items = list(batch["items"])
        items[4] = {**items[4], "status_code": "failed", "run_id": None}
        return {**batch, "items": items}

    service = Lying(batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(settle=2.0)

    assert states(world) == {State.SUCCEEDED: 30}
    assert len(service.runs) == 31
    [said] = world.listener.notes
    assert service.runs[4].id in said
    extras = {each.run_id for each in lines(world, Extra)}
    assert extras == ({service.runs[4].id} if shown else set())


async def test_a_budget_holds_for_every_item(tmp_path: Path) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(limit=12)  # the price is known

    stops = await world.call(budget=Decimal("1.60"))

    assert most_severe(stops.codes) == 6
    assert len(service.runs) == 20


async def test_a_conflict_parks_the_whole_batch(tmp_path: Path) -> None:
    service = Runflow(script=["409"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert len(parked(world)) == 30
    assert len(service.sent_batches) == 1


async def test_of_a_batch_in_doubt_only_what_is_still_named_is_begun_anew(tmp_path: Path) -> None:
    service = Runflow(script=["reset"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=3.0, settle=60.0)
    assert states(world) == {State.DOUBTFUL: 30}
    world.text = MANY.replace("[1, 30]", "[11, 40]")

    await world.call()

    assert states(world) == {State.SUCCEEDED: 30, State.PENDING: 10}
    assert sorted(run.input["prompt"] for run in service.runs) == list(range(11, 41))
    assert len(lines(world, Dropped)) == 30


async def test_a_late_batch_is_found_and_every_run_of_it_counted(tmp_path: Path) -> None:
    """The first send commits after the second one was taken."""
    service = Runflow(script=["lost"], batches="yes", list_lag=8.0)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert sorted(service.paid().values()) == [2] * 30
    assert world.book().extras == 30
    assert states(world) == {State.SUCCEEDED: 30}


async def test_a_restored_copy_is_noticed_though_runs_do_not_tell_their_cells(
    tmp_path: Path,
) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(limit=10)
    copy = (world.folder / LEDGER).read_bytes()
    await world.call(limit=10)
    (world.folder / LEDGER).write_bytes(copy)
    before = len(service.sent_batches), service.calls["create"]

    stops = await world.call()

    assert most_severe(stops.codes) == 9
    assert (len(service.sent_batches), service.calls["create"]) == before


@pytest.mark.parametrize("pause", [0.0, 0.5])
async def test_a_call_does_not_end_while_what_was_refused_is_written(
    tmp_path: Path, pause: float
) -> None:
    """Nothing is under way then, and nothing is left to be drawn: it will be in a moment."""

    class Slow(InlineDisk):
        async def write(self, fd: int, data: bytes) -> None:
            await anyio.sleep(pause)
            await super().write(fd, data)

    world = Begun(tmp_path, Runflow(batches="no"), text=MANY, disk=Slow())

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
