"""A machine without the ledger: what was begun elsewhere is found before anything is sent again."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from engine_world import MANIFEST, World
from simulated import Runflow

from batchrun.engine.opening import MOST, PATIENCE
from batchrun.engine.shutdown import Shutdown
from batchrun.engine.waves import Waves
from batchrun.errors import BegunElsewhereError, LedgerError, UsageError
from batchrun.ledger.history import State
from batchrun.ledger.records import Sweep
from batchrun.sweep.references import is_marker, marker

SETTLE = 5.0
OTHERS = "models: [google/nano-banana-2]\ninputs: {prompt: [x, y]}\n"
FILTERS = ["yes", "no", "ignored", "empty"]


def tags(service: Runflow) -> list[dict[str, Any]]:
    """Return what was sent as `metadata.batchrun`, by the order of the POSTs."""
    found: list[dict[str, Any]] = []
    for _, _, body in service.posts:
        found.append(json.loads(body)["metadata"]["batchrun"])
    return found


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


async def begun(tmp_path: Path, service: Runflow, text: str = MANIFEST) -> World:
    """Return the world of a sweep that is done, and whose folder is deleted."""
    world = World(tmp_path, service, text=text)
    await world.call(settle=SETTLE, download=False)
    shutil.rmtree(world.folder)
    return world


async def refused(world: World, **changes: Any) -> BegunElsewhereError:
    """Make a call that sends nothing; return why."""
    made = len(world.service.posts)
    stops = await world.call(settle=SETTLE, download=False, **changes)
    [error] = stops.errors
    assert isinstance(error, BegunElsewhereError)
    assert error.exit_code == 9
    assert len(world.service.posts) == made
    return error


@pytest.mark.parametrize(
    ("filters", "crowd"),
    [*((each, crowd) for each in FILTERS for crowd in (0, 500)), ("yes", 5000)],
)
async def test_what_a_deleted_folder_had_is_not_paid_again(
    tmp_path: Path, filters: str, crowd: int
) -> None:
    service = Runflow()
    world = await begun(tmp_path, service)
    service.filters = filters
    service.faults = [f"crowd={crowd}"] if crowd else []

    said = str(await refused(world))

    [sweep] = {tag["sweep"] for tag in tags(service)}
    assert f"sweep {sweep} has at least" in said
    assert "since 2026-01-01 00:00 UTC, which cost at least 0." in said
    for word in ("batchrun recover", "--recover`", f"--new-sweep {sweep}`"):
        assert word in said
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("left_out", [["metadata"], ["client_ref"]])
async def test_it_is_found_where_lists_leave_fields_out(
    tmp_path: Path, left_out: list[str], *, everywhere: bool
) -> None:
    """A run under the marker whose tag isn't shown may be anyone's of that name: refused."""
    service = Runflow()
    world = await begun(tmp_path, service)
    service.left_out, service.everywhere = left_out, everywhere

    await refused(world)


async def test_a_refused_call_leaves_nothing_that_refuses_the_next_one(tmp_path: Path) -> None:
    world = await begun(tmp_path, Runflow())

    first, second = str(await refused(world)), str(await refused(world))

    assert first == second


async def test_another_name_or_label_is_another_sweep(tmp_path: Path) -> None:
    service = Runflow()
    world = await begun(tmp_path, service, text="name: night\n" + MANIFEST)
    world.text = "name: day\n" + MANIFEST

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 6}


async def test_a_sweep_of_other_cells_is_named_and_refuses_nothing(tmp_path: Path) -> None:
    service = Runflow()
    world = await begun(tmp_path, service, text=OTHERS)
    world.text = MANIFEST

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    [note] = [each for each in world.listener.notes if "no cell in common" in each]
    assert "has at least 2 runs" in note
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("batches", ["no", "yes", "named"])
async def test_its_first_cell_may_be_gone_from_the_manifest(tmp_path: Path, batches: str) -> None:
    """The marker shows that cell alone, and the newest page others' runs: its waves are read."""
    text = MANIFEST.replace("[a, b, c, d, e, f]", "{$range: [1, 30]}").replace("4,", "30,")
    service = Runflow(batches=batches)
    world = await begun(tmp_path, service, text=text)
    service.faults = ["crowd=500"]
    world.text = text.replace("[1, 30]", "[2, 30]")

    await refused(world)


