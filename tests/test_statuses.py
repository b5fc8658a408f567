"""The words for how a run stands: clear ones are ours, all others stay open."""

from pathlib import Path
from typing import Final

import pytest
from engine_world import World
from simulated import Json, Runflow

from batchrun.ledger.history import State
from batchrun.ledger.records import Finished, decode
from batchrun.runflow.batches import parse_batch
from batchrun.runflow.statuses import OPEN, TERMINAL, status
from batchrun.runflow.wire import parse_run
from batchrun.sweep.location import LEDGER

TABLE: Final = {
    "succeeded": ["succeeded", "success", "successful", "complete", "completed", "done"],
    "partial_succeeded": ["partial_succeeded", "partial success", "PartiallySucceeded"],
    "failed": ["failed", "failure", "error", "errored", "timeout", "timed_out", "crashed"],
    "cancelled": ["cancelled", "canceled", "aborted", "terminated", "expired"],
    "queued": ["queued", "pending", "waiting", "IN_QUEUE"],
    "dispatching": ["dispatching", "starting"],
    "running": ["running", "processing", "in_progress"],
}
UNCLEAR: Final = [
    *("stopped", "partial", "rejected", "finished", "ended", "paused", "cancelling", "unknown"),
    *("undone", "not_completed", "completed_with_errors", "done?", "re-queued", "error-free"),
]


@pytest.mark.parametrize("ours", TABLE)
def test_a_clear_word_is_ours_in_any_spelling(ours: str) -> None:
    for word in TABLE[ours]:
        spaced = word.replace("_", " ")
        spellings = [word, word.upper(), spaced, spaced.title().replace(" ", ""), f" {word}\n"]
        for spelled in [*spellings, word.replace("_", "-")]:
            assert status(spelled) == ours
    assert ours in TERMINAL | OPEN


@pytest.mark.parametrize("word", UNCLEAR)
def test_an_unclear_word_stays_as_it_is_and_open(word: str) -> None:
    run = parse_run({"id": "r", "status_code": word})

    assert (run.status_code, run.terminal, run.known) == (word, False, False)


@pytest.mark.parametrize("odd", [200, None, "", " ", {}, True])
def test_a_status_code_that_is_no_word_leaves_the_word_to_status(odd: object) -> None:
    assert parse_run({"id": "r", "status_code": odd, "status": "completed"}).terminal
    item = {"run_id": "r", "status_code": odd, "status": "Timed-out"}
    [found] = parse_batch({"id": "b", "items": [item]}).items
    assert (found.status_code, found.failure_message) == ("failed", "its status is timed-out")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"status": "timed_out"}, "its status is timed_out"),
        ({"status": "Expired"}, "its status is expired"),
        ({"status": "timeout", "failure_message": "too long"}, "too long"),
        ({"status": "failed"}, None),
        ({"status": "CANCELED"}, None),
        ({"status": "done"}, None),
        ({"status": "stopped"}, None),
    ],
)
def test_a_bad_end_without_a_reason_has_the_word_for_one(body: Json, message: str | None) -> None:
    assert parse_run({"id": "r", **body}).failure_message == message


def test_a_word_that_is_not_ours_is_shown_in_part_where_it_is_long() -> None:
    assert status("warp " * 6_000) == f"{'warp ' * 12}..."


@pytest.mark.parametrize("word", ["timeout", "Timed-Out", "TIMED_OUT"])
@pytest.mark.parametrize(
    ("cost", "read"),
    [("0.08", "cancelled"), (1.5, "cancelled"), ("0", "failed"), (None, "failed")],
)
def test_a_run_that_timed_out_and_shows_a_cost_is_final(word: str, cost: object, read: str) -> None:
    run = parse_run({"id": "r", "status_code": word, "cost": cost})

    assert (run.status_code, run.failure_message) == (read, f"its status is {word.lower()}")


@pytest.mark.parametrize(("cost", "runs", "state"), [("0.08", 1, "cancelled"), (None, 3, "failed")])
async def test_a_run_that_timed_out_is_run_again_only_without_a_cost(
    tmp_path: Path, cost: str | None, runs: int, state: str
) -> None:
    def timed_out(run: Json) -> Json:
        ended = run["status_code"] == "failed"
        return run | {"status_code": "timeout", "cost": cost} if ended else run

    service = Runflow(ending=lambda _: "failed", edit_run=timed_out)
    world = World(tmp_path, service, text="models: [a/b]\ninputs: {n: [1]}\n")

    await world.call(attempts=3)

    assert list(service.paid().values()) == [runs]
    assert [str(each.state) for each in world.book().histories.values()] == [state]


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_a_sweep_ends_in_the_words_of_another_service_and_the_ledger_has_ours(
    tmp_path: Path, batches: str
) -> None:
    words = {
        "succeeded": "COMPLETED",
        "failed": "errored",
        "canceled": "Aborted",
        "queued": "waiting",
    }
    endings = ["succeeded", "failed", "cancelled", "succeeded"]

    def reworded(run: Json) -> Json:
        return run | {"status_code": words.get(run["status_code"], run["status_code"])}

    service = Runflow(ending=lambda n: endings[n], edit_run=reworded, batches=batches)
    world = World(tmp_path, service, text="models: [a/b]\ninputs: {n: [1, 2, 3, 4]}\n")

    stops = await world.call(attempts=1, download=False)

    assert stops.codes == []
    lines = map(decode, (world.folder / LEDGER).read_bytes().splitlines(keepends=True))
    ended = sorted(each.status_code for each in lines if isinstance(each, Finished))
    assert ended == ["cancelled", "failed", "succeeded", "succeeded"]
    assert {each.state for each in world.book().histories.values()} == {
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELLED,
    }
