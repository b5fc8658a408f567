"""Whole calls against a small service in memory, in virtual time."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from engine_world import Begun, World
from simulated import HIDDEN, Runflow
from test_odd_services import Twice

from batchrun.base.disk import InlineDisk
from batchrun.errors import KeyRefusedError, LedgerError
from batchrun.ledger.history import State
from batchrun.sweep.location import LEDGER

T = TypeVar("T")


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


async def test_every_cell_is_run_once_and_saved(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 6}
    assert set(world.service.paid().values()) == {1}
    assert all(history.saved for history in world.book().histories.values())
    assert len(list((world.folder / "files").rglob("*.png"))) == 6


async def test_a_finished_sweep_sends_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call()
    before = world.service.calls.copy()

    stops = await world.call()

    assert stops.codes == []
    assert world.service.calls == before


async def test_never_more_in_flight_than_the_concurrency(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())

    await world.call(concurrency=2)

    assert world.service.most_in_flight == 2


async def test_a_failed_run_is_tried_again_until_its_attempts_are_used(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(ending=lambda _: "failed"))

    await world.call(attempts=2)
    await world.call(attempts=2)

    assert set(world.service.paid().values()) == {2}
    assert states(world) == {State.FAILED: 6}


async def test_retry_failed_grants_as_many_attempts_more(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(ending=lambda _: "failed"))
    await world.call(attempts=2)

    await world.call(attempts=2, retry_failed=True)

    assert set(world.service.paid().values()) == {4}


async def test_a_cancelled_run_is_final_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(ending=lambda _: "cancelled"))

    await world.call(attempts=3)

    assert set(world.service.paid().values()) == {1}
    assert states(world) == {State.CANCELLED: 6}


@pytest.mark.parametrize("word", ["400", "404", "413", "422"])
async def test_refused_input_is_rejected_and_not_sent_again(tmp_path: Path, word: str) -> None:
    world = World(tmp_path, Runflow(script=[word]))

    await world.call()
    await world.call()

    assert states(world) == {State.REJECTED: 1, State.SUCCEEDED: 5}
    assert world.service.calls["create"] == 6


@pytest.mark.parametrize("word", ["429", "unreachable"])
async def test_what_was_never_taken_is_sent_again_with_the_same_bytes(
    tmp_path: Path, word: str
) -> None:
    world = World(tmp_path, Runflow(script=[word]), text=ONE)

    await world.call()

    bodies = {body for _, _, body in world.service.posts}
    keys = {key for _, key, _ in world.service.posts}
    assert (len(world.service.posts), len(bodies), len(keys)) == (2, 1, 1)
    assert states(world) == {State.SUCCEEDED: 1}


@pytest.mark.parametrize("word", ["lost", "500-after", "half", "no-id"])
async def test_a_lost_answer_is_looked_up_and_never_sent_again(tmp_path: Path, word: str) -> None:
    world = World(tmp_path, Runflow(script=[word]))

    stops = await world.call()

    assert stops.codes == []
    assert set(world.service.paid().values()) == {1}
    assert states(world) == {State.SUCCEEDED: 6}


@pytest.mark.parametrize("word", ["reset", "500", "503"])
async def test_what_did_not_arrive_is_sent_again_only_after_the_look_up(
    tmp_path: Path, word: str
) -> None:
    world = World(tmp_path, Runflow(script=["ok", word]))

    await world.call(settle=30.0)

    assert set(world.service.paid().values()) == {1}
    times = {
        key: [at for at, each, _ in world.service.posts if each == key]
        for _, key, _ in world.service.posts
    }
    twice = [sent for sent in times.values() if len(sent) > 1]
    assert len(twice) == 1
    assert twice[0][1] - twice[0][0] >= 30.0


@pytest.mark.parametrize("filters", ["no", "ignored", "empty"])
@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_a_list_that_cannot_filter_is_walked(tmp_path: Path, filters: str, word: str) -> None:
    world = World(tmp_path, Runflow(script=["ok", word], filters=filters))

    stops = await world.call(settle=5.0)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 6}
    assert set(world.service.paid().values()) == {1}


async def test_a_list_that_lags_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["ok", "lost", "lost"], list_lag=20.0))

    await world.call(settle=30.0)

    assert set(world.service.paid().values()) == {1}
    assert states(world) == {State.SUCCEEDED: 6}


async def test_a_run_committed_after_settle_is_found_and_said(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["lost"], commit_lag=8.0), text=ONE)

    await world.call(settle=5.0)

    assert world.book().extras == 1
    assert any("second run" in note for note in world.listener.notes)


@dataclass(kw_only=True)
class FirstIsLate(Runflow):
    """Commits its first run *late* seconds after it was asked for, and all others at once."""

    late: float = 9.5

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        self.commit_lag = 0.0 if self.runs else self.late
        return await super().serve(request, word)


async def test_a_run_committed_after_settle_is_found_however_often_its_wave_is_looked_at(
    tmp_path: Path,
) -> None:
    """Sent again after five seconds, so that another five pass before the last look."""
    service = FirstIsLate(script=["lost"], duration=lambda _: 3.0, **HIDDEN)
    world = World(tmp_path, service, text=HUNDRED)

    await world.call(settle=5.0, batch=1, download=False)

    assert len(service.runs) == 101
    assert world.book().extras == 1


@dataclass
class ReadDisk(InlineDisk):
    """Counts how often all of the ledger is read."""

    readings: int = 0

    async def read(self, question: Callable[[], T]) -> T:
        self.readings += 1
        return await super().read(question)


HUNDRED = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 100]}}
limits: {concurrency: 16, rate: 10/s}
"""


