"""Cells that wait for company: nothing that happens meanwhile loses them, or holds them up."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow, refused
from test_batches import MANY, MODEL, lines, states

from batchrun.engine.in_flight import Attempt
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.engine.submit import Submitter
from batchrun.engine.uploader import files_in
from batchrun.errors import most_severe
from batchrun.ledger.file import open_ledger
from batchrun.ledger.history import State
from batchrun.ledger.records import Intent, Learnt, Submitted, Uploaded
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest, Model
from batchrun.settings import Settings
from batchrun.simulator.views import made_id

TWO = MANY.replace("[runflow/smart-resize]", "[runflow/smart-resize, runflow/skin-fix]")


class Timed(Runflow):
    """Remembers when requests for batches came, and answers each after *slow* seconds."""

    slow: float = 0.0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.url.path.endswith("/batches"):
            self.came = [*getattr(self, "came", []), anyio.current_time()]
            await anyio.sleep(self.slow)
        return await super().serve(request, word)


class Interrupted(Begun):
    """Its calls are interrupted after *after* seconds."""

    after: float = 1.0
    drain: bool = False

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async def interrupt() -> None:
            await anyio.sleep(self.after)
            runner.shutdown.interrupt("interrupted", drain=self.drain)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            stops = await runner.run()
            tasks.cancel_scope.cancel()
        return stops


async def test_the_others_leave_as_soon_as_a_model_is_known_to_take_batches(
    tmp_path: Path,
) -> None:
    service = Timed(batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    await world.call(batch=10)

    assert len(service.came) == 3
    assert max(service.came) - min(service.came) < 1.0


@pytest.mark.parametrize("most", [2, 5, 9])
async def test_batches_of_few_items_are_asked_for_too(tmp_path: Path, most: int) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=MANY)

    await world.call(batch=most)

    assert world.service.calls["create_batch"] >= 30 // most
    assert states(world) == {State.SUCCEEDED: 30}


async def test_a_trial_that_is_never_answered_holds_up_nobody(tmp_path: Path) -> None:
    service = Runflow(script=["hang"], batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call(concurrency=12, batch=10)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("drain", [False, True])
@pytest.mark.parametrize("after", [0.1, 0.5, 2.0])
async def test_an_interrupt_sends_none_of_those_that_wait(
    tmp_path: Path, after: float, *, drain: bool
) -> None:
    service = Timed(batches="yes")
    service.slow = 4.0
    world = Interrupted(tmp_path, service, text=MANY)
    world.after, world.drain = after, drain

    stops = await world.call(batch=12)

    assert most_severe(stops.codes) == 3
    assert len(service.runs) in {0, 12}
    assert len(service.sent_batches) <= 1
    world.after = 10_000.0
    await world.call()
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}


async def test_a_page_of_a_proxy_sends_none_of_those_that_wait(tmp_path: Path) -> None:
    service = Runflow(script=["html"] * 200, batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call(batch=12, give_up=20.0)

    assert most_severe(stops.codes) == 8
    assert not service.runs
    service.script.clear()
    stops = await world.call()
    assert stops.codes == []
    assert set(service.paid().values()) == {1}


async def test_of_two_models_one_takes_batches(tmp_path: Path) -> None:
    class One(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.url.path.endswith("/skin-fix/batches"):
                return refused(422, "UNPROCESSABLE", "This model does not take batches")
            return await super().serve(request, word)

    service = One(batches="yes")
    world = Begun(tmp_path, service, text=TWO.replace("concurrency: 30", "concurrency: 60"))

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 60}
    assert set(service.paid().values()) == {1}
    assert (service.calls["create_batch"], service.calls["create"]) == (2, 30)
    learnt = {line.model: line.batches for line in lines(world, Learnt)}
    assert learnt == {MODEL: True, "runflow/skin-fix": False}


async def test_what_fails_is_tried_again_in_company(tmp_path: Path) -> None:
    service = Runflow(batches="yes", ending=lambda n: "failed" if n < 20 else "succeeded")
    world = Begun(tmp_path, service, text=MANY)

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 30}
    assert sorted(service.paid().values()) == [1] * 10 + [2] * 20
    assert (service.calls["create_batch"], service.calls["create"]) == (2, 0)


async def test_replicates_have_equal_inputs_and_runs_of_their_own(tmp_path: Path) -> None:
    text = MANY.replace("{$range: [1, 30]}", "x").replace("limits:", "repeat: 20\nlimits:")
    service = Runflow(script=["lost"], batches="yes")
    world = Begun(tmp_path, service, text=text)

    await world.call()

    made_for = {run.id: run.cell for run in service.runs}
    assert {line.run_id: line.cell for line in lines(world, Submitted)} == made_for
    assert states(world) == {State.SUCCEEDED: 20}
    assert len(service.sent_batches) == 1


async def test_cells_whose_metadata_differs_share_no_request(tmp_path: Path) -> None:
    text = MANY.replace("inputs:", "vars: {group: [x, y]}\nmetadata: {of: '${group}'}\ninputs:")
    text = text.replace("concurrency: 30", "concurrency: 60")
    text = text.replace("[1, 30]}", "[1, 30]}, of: '${group}'")
    service = Runflow(batches="named")
    world = Begun(tmp_path, service, text=text)

    await world.call()

    sent = [json.loads(body) for _, body in service.sent_batches]
    assert sorted(body["metadata"]["of"] for body in sent) == ["x", "y"]
    assert all({item["of"] for item in body["input"]} == {body["metadata"]["of"]} for body in sent)
    assert states(world) == {State.SUCCEEDED: 60}


async def test_an_input_called_client_ref_is_sent_alone(tmp_path: Path) -> None:
    text = MANY.replace("inputs: {", "inputs: {client_ref: mine, ")
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=text)

    await world.call()

    assert (service.calls["create_batch"], service.calls["create"]) == (0, 30)
    assert {run.input["client_ref"] for run in service.runs} == {"mine"}


async def test_a_limit_of_new_cells_holds_for_batches(tmp_path: Path) -> None:
    service = Runflow(batches="yes")
    world = Begun(tmp_path, service, text=MANY)

    for _ in range(3):
        await world.call(limit=11)

    assert sorted(len(json.loads(body)["input"]) for _, body in service.sent_batches) == [11, 11]
    assert service.calls["create"] == 8


@pytest.mark.parametrize("word", ["lost", "reset", "hang"])
async def test_of_a_batch_in_doubt_only_what_is_asked_for_is_sent_again(
    tmp_path: Path, word: str
) -> None:
    service = Runflow(script=[word], batches="yes")
    world = Begun(tmp_path, service, text=MANY)
    await world.call(max_duration=1.0, settle=60.0)
    assert len(lines(world, Intent)) == 30

    stops = await world.call(only={"prompt": ("1", "2", "3")})
    counted = len(service.runs)
    assert counted == (3 if word == "reset" else 30)
    assert stops.codes == []

    await world.call()
    assert states(world) == {State.SUCCEEDED: 30}
    assert set(service.paid().values()) == {1}


async def test_the_concurrency_of_a_model_holds_for_batches(tmp_path: Path) -> None:
    text = TWO.replace("runflow/skin-fix]", "{id: runflow/skin-fix, concurrency: 11}]")
    service = Runflow(batches="yes", duration=lambda n: 3.0 + n % 5)
    world = Begun(tmp_path, service, text=text.replace("concurrency: 30", "concurrency: 40"))

    await world.call()

    moments = sorted({run.created for run in service.runs})
    of = [run for run in service.runs if "skin-fix" in run.model]
    assert max(sum(r.created <= at < r.ends for r in of) for at in moments) <= 11
    assert states(world) == {State.SUCCEEDED: 60}


PHOTOS = """\
models: [runflow/background-removal]
inputs: {image_url: {$glob: "photos/*.png"}}
limits: {concurrency: 20, rate: 1000/s, settle: 5s}
outputs: {download: false}
"""


def uploaded(service: Runflow, name: str) -> None:
    """Let the organisation have a file of this id."""
    at = service.world.now()
    row = {"id": name, "org": made_id("org", "key"), "name": "x.png", "mime_type": "image/png"}
    service.world.store.insert("assets", row | {"size": 1, "created": at, "confirmed": at})


async def with_photos(tmp_path: Path, service: Runflow) -> World:
    """Return a world of twenty photos that the service has already."""
    (tmp_path / "photos").mkdir()
    for number in range(20):
        (tmp_path / "photos" / f"{number}.png").write_bytes(bytes([number]))
    world = Begun(tmp_path, service, text=PHOTOS)
    await world.call(limit=0)
    with open_ledger(world.folder, sweep=None, disk=world.disk, clock=world.clock) as ledger:
        for cell in expand(world.manifest()):
            (file,) = files_in(cell.input)
            name = f"asset-{file.sha256[:8]}"
            uploaded(service, name)
            await ledger.append(
                Uploaded(sha256=file.sha256, asset_id=name, reference=f"runflow://assets/{name}")
            )
    return world


async def test_cells_with_files_wait_for_each_other(tmp_path: Path) -> None:
    service = Runflow(batches="yes", duration=lambda _: 0.05)
    world = await with_photos(tmp_path, service)
    await world.call(limit=5, batch=1)  # how long runs take is known: company is to be expected

    await world.call()

    assert states(world) == {State.SUCCEEDED: 20}
    assert (service.calls["create_batch"], service.calls["create"]) == (1, 5)


async def test_a_file_that_was_not_taken_in_a_batch_is_given_otherwise(tmp_path: Path) -> None:
    service = Runflow(batches="yes", duration=lambda _: 0.05)
    world = await with_photos(tmp_path, service)
    await world.call(limit=5, batch=1)
    service.faults = ["https_only"]

    stops = await world.call()

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 20}
    assert service.calls["create_batch"] == 1


async def test_who_waits_for_company_does_not_wait_for_a_long_walk_over_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing a million cells that rest takes a minute; a slot must not be idle meanwhile."""
    text = MANY.replace("[1, 30]", "[1, 300]").replace("concurrency: 30", "concurrency: 300")
    service = Runflow(batches="yes", ending=lambda n: "succeeded" if n else "failed")
    world = Begun(tmp_path, service, text=text)
    await world.call(attempts=1)
    drawn, at_departure = 0, list[int]()
    submit = Submitter.submit

    def counted(manifest: Manifest, model: Model) -> Iterator[Cell]:
        nonlocal drawn
        for cell in expand(manifest, model):
            drawn += 1
            yield cell

    async def noted(self: Submitter, attempts: Sequence[Attempt]) -> None:
        at_departure.append(drawn)
        await submit(self, attempts)

    monkeypatch.setattr("batchrun.engine.driver.YIELD_EVERY", 50)
    monkeypatch.setattr("batchrun.engine.run.expand", counted)
    monkeypatch.setattr(Submitter, "submit", noted)  # no time passes in a walk: nothing is sent
    await world.call()

    assert [number < 300 for number in at_departure] == [True]