async def test_what_could_not_be_seen_is_said(tmp_path: Path) -> None:
    service = Runflow(filters="no", page_cap=2, faults=["crowd=500"])
    world = World(tmp_path, service)

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert [note for note in world.listener.notes if "was read back to 20" in note]


# A new sweep in its place.


async def test_a_new_sweep_says_which_it_sets_aside(tmp_path: Path) -> None:
    service = Runflow()
    world = await begun(tmp_path, service)
    [old] = (await refused(world)).sweeps

    await world.call(settle=SETTLE, download=False, set_aside=(old,), limit=2)
    await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 6}
    assert [tag.get("after") for tag in tags(service)] == [None] * 6 + [[old]] * 6
    with pytest.raises(UsageError, match="--label"):
        await world.call(settle=SETTLE, download=False, set_aside=(old,))
    shutil.rmtree(world.folder)
    assert len((await refused(world)).sweeps) == 2
    assert len((await refused(world, set_aside=(old,))).sweeps) == 1


# The first POST.


def alone(service: Runflow) -> float:
    """Return how long the second POST left after the first."""
    first, second = [at for at, _, _ in service.posts][:2]
    return second - first


async def test_the_first_post_goes_alone_under_the_marker_until_a_list_shows_it(
    tmp_path: Path,
) -> None:
    service = Runflow(list_lag=3.0)
    world = World(tmp_path, service)

    await world.call(settle=SETTLE, download=False)

    refs = [run.client_ref for run in service.runs]
    assert refs[0] == marker("m", None)
    assert not any(map(is_marker, refs[1:]))
    assert 3.0 <= alone(service) < 6.0
    assert states(world) == {State.SUCCEEDED: 6}


async def test_where_no_list_shows_it_the_others_go_after_settle(tmp_path: Path) -> None:
    service = Runflow(list_lag=1000.0, filters="empty")
    world = World(tmp_path, service)

    await world.call(settle=SETTLE, download=False)

    assert SETTLE <= alone(service) < SETTLE + 2
    assert any("no list shows run" in note for note in world.listener.notes)
    assert states(world) == {State.SUCCEEDED: 6}


async def test_a_first_post_that_hangs_holds_up_the_others_for_a_moment_only(
    tmp_path: Path,
) -> None:
    text = MANIFEST.replace("[a, b, c, d, e, f]", "{$range: [1, 20]}").replace("4,", "20,")
    service = Runflow(script=["hang"] * MOST)
    world = World(tmp_path, service, text=text)

    await world.call(settle=SETTLE, download=False, max_duration=30.0)

    moments = [at for at, _, _ in service.posts]
    assert len(moments) == MOST
    assert PATIENCE - 1 <= moments[1] - moments[0] < PATIENCE + 2
    assert {run.client_ref for run in service.runs} <= {marker("m", None)}


@pytest.mark.parametrize("word", ["422", "402", "reset", "lost", "429", "500-after"])
async def test_whatever_the_first_post_meets_each_cell_is_paid_once(
    tmp_path: Path, word: str
) -> None:
    service = Runflow(script=[word])
    world = World(tmp_path, service)

    for _ in range(2):
        await world.call(settle=SETTLE, download=False)

    ended = {State.REJECTED: 1, State.SUCCEEDED: 5} if word == "422" else {State.SUCCEEDED: 6}
    assert states(world) == ended
    assert set(service.paid().values()) == {1}
    assert service.runs[0].client_ref == marker("m", None)


async def test_no_batch_leaves_before_a_run_is_known(tmp_path: Path) -> None:
    text = MANIFEST.replace("[a, b, c, d, e, f]", "{$range: [1, 40]}").replace("4,", "40,")
    service = Runflow(script=["422"] * 3, batches="yes")
    world = World(tmp_path, service, text=text)

    await world.call(settle=SETTLE, download=False)

    assert service.calls["create"] == 4
    assert len(service.sent_batches) == 1
    assert states(world) == {State.REJECTED: 3, State.SUCCEEDED: 37}


async def test_a_single_cell_waits_for_no_list(tmp_path: Path) -> None:
    service = Runflow(list_lag=1000.0, filters="empty", duration=lambda _: 1.0)
    world = World(tmp_path, service, text=MANIFEST.replace("[a, b, c, d, e, f]", "a"))

    await world.call(settle=100.0, download=False)

    assert anyio.current_time() < 20.0