async def test_the_runs_of_a_wave_that_had_a_doubt_are_known_without_reading_the_ledger(
    tmp_path: Path,
) -> None:
    disk = ReadDisk()
    service = Runflow(script=["ok"] * 99 + ["lost"])
    world = Begun(tmp_path, service, text=HUNDRED, disk=disk)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 100}
    assert disk.readings == 1, "at the start, with the newest ledger"


@pytest.mark.parametrize("filters", ["yes", "no"])
async def test_the_runs_of_an_earlier_calls_wave_are_known_after_reading_the_ledger_once(
    tmp_path: Path, filters: str
) -> None:
    service = Runflow(script=["ok"] * 60 + ["hang"], filters=filters)
    world = World(tmp_path, service, text=HUNDRED)
    await world.call(max_duration=60.0, download=False)
    assert State.DOUBTFUL in states(world)
    disk = world.disk = ReadDisk()

    await world.call(download=False)

    assert states(world) == {State.SUCCEEDED: 100}
    assert set(service.paid().values()) == {1}
    at_the_start = 1  # whether it is a restored copy
    assert disk.readings == at_the_start + 1


async def test_while_an_extra_run_goes_on_the_ledger_is_read_once_for_it(tmp_path: Path) -> None:
    service = Twice(
        repeats=lambda number: number == 4, duration=lambda n: 300.0 if n == 3 else 10.0
    )
    disk = ReadDisk()
    world = World(tmp_path, service, disk=disk)

    await world.call(settle=5.0, download=False)

    assert world.book().extras == 1
    assert service.calls["list"] > 5
    assert disk.readings == 2, "in the opening, and for the extra"


async def test_a_conflict_without_a_run_is_parked(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["ok", "409"]))

    await world.call(settle=5.0)

    assert states(world) == {State.DOUBTFUL: 1, State.SUCCEEDED: 5}
    assert world.service.calls["create"] == 6


async def test_out_of_credit_fails_no_cell_and_sees_runs_to_their_end(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["ok", "ok", "402"]))

    stops = await world.call()

    assert 5 in stops.codes
    assert states(world)[State.SUCCEEDED] >= 2
    assert not {State.FAILED, State.REJECTED, State.IN_FLIGHT, State.DOUBTFUL} & set(states(world))


async def test_a_refused_key_stops_submitting(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["ok", "401"]))

    stops = await world.call()

    assert 4 in stops.codes
    assert State.FAILED not in states(world)


async def test_a_proxy_page_ends_the_call_after_the_give_up_time(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["html"] * 50), text=ONE)

    stops = await world.call(settle=5.0, give_up=20.0)

    assert 8 in stops.codes
    assert world.service.runs == []


async def test_a_service_out_of_reach_ends_the_call(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["unreachable"] * 500), text=ONE)

    stops = await world.call(give_up=20.0)

    assert 8 in stops.codes
    assert states(world) == {State.PENDING: 1}


