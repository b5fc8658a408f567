"""What a call with `--only` does with what earlier calls have left in doubt, in virtual time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_world import World
from simulated import Runflow
from test_post_outcomes import crowded, parked

from batchrun.ledger.history import State

MANY = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 6]}}
vars: {name: [x, y]}
limits: {concurrency: 4, rate: 10/s, settle: 5s}
"""


async def in_doubt(path: Path, service: Runflow) -> World:
    """Return a sweep of which a call has left four cells in doubt."""
    world = World(path, service, text=MANY)
    await world.call(max_duration=20.0, settle=60.0)
    assert len(world.book().open) == 4
    return world


def prompts(world: World) -> list[Any]:
    return sorted(run.input["prompt"] for run in world.service.runs)


@pytest.mark.parametrize("kind", [Runflow, crowded])
async def test_what_was_not_asked_for_is_not_sent_again(
    tmp_path: Path, kind: Callable[..., Runflow]
) -> None:
    world = await in_doubt(tmp_path, kind(script=["reset"] * 4))

    await world.call(only={"prompt": ("6",)}, concurrency=5, resubmit_in_doubt=True)
    alone = prompts(world)
    await world.call(resubmit_in_doubt=True)

    assert alone == [6]
    assert len(parked(world)) == 4
    assert prompts(world) == [1, 2, 3, 4, 5, 6]


async def test_what_was_not_asked_for_is_looked_up_and_seen_to_its_end(tmp_path: Path) -> None:
    service = Runflow(script=["lost"] * 4, list_lag=30.0, duration=lambda _: 60.0)
    world = await in_doubt(tmp_path, service)

    await world.call(only={"prompt": ("6",)}, concurrency=5, settle=40.0)

    states = {history.state for history in world.book().histories.values()}
    assert (states, len(world.book().histories)) == ({State.SUCCEEDED}, 5)


@pytest.mark.parametrize("name", ["x", "y"])
async def test_of_points_that_come_to_one_cell_it_takes_one_to_ask_for_it(
    tmp_path: Path, name: str
) -> None:
    world = await in_doubt(tmp_path, Runflow(script=["reset"] * 4))

    await world.call(only={"name": (name,), "prompt": ("1", "2", "3", "4")})

    assert prompts(world) == [1, 2, 3, 4]
