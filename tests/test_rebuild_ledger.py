"""What is found of a lost ledger's runs, whatever the lists are like; and what is told of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from engine_world import World
from ledger_lines import read_book
from simulated import Runflow, answered, now

from batchrun.engine.run_tag import RunTag
from batchrun.errors import UnreachableError
from batchrun.ledger.file import rebuild_ledger
from batchrun.ledger.history import History, State, apply
from batchrun.ledger.records import CellLine, Dropped, Extra, Finished, Intent, Rejected, Submitted
from batchrun.recovery.missing_records import CellDescription, FoundRun, missing_records
from batchrun.recovery.rebuild_ledger import RunFinder, find_sweeps
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.wire import Run
from batchrun.sweep.location import LEDGER
from batchrun.sweep.references import marker

ABOUT = CellDescription(model="m", alias="a", name="files/x")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


async def find(world: World, *, last: int = 0) -> set[str]:
    """Return the ids of the runs that are found without the ledger."""
    sweep = world.book().sweep
    assert sweep is not None
    settings = world.manifest().settings()
    async with api_client(
        "https://fake", "key", connections=4, transport=world.service.transport()
    ) as http:
        client: Client = world.client(http, settings)
        found = await RunFinder(client, sweep.sweep, marker(sweep.name, None), lambda _: None).find(
            last
        )
        assert await find_sweeps(client, sweep.name, None) == {sweep.sweep: len(found)}
    return {each.run.id for each in found}


@pytest.mark.parametrize("filters", ["yes", "no", "ignored", "empty"])
@pytest.mark.parametrize("page_cap", [500, 2])
async def test_every_run_is_found_whatever_the_lists_are_like(
    filters: str, page_cap: int, tmp_path: Path
) -> None:
    service = Runflow(ending=lambda n: "failed" if n == 1 else "succeeded")
    world = World(tmp_path, service)
    await world.call(wave_size=2)
    service.filters, service.page_cap = filters, page_cap

    assert await find(world) == {run.id for run in service.runs}
    assert len(service.runs) == 7


@dataclass(kw_only=True)
class Forgetful(Runflow):
    """Its filter leaves out one wave, and shows the others."""

    forgotten: str = ""

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if self.forgotten and request.url.params.get("q", "").endswith(f".{self.forgotten}'"):
            return answered(200, {"items": [], "next": None})
        return await super().serve(request, word)


@pytest.mark.parametrize("wave", ["1", "2", "3"])
async def test_a_wave_that_the_filter_leaves_out_is_found_by_walking(
    tmp_path: Path, wave: str
) -> None:
    service = Forgetful()
    world = World(tmp_path, service)
    await world.call(wave_size=2, download=False)
    service.forgotten, service.page_cap = wave, 2

    assert await find(world) == {run.id for run in service.runs}


async def test_a_list_that_tells_nothing_of_its_runs_rebuilds_nothing(tmp_path: Path) -> None:
    service = Runflow()
    world = World(tmp_path, service)
    await world.call(download=False)
    service.left_out = ["client_ref", "metadata"]

    with pytest.raises(UnreachableError, match="neither be filtered nor walked"):
        await find(world)


@pytest.mark.parametrize("left_out", ["client_ref", "metadata"])
async def test_what_a_list_leaves_out_is_asked_for_by_id(tmp_path: Path, left_out: str) -> None:
    service = Runflow()
    world = World(tmp_path, service)
    await world.call(download=False)
    service.left_out = [left_out]
    sweep = world.book().sweep
    assert sweep is not None

    async with api_client(
        "https://fake", "key", connections=4, transport=service.transport()
    ) as http:
        client = world.client(http, world.manifest().settings())
        found = await RunFinder(client, sweep.sweep, marker(sweep.name, None), lambda _: None).find(
            0
        )

    assert {each.run.id for each in found} == {run.id for run in service.runs}
    assert {each.run.client_ref for each in found} == {
        marker(sweep.name, None),
        f"br1.{sweep.sweep}.1",
    }


async def test_waves_without_runs_are_passed_over(tmp_path: Path) -> None:
    """Twenty refused cells are twenty waves of one attempt each that nobody can see."""
    refused = ["201", *["422"] * 20, "201"]
    world = World(
        tmp_path,
        Runflow(script=[word.replace("201", "ok") for word in refused]),
        text="models: [google/nano-banana-2]\ninputs: {prompt: {$range: [1, 22]}}\n"
        "limits: {concurrency: 1}\n",
    )
    await world.call(wave_size=1)

    assert await find(world) == {run.id for run in world.service.runs}
    assert len(world.service.runs) == 2


async def test_other_sweeps_runs_are_left_alone(tmp_path: Path) -> None:
    service = Runflow()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = World(tmp_path / "one", service)
    two = World(tmp_path / "two", service)
    await one.call()
    first = one.book().sweep
    assert first is not None
    await two.call(limit=2, set_aside=(first.sweep,))
    service.filters = "ignored"
    book = one.book()

    sweep = book.sweep
    assert sweep is not None
    async with api_client(
        "https://fake", "key", connections=4, transport=service.transport()
    ) as http:
        client = one.client(http, one.manifest().settings())
        found = await RunFinder(client, sweep.sweep, marker(sweep.name, None), lambda _: None).find(
            0
        )
        assert sorted((await find_sweeps(client, "m", None)).values()) == [2, 6]

    assert {each.run.id for each in found} == {h.run_id for h in book.histories.values()}


async def test_a_list_without_an_end_rebuilds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.recovery.rebuild_ledger.ALL_PAGES", 2)
    world = World(tmp_path, Runflow(filters="no"))
    await world.call()
    world.service.page_cap = 1

    with pytest.raises(UnreachableError, match="neither be filtered nor walked"):
        await find(world)


async def test_a_rebuilding_that_fails_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call()
    before = (world.folder / LEDGER).read_bytes()
    names = sorted(path.name for path in world.folder.iterdir())

    def fail() -> None:
        with rebuild_ledger(world.folder, clock=now) as rebuilding:
            assert rebuilding.lost == 0
            raise UnreachableError("in the middle")

    with pytest.raises(UnreachableError):
        fail()

    assert (world.folder / LEDGER).read_bytes() == before
    assert sorted(path.name for path in world.folder.iterdir()) == names
    assert read_book(world.folder / LEDGER).histories == world.book().histories


@pytest.mark.parametrize("step", ["hardlink_to", "replace"])
async def test_the_old_ledger_is_there_until_the_new_one_is(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, Runflow())
    await world.call()
    before = (world.folder / LEDGER).read_bytes()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    def recover() -> None:
        with rebuild_ledger(world.folder, clock=now):
            monkeypatch.setattr(Path, step, die)

    with pytest.raises(KeyboardInterrupt):
        recover()
    monkeypatch.undo()

    assert (world.folder / LEDGER).read_bytes() == before
    await world.call()
    assert len(world.service.runs) == 6


def run(run_id: str, status: str = "succeeded", *, cost: str | None = "1") -> Run:
    return Run(
        id=run_id,
        status_code=status,
        client_ref="br1.s.1",
        metadata={"batchrun": {}},
        cost=None if cost is None else Decimal(cost),
        created_at=MOMENT,
    )


def found(run_id: str, attempt: int = 1, status: str = "succeeded", key: str = "k1") -> FoundRun:
    return FoundRun(RunTag("c", attempt, key), run(run_id, status))


def intent(attempt: int = 1, key: str = "k1") -> Intent:
    return Intent(
        cell="c",
        attempt=attempt,
        model="m",
        alias="a",
        client_ref="br1.s.1",
        idempotency_key=key,
        body_sha256="x",
        name="n",
        metadata={},
    )


SUBMITTED = Submitted(cell="c", attempt=1, run_id="r1")
FAILED = Finished(cell="c", attempt=1, run_id="r1", status_code="failed")
REJECTED = Rejected(cell="c", attempt=1, http_status=422)

STORIES: dict[str, tuple[list[CellLine], list[FoundRun], str, State]] = {
    "nothing known": ([], [found("r1")], "intent submitted finished", State.SUCCEEDED),
    "still running": ([], [found("r1", status="running")], "intent submitted", State.IN_FLIGHT),
    "two attempts, in any order": (
        [],
        [found("r2", 2, key="k2"), found("r1", 1, "failed")],
        "intent submitted finished intent submitted finished",
        State.SUCCEEDED,
    ),
    "an attempt number is missing": (
        [],
        [found("r2", 2)],
        "intent submitted finished",
        State.SUCCEEDED,
    ),
    "all known": (
        [intent(), SUBMITTED, FAILED],
        [found("r1", status="failed")],
        "",
        State.FAILED,
    ),
    "its end is not known": ([intent(), SUBMITTED], [found("r1")], "finished", State.SUCCEEDED),
    "in doubt, and its run is there": (
        [intent()],
        [found("r1")],
        "submitted finished",
        State.SUCCEEDED,
    ),
    "in doubt, and only a later attempt's run is there": (
        [intent()],
        [found("r2", 1, key="k2")],
        "dropped intent submitted finished",
        State.SUCCEEDED,
    ),
    "two runs of one intent": (
        [],
        [found("r1", status="failed"), found("r2")],
        "intent submitted finished extra",
        State.SUCCEEDED,
    ),
    "one of two is running": (
        [],
        [found("r1", status="running"), found("r2", status="failed")],
        "intent submitted extra",
        State.IN_FLIGHT,
    ),
    "a run behind a success": (
        [intent(), SUBMITTED, FAILED],
        [found("r1", 1, "failed"), found("r2", 2), found("r3", 3, "failed")],
        "intent submitted finished extra",
        State.SUCCEEDED,
    ),
    "a run of an attempt that was refused": (
        [intent(), REJECTED],
        [found("r1")],
        "extra",
        State.REJECTED,
    ),
    "refused, then tried again": (
        [intent(), REJECTED],
        [found("r2", 2, key="k2")],
        "intent submitted finished",
        State.SUCCEEDED,
    ),
}


@pytest.mark.parametrize(("before", "runs", "told", "state"), STORIES.values(), ids=STORIES)
def test_a_cell_is_told_from_its_runs(
    before: list[CellLine], runs: list[FoundRun], told: str, state: State
) -> None:
    history = History()
    for line in before:
        apply(history, line)
    known = {line.run_id for line in before if isinstance(line, Submitted | Extra)}
    doubtful = "k1" if history.state is State.DOUBTFUL else None

    lines = missing_records("c", history, doubtful, runs, known=known, about=ABOUT)

    assert [type(line).__name__.lower() for line in lines] == told.split()
    for line in lines:
        apply(history, line)
    assert history.state is state
    everything = {each.run.id for each in runs}
    assert known | {ln.run_id for ln in lines if isinstance(ln, Submitted | Extra)} == everything
    again = missing_records("c", history, None, runs, known=everything, about=ABOUT)
    assert again == []


def test_what_is_dropped_leaves_its_wave_owed_a_last_look() -> None:
    history = History()
    apply(history, intent())

    dropped = missing_records(
        "c", history, "k1", [found("r2", key="k2")], known=set(), about=ABOUT
    )[0]

    assert isinstance(dropped, Dropped)
    assert dropped.doubted
