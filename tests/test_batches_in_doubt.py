"""Batches of which something is not known: torn lines, old ledgers, and what answers leave out."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow
from test_batches import MANY, lines, states
from test_rebuild_ledger import find

from batchrun.base.disk import InlineDisk
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Dropped, Intent, Rejected, Submitted
from batchrun.sweep.location import LEDGER

Batch = dict[str, Any]
DAY = 86_400.0


def half_told(batch: Batch) -> Batch:
    """Leave out all items but the first twelve."""
    return {**batch, "items": batch["items"][:12]}


def cut(world: World, kind: type, keep: int) -> None:
    """Leave of the lines of *kind* the first *keep*, and nothing of what comes behind these."""
    whole = (world.folder / LEDGER).read_bytes().splitlines(keepends=True)
    word = f'{{"type":"{kind.__name__.lower()}"'.encode()
    planted = (b'"cell":"first"', b'"cell":"second"')
    places = [
        number
        for number, line in enumerate(whole)
        if line.startswith(word) and not any(cell in line for cell in planted)
    ]
    (world.folder / LEDGER).write_bytes(b"".join(whole[: places[keep]]))


async def test_what_was_dropped_by_half_is_begun_anew(tmp_path: Path) -> None:
    """The process died while it wrote that nothing came of the batch: nothing was taken."""
    world = Begun(tmp_path, Runflow(script=["422"]), text=MANY)
    await world.call(max_duration=1.0)
    world.service.forget()
    cut(world, Dropped, 12)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(world.service.paid().values()) == {1}


def refused_told(batch: Batch) -> Batch:
    """Say of items without a run that their input was refused."""
    error = {"code": "INPUT_VALIDATION_FAILED", "message": "no such ratio"}
    items = [each if each["run_id"] else {**each, "error": error} for each in batch["items"]]
    return {**batch, "items": items}


async def test_the_refusal_of_an_item_is_told_by_the_next_call(tmp_path: Path) -> None:
    """The process died between the lines of the runs and those of the refusals."""
    service = Runflow(batches="yes", without_run=frozenset({4}), edit_batch=refused_told)
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=1.0)
    cut(world, Rejected, 0)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 29, State.REJECTED: 1}
    assert len(service.sent_batches) == 1
    assert service.calls["create"] == 0


async def test_what_a_batch_has_not_told_is_not_sent_again_once_all_it_told_is_over(
    tmp_path: Path,
) -> None:
    """Its answer lacks some items, and the service forgets runs that have ended."""
    service = Runflow(batches="yes", list_lag=DAY, duration=lambda _: 1.0, edit_batch=half_told)
    world = Begun(tmp_path, service, text=MANY)
    await world.call()
    assert states(world) == {State.SUCCEEDED: 12, State.DOUBTFUL: 18}
    service.known = service.keeps_batches = False

    await world.call(trust_key=True)

    assert states(world) == {State.SUCCEEDED: 12, State.DOUBTFUL: 18}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0)


def five_told(batch: Batch) -> Batch:
    """Leave out all items but the first five, which get no run."""
    return {**batch, "items": batch["items"][:5]}


@pytest.mark.parametrize("refused", [True, False])
async def test_a_batch_of_which_only_items_without_a_run_are_known_was_taken(
    tmp_path: Path, *, refused: bool
) -> None:
    """Its other runs are in no list yet, and no run of it is known that a list would have to show.

    The batch itself isn't known any more.
    """
    service = Runflow(
        batches="yes",
        list_lag=DAY,
        without_run=frozenset(range(5)),
        edit_batch=(lambda batch: refused_told(five_told(batch))) if refused else five_told,
        script=["ok", *["422"] * 5],  # each of those that are sent alone is refused
    )
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=2.0)
    assert states(world) == {State.REJECTED: 5, State.DOUBTFUL: 25}
    service.keeps_batches = False

    await world.call()

    assert states(world) == {State.REJECTED: 5, State.DOUBTFUL: 25}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0 if refused else 5)


async def test_late_runs_are_found_though_all_of_their_wave_is_over(tmp_path: Path) -> None:
    service = Runflow(script=["lost"], batches="yes", list_lag=20.0, duration=lambda _: 1.0)
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=2.0)
    service.list_lag = 0.0
    await world.call(
        max_duration=10.0, poll_interval=0.5
    )  # it is sent again, and ends, before the first shows
    assert states(world) == {State.SUCCEEDED: 30}
    assert sorted(service.paid().values()) == [2] * 30
    await anyio.sleep(10)

    await world.call()

    assert world.book().extras == 30


async def test_a_batch_that_is_not_known_any_more_is_asked_for_once_a_look(tmp_path: Path) -> None:
    service = Runflow(script=["lost"], batches="yes", keeps_batches=False)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    assert states(world) == {State.DOUBTFUL: 30}
    assert len(service.sent_batches) == 1
    assert service.calls["batch"] <= 2 * service.calls["list"]


async def test_a_walk_asks_for_no_batch_of_another_wave(tmp_path: Path) -> None:
    asked: set[str] = set()

    class Remembering(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.url.path.startswith("/v1/batches/"):
                asked.add(request.url.path.rpartition("/")[2])
            return await super().serve(request, word)

    service = Remembering(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(limit=20, batch=10)
    service.filters = "no"
    service.script = ["lost"]

    await world.call()

    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}
    assert asked == {service.runs[-1].batch}


@pytest.mark.parametrize("keep", [1, 12, 29])
async def test_a_copy_that_ends_within_a_batch_is_noticed(tmp_path: Path, keep: int) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call()
    cut(world, Intent, keep)

    stops = await world.call()

    assert most_severe(stops.codes) == 9
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0)


@pytest.mark.parametrize("keep", [0, 1, 29])
async def test_a_copy_that_ends_within_what_was_answered_goes_on(tmp_path: Path, keep: int) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call()
    cut(world, Submitted, keep)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0)


async def test_a_torn_group_that_was_never_sent_is_begun_anew(tmp_path: Path) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call()
    service.forget()
    cut(world, Intent, 12)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("filters", ["yes", "no", "ignored", "empty"])
@pytest.mark.parametrize(
    "left_out",
    [
        ["metadata", "batch_id"],
        ["metadata", "client_ref"],
        ["metadata", "client_ref", "batch_id"],
    ],
)
async def test_a_list_that_leaves_fields_out_loses_no_batch(
    tmp_path: Path, left_out: list[str], filters: str
) -> None:
    service = Runflow(script=["lost"], batches="yes", filters=filters, left_out=left_out)
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}
    assert len(service.sent_batches) == 1


@pytest.mark.parametrize("word", ["expired", "timed_out", "aborted", "crashed", "errored", ""])
async def test_an_item_that_ended_in_no_word_of_the_documents_is_looked_for(
    tmp_path: Path, word: str
) -> None:
    """All have runs, which the list shows: no cell is rejected."""

    def hidden(batch: Batch) -> Batch:
        items = [{**each, "run_id": None, "run": None} for each in batch["items"]]
        return {**batch, "items": [{**each, "status_code": word} for each in items]}

    service = Runflow(batches="yes", edit_batch=hidden)
    world = Begun(tmp_path, service, text=MANY)

    for _ in range(2):
        await world.call()

    assert State.REJECTED not in states(world)
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0)
    assert set(service.paid().values()) == {1}


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _reversed(batch: Batch) -> Batch:
    return batch | {"items": batch["items"][::-1]}


def _without_some(batch: Batch) -> Batch:
    return batch | {"items": batch["items"][3:7] + batch["items"][20:]}


def _without_items(batch: Batch) -> Batch:
    return batch | {"items": []}


def _repeated(batch: Batch) -> Batch:
    first = batch["items"][0]
    return batch | {"items": [*batch["items"], {**first, "run_id": "strange"}]}


def _one_run_twice(batch: Batch) -> Batch:
    items = batch["items"]
    return batch | {"items": [{**items[1], "run_id": items[0]["run_id"]}, items[0], *items[2:]]}


def _counted_from_one(batch: Batch) -> Batch:
    items = [{**each, "sequence_index": each["sequence_index"] + 1} for each in batch["items"]]
    return batch | {"items": items}


def _with_a_foreign_item(batch: Batch) -> Batch:
    items = batch["items"]
    return batch | {"items": [{**items[0], "run_id": "other", "client_ref": "other"}, *items[1:]]}


def _with_one_too_many(batch: Batch) -> Batch:
    return batch | {"items": [*batch["items"], {**batch["items"][0], "sequence_index": 30}]}


ODD: list[Callable[[Batch], Batch]] = [
    *(_reversed, _without_some, _without_items, _repeated, _one_run_twice, _counted_from_one),
    *(_with_a_foreign_item, _with_one_too_many),
]


@pytest.mark.parametrize("batches", ["yes", "named"])
@pytest.mark.parametrize("told", ODD)
async def test_no_cell_gets_the_run_of_another(
    tmp_path: Path, told: Callable[[Batch], Batch], batches: str
) -> None:
    service = Runflow(batches=batches)
    # The answer only: asked for again, the batch is told as it is.
    tellers = itertools.chain([told], itertools.repeat(_as_it_is))

    def tell(batch: Batch) -> Batch:
        return next(tellers)(batch)

    service.edit_batch = tell
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert len(service.runs) == 30
    made_for = {run.id: run.cell for run in service.runs}
    assert {line.run_id: line.cell for line in lines(world, Submitted)} == made_for


@pytest.mark.parametrize("told", [_reversed, _counted_from_one])
async def test_a_lost_answer_is_told_by_a_batch_that_counts_otherwise(
    tmp_path: Path, told: Callable[[Batch], Batch]
) -> None:
    service = Runflow(script=["lost"], batches="yes", edit_batch=told)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()

    made_for = {run.id: run.cell for run in service.runs}
    assert {line.run_id: line.cell for line in lines(world, Submitted)} == made_for
    assert states(world) == {State.SUCCEEDED: 30}


async def test_what_is_left_of_a_batch_can_be_sent_by_ones_own_decision(tmp_path: Path) -> None:
    """The list tells nothing, and the manifest names only some of the cells any more."""
    service = Runflow(faults=["error_before=400/list"], script=["reset"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=3.0)
    world.text = MANY.replace("[1, 30]", "[1, 20]")

    await world.call()
    assert states(world) == {State.DOUBTFUL: 30}
    await world.call(resubmit_in_doubt=True)

    assert states(world) == {State.SUCCEEDED: 20, State.DOUBTFUL: 10}
    assert set(service.paid().values()) == {1}


async def test_an_item_without_a_fate_is_sent_alone_by_ones_own_decision(tmp_path: Path) -> None:
    def queued(batch: Batch) -> Batch:
        items = [each | {"status_code": "queued"} for each in batch["items"]]
        return batch | {"items": items}

    service = Runflow(batches="yes", without_run=frozenset({4}), edit_batch=queued)
    world = Begun(tmp_path, service, text=MANY)

    await world.call()
    await world.call()
    assert states(world) == {State.SUCCEEDED: 29, State.DOUBTFUL: 1}
    await world.call(resubmit_in_doubt=True)

    assert states(world) == {State.SUCCEEDED: 30}
    assert (len(service.sent_batches), service.calls["create"]) == (1, 1)


@pytest.mark.parametrize("batches", ["yes", "named"])
@pytest.mark.parametrize("filters", ["yes", "no"])
async def test_a_sweep_of_batches_is_found_by_its_name(
    tmp_path: Path, batches: str, filters: str
) -> None:
    service = Runflow(batches=batches)
    world = World(tmp_path, service, text=MANY)
    await world.call(batch=12)
    service.filters = filters

    assert await find(world) == {run.id for run in service.runs}


async def test_a_copy_is_noticed_by_what_was_sent_beside_batches(tmp_path: Path) -> None:
    """The newest page of all runs shows only those of others, and no wave was begun since."""
    alone = [{"prompt": number, "client_ref": "mine"} for number in range(24)]
    together = [{"prompt": number} for number in range(100, 112)]
    rows = json.dumps([*alone[:12], *together, *alone[12:]])
    text = f"models: [runflow/smart-resize]\nrows: {rows}\n" + MANY[MANY.index("limits") :]
    service = Runflow(faults=["crowd=500"], batches="yes")
    world = Begun(tmp_path, service, text=text.replace("concurrency: 30", "concurrency: 12"))
    await world.call()
    refs = [line.client_ref for line in lines(world, Intent)]
    assert (refs[0], refs[-12:]) == (refs[0], refs[:1] * 12)
    assert len(set(refs)) > 1
    cut(world, Intent, 24)
    made = len(service.runs)

    stops = await world.call()

    assert most_severe(stops.codes) == 9
    assert len(service.runs) == made


@pytest.mark.parametrize("keep", [1, 29])
async def test_a_copy_that_ends_within_a_batch_is_noticed_though_nothing_tells_of_it(
    tmp_path: Path, keep: int
) -> None:
    service = Runflow(batches="yes", keeps_batches=False)
    world = Begun(tmp_path, service, text=MANY)
    await world.call()
    cut(world, Intent, keep)

    stops = await world.call()

    assert most_severe(stops.codes) == 9
    assert (len(service.sent_batches), service.calls["create"]) == (1, 0)


@dataclass(kw_only=True)
class Broken(Runflow):
    """Answers questions for a batch with *page* or not at all."""

    page: tuple[int, str] | None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/v1/batches/"):
            return await super().answer(request)
        self.calls["batch"] += 1
        await anyio.sleep(0.05)
        if self.page is None:
            raise httpx.ReadTimeout("nothing", request=request)
        return httpx.Response(self.page[0], text=self.page[1])


PAGES = [(500, "oops"), (404, "<html>no</html>"), (404, '{"detail":"Not Found"}'), None]


@pytest.mark.parametrize("page", PAGES)
async def test_batches_that_cannot_be_asked_for_stop_no_other_cells(
    tmp_path: Path, page: tuple[int, str] | None
) -> None:
    service = Broken(script=["lost"], batches="yes", page=page, duration=lambda _: 20.0)
    world = Begun(tmp_path, service, text=MANY)

    await world.call(batch=12, concurrency=14, give_up=60.0)

    assert states(world) == {State.SUCCEEDED: 18, State.DOUBTFUL: 12}
    assert set(service.paid().values()) == {1}


async def test_late_runs_that_show_while_the_second_answer_is_written_are_extras(
    tmp_path: Path,
) -> None:
    """The look that shows the first batch begins before the lines of the second are on disk."""

    class Slow(InlineDisk):
        async def write(self, fd: int, data: bytes) -> None:
            await anyio.sleep(0.5)
            await super().write(fd, data)

    @dataclass(kw_only=True)
    class Late(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.method == "POST":
                self.world.store.write("UPDATE runs SET listed = ?", self.world.now())
            elif request.url.path.startswith("/v1/batches/"):
                self.edit_batch = None
            return await super().serve(request, word)

    service = Late(script=["lost"], batches="yes", list_lag=1000.0, edit_batch=_without_some)
    world = Begun(tmp_path, service, text=MANY, disk=Slow())

    stops = await world.call(poll_interval=0.1)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert sorted(service.paid().values()) == [2] * 30


@pytest.mark.parametrize("page", PAGES)
async def test_a_batch_that_cannot_be_asked_for_is_looked_at_by_its_runs(
    tmp_path: Path, page: tuple[int, str] | None
) -> None:
    """The list can't be filtered, so the batch would be asked how its runs stand."""
    service = Broken(batches="yes", page=page, filters="no", duration=lambda n: 20.0 * (n + 1))
    world = Begun(tmp_path, service, text=MANY.replace("[1, 30]", "[1, 14]"))

    stops = await world.call(batch=12, concurrency=14, give_up=60.0)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 14}