async def test_a_run_that_is_too_old_is_parked_and_taken_up_by_the_next_call(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(duration=lambda number: 500.0 if not number else 5.0))

    await world.call(timeout=60.0)
    parked = [h for h in world.book().histories.values() if h.parked]
    await world.call(timeout=1000.0)

    assert len(parked) == 1
    assert states(world) == {State.SUCCEEDED: 6}
    assert set(world.service.paid().values()) == {1}


async def test_a_known_run_that_answers_404_is_parked_and_never_run_again(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: 1000.0), text=ONE)
    await world.call(max_duration=5.0)
    world.service.known = False

    await world.call(settle=5.0, trust_key=True)

    assert world.service.calls["create"] == 1
    assert states(world) == {State.IN_FLIGHT: 1}


async def test_another_key_is_noticed_before_the_first_post(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call(limit=1)
    world.service.organisation = "org-2"

    stops = await world.call()

    assert isinstance(stops.errors[0], KeyRefusedError)
    assert world.service.calls["create"] == 1


async def test_a_key_that_does_not_see_the_newest_run_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call(limit=1)
    world.service.known = False

    stops = await world.call()

    assert isinstance(stops.errors[0], KeyRefusedError)
    assert world.service.calls["create"] == 1


@pytest.mark.parametrize("lines", [2, 3, 4, 6])
async def test_a_restored_old_ledger_is_noticed_before_the_first_post(
    tmp_path: Path, lines: int
) -> None:
    world = World(tmp_path, Runflow())
    await world.call()
    ledger = world.folder / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:lines]))

    stops = await world.call(settle=5.0)

    assert isinstance(stops.errors[0], LedgerError)
    assert world.service.calls["create"] == 6


async def test_a_deleted_ledger_beside_its_sweep_json_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call()
    (world.folder / "ledger.jsonl").unlink()

    with pytest.raises(LedgerError, match="recover"):
        await world.call()


async def test_a_hanging_post_holds_up_no_other_cell(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["hang"]))

    await world.call(concurrency=2, max_duration=100.0)

    assert states(world)[State.SUCCEEDED] == 5


async def test_limit_is_the_number_of_new_cells(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())

    first = await world.call(limit=2)
    await world.call(limit=2)

    assert 3 in first.codes
    assert states(world) == {State.SUCCEEDED: 4}


async def test_a_model_at_its_limit_is_passed_over(tmp_path: Path) -> None:
    text = """\
models: [{id: a/slow, concurrency: 1}, b/quick]
inputs: {prompt: [a, b, c, d]}
limits: {concurrency: 4}
"""
    world = World(tmp_path, Runflow(), text=text)

    await world.call()

    models = [run.model for run in world.service.runs]
    assert Counter(models) == {"a/slow": 4, "b/quick": 4}
    assert Counter(models[:4])["b/quick"] == 3


LONG_TAIL = """\
models: [a/b]
inputs: {prompt: {$range: [1, 99]}}
limits: {concurrency: 2, rate: 100/s, timeout: 1h}
outputs: {download: false}
"""


async def test_a_run_that_begins_beside_a_long_one_is_looked_at_in_its_own_time(
    tmp_path: Path,
) -> None:
    """However many the wave has had before: that of a long run alone may be far away."""
    service = Runflow(duration=lambda n: 300.0 if n % 20 == 0 else 4.0)
    world = World(tmp_path, service, text=LONG_TAIL)

    await world.call(batch=1)

    lines = map(json.loads, (world.folder / LEDGER).read_bytes().splitlines())
    ends = [line for line in lines if line["type"] == "finished"]
    lags = [
        datetime.fromisoformat(line["at"]) - datetime.fromisoformat(line["completed_at"])
        for line in ends
    ]
    assert max(lags).total_seconds() < 20


async def test_looks_are_few(tmp_path: Path) -> None:
    text = "models: [a/b]\ninputs: {n: {$range: [1, 400]}}\nlimits: {concurrency: 100, rate: 50/s}"
    world = World(tmp_path, Runflow(duration=lambda n: 20.0 + n % 20), text=text)

    await world.call()

    assert states(world) == {State.SUCCEEDED: 400}
    assert world.service.calls["list"] + world.service.calls["get"] < 100


ONE = "models: [google/nano-banana-2]\ninputs: {prompt: a}\n"
