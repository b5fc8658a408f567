"""What a call tells its progress: each cell of the manifest once, and what is under way."""

from pathlib import Path

import pytest
from engine_world import World
from simulated import Runflow

FOLDED = """\
models: [google/nano-banana-2, {id: openai/gpt-image-1.5, omit: [seed]}]
inputs: {prompt: [a, b], seed: {$range: [1, 3]}}
exclude: [{prompt: b, seed: 3}]
"""


async def test_a_failed_attempt_that_is_tried_again_is_not_done(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number < 2 else "succeeded")
    world = World(tmp_path, service)
    await world.call(attempts=2)

    assert len(service.runs) == 8
    assert world.listener.own == [True] * 6


async def test_a_failed_cell_is_done_once_its_attempts_are_used(tmp_path: Path) -> None:
    service = Runflow(ending=lambda _: "failed")
    world = World(tmp_path, service)
    await world.call(attempts=2)
    own = world.listener.own
    await world.call(attempts=2)

    assert own == world.listener.earlier == [False] * 6
    assert len(service.runs) == 12


async def test_the_total_shrinks_to_the_cells_that_there_are(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=FOLDED)
    await world.call()
    first = (world.listener.total, len(world.listener.own), len(world.listener.earlier))
    await world.call()
    second = (world.listener.total, len(world.listener.own), len(world.listener.earlier))

    assert first == (7, 7, 0)
    assert second == (7, 0, 7)


async def test_with_only_the_total_is_that_of_the_cells_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=FOLDED)
    await world.call(only={"prompt": ("a",)})

    assert (world.listener.total, len(world.listener.own)) == (4, 4)


async def test_runs_of_an_earlier_call_are_in_flight_and_done_once_they_end(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: 60.0))
    await world.call(max_duration=5.0)
    await world.call()

    assert world.listener.in_flight[0] == 4
    assert world.listener.total == len(world.listener.own + world.listener.earlier) == 6


async def test_cells_that_the_manifest_names_no_more_are_not_counted(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: 60.0))
    await world.call(max_duration=5.0)
    world.text = world.text.replace("[a, b, c, d, e, f]", "[d, e, f]")
    await world.call()

    assert world.listener.total == len(world.listener.own + world.listener.earlier) == 3


@pytest.mark.parametrize("word", ["reset", "lost"])
async def test_a_cell_in_doubt_from_an_earlier_call_is_counted_once(
    tmp_path: Path, word: str
) -> None:
    service = Runflow(script=["ok", word, word], ending=lambda number: "failed")
    world = World(tmp_path, service)
    await world.call(max_duration=0.5, attempts=2)
    assert world.book().open
    await world.call(attempts=2)

    assert world.listener.total == len(world.listener.own + world.listener.earlier) == 6
    assert set(service.paid().values()) == {2}


async def test_a_parked_run_is_not_in_flight(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(duration=lambda number: 20.0 if number else 1000.0))
    await world.call(timeout=30.0, concurrency=2)

    assert max(world.listener.in_flight) == 2
    assert max(world.listener.in_flight[60:]) == 1, "it holds its slot, and is not shown"


async def test_what_it_costs_is_the_whole_sweep_s(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow())
    await world.call(limit=2)
    earlier = world.book().cost
    await world.call()

    assert world.listener.now is not None
    assert world.listener.now().cost == world.book().cost > earlier > 0


async def test_an_unknown_status_is_said_once(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(faults=["unknown_status=teleporting"], duration=lambda _: 1e4))
    await world.call(timeout=60.0)

    assert len([note for note in world.listener.notes if "teleporting" in note]) == 1