async def test_a_killed_call_leaves_its_first_run_to_be_found(tmp_path: Path) -> None:
    """The ledger has the intent and no run: it lies under the marker, and is ours by its tag."""
    service = Runflow(script=["hang"])
    world = World(tmp_path, service)
    await world.call(settle=SETTLE, download=False, max_duration=1.0)
    assert states(world) == {State.DOUBTFUL: 1}

    await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 6}
    assert set(service.paid().values()) == {1}


def test_a_ledger_without_a_run_under_the_marker_uses_it_for_its_next_wave() -> None:
    """Those of batchrun 0.1 have none."""
    waves = Waves("k3f9", last=7, size=lambda: 2, marker="br1.first.x")

    placed = [waves.place(model).ref for model in ("a", "a", "b", "a")]

    batch = waves.place_batch("a", 10).ref
    assert placed == ["br1.first.x", "br1.first.x", "br1.k3f9.8", "br1.k3f9.9"]
    assert batch == "br1.k3f9.10"


async def test_a_copied_folder_is_not_gone_on_with_under_another_name(tmp_path: Path) -> None:
    service = Runflow()
    world = World(tmp_path, service, text="name: night\n" + MANIFEST)
    await world.call(settle=SETTLE, download=False, limit=2)
    world.text = "name: day\n" + MANIFEST

    with pytest.raises(LedgerError, match="of the sweep 'night', not of the sweep 'day'"):
        await world.call(settle=SETTLE, download=False)

    assert len(service.runs) == 2


# Two machines at once.


@dataclass
class Machine(World):
    """A machine of its own that begins *late*."""

    late: float = 0.0

    async def begin(self, into: list[Shutdown]) -> None:
        await anyio.sleep(self.late)
        into.append(await self.call(settle=SETTLE, download=False))


@pytest.mark.parametrize("late", [0.0, 0.2, 0.5, 1.0, 3.0])
async def test_of_two_machines_that_begin_at_once_the_later_one_stops(
    tmp_path: Path, late: float
) -> None:
    service = Runflow()
    machines = []
    for name, wait in (("one", 0.0), ("two", late)):
        (tmp_path / name).mkdir()
        machines.append(Machine(tmp_path / name, service, late=wait))
    ended: list[list[Shutdown]] = [[], []]

    async with anyio.create_task_group() as tasks:
        for machine, into in zip(machines, ended, strict=True):
            tasks.start_soon(machine.begin, into)

    codes = [most for [stops] in ended for most in [max(stops.codes, default=0)]]
    assert sorted(codes) == [0, 9]
    stopped = ended[codes.index(9)][0]
    assert isinstance(stopped.errors[0], BegunElsewhereError)
    assert states(machines[codes.index(0)]) == {State.SUCCEEDED: 6}
    assert len(service.runs) <= 7, "more than the first run of the later one was paid twice"
    stopped_one = machines[codes.index(9)]
    said = str(await refused(stopped_one))
    assert ("--new-sweep" in said) == (stopped_one.book().newest is None)
    assert len(service.runs) <= 7, "it went on by the next call"


async def test_a_recovered_sweep_begins_with_one_post_again(tmp_path: Path) -> None:
    service = Runflow(list_lag=2.0)
    world = World(tmp_path, service)
    await world.call(settle=SETTLE, download=False, limit=2)
    first = len(service.posts)
    line = world.book().sweep
    assert isinstance(line, Sweep)
    ledger = world.folder / "ledger.jsonl"
    text = ledger.read_text()
    ledger.write_text(
        text + text.splitlines()[0].replace('"version"', '"recovered":true,"version"') + "\n"
    )

    await world.call(settle=SETTLE, download=False)

    second, third = [at for at, _, _ in service.posts][first : first + 2]
    assert third - second >= 2.0
    assert states(world) == {State.SUCCEEDED: 6}


async def test_after_a_recovery_what_is_still_running_holds_up_no_other_cell(
    tmp_path: Path,
) -> None:
    service = Runflow(duration=lambda n: 1_000_000.0 if n == 0 else 10.0)
    world = World(tmp_path, service)
    await world.call(settle=SETTLE, download=False, limit=2, timeout=60.0)
    ledger = world.folder / "ledger.jsonl"
    first = ledger.read_text().splitlines()[0]
    with ledger.open("a") as file:
        file.write(first.replace('"version"', '"recovered":true,"version"') + "\n")

    await world.call(settle=SETTLE, download=False, timeout=60.0)

    assert states(world) == {State.SUCCEEDED: 5, State.IN_FLIGHT: 1}
