"""A ledger that was restored from an old copy is noticed before anything is sent."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from engine_world import Begun, World
from simulated import HIDDEN, Runflow

from batchrun.errors import LostLedgerError

TWO_MODELS: Final = (
    "models: [google/nano-banana-2, bria/b]\ninputs: {prompt: [a, b, c, d, e, f]}\n"
    "exclude: [{model: bria/b, prompt: [b, c, d, e, f]}]\nlimits: {concurrency: 2}\n"
)
THREE: Final = (
    "models: [google/nano-banana-2]\ninputs: {prompt: [a, b, c]}\nlimits: {concurrency: 1}\n"
)


def lines(world: World) -> list[dict[str, Any]]:
    ledger = world.folder / "ledger.jsonl"
    return [json.loads(line) for line in ledger.read_bytes().splitlines()]


def restore(world: World, count: int) -> None:
    """Cut the ledger to its first *count* lines."""
    ledger = world.folder / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:count]))


async def assert_noticed(world: World) -> None:
    posts = len(world.service.posts)
    stops = await world.call(settle=5.0, download=False)
    [error] = stops.errors
    assert isinstance(error, LostLedgerError)
    assert "is behind" in str(error)
    assert len(world.service.posts) == posts


@pytest.mark.parametrize("page", ["shown", "crowded"])
@pytest.mark.parametrize("intent", [2, 3, 4])
async def test_a_copy_made_while_two_models_were_filled(
    tmp_path: Path, intent: int, page: str
) -> None:
    service = Runflow(faults=["crowd=500"]) if page == "crowded" else Runflow()
    world = World(tmp_path, service, text=TWO_MODELS)
    await world.call(download=False)
    intents = [n for n, line in enumerate(lines(world)) if line["type"] == "intent"]
    restore(world, intents[intent])

    await assert_noticed(world)


@pytest.mark.parametrize("page", ["shown", "crowded"])
async def test_a_copy_from_before_a_wave_without_runs(tmp_path: Path, page: str) -> None:
    service = Runflow(faults=["crowd=500"]) if page == "crowded" else Runflow()
    world = World(tmp_path, service, text=THREE)
    await world.call(limit=1, download=False)
    count = len(lines(world))
    service.script = ["402"]
    await world.call(download=False)
    await world.call(download=False)
    restore(world, count)

    await assert_noticed(world)


async def test_a_copy_whose_newest_wave_shows_no_new_run(tmp_path: Path) -> None:
    """The copy is of a sweep past its opening; two waves came since, the first without a run."""
    world = Begun(tmp_path, Runflow(**HIDDEN), text=THREE)
    await world.call(limit=1, download=False)
    count = len(lines(world))
    world.service.script = ["402"]
    await world.call(download=False)
    await world.call(download=False)
    restore(world, count)

    await assert_noticed(world)


async def test_a_copy_from_before_the_first_request(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["402"]), text=THREE)
    await world.call(download=False)
    await world.call(download=False)
    restore(world, 1)

    await assert_noticed(world)


@pytest.mark.parametrize("left_out", ["metadata", "client_ref"])
async def test_a_copy_is_noticed_where_lists_leave_fields_out(
    tmp_path: Path, left_out: str
) -> None:
    service = Runflow()
    world = World(tmp_path, service, text=THREE)
    await world.call(download=False)
    restore(world, 3)
    service.left_out = [left_out]

    await assert_noticed(world)


async def test_the_newest_ledger_is_let_through_with_all_that_can_be_in_it(tmp_path: Path) -> None:
    """Doubts, extras, refusals and waves without runs: none of it looks like an old copy."""
    script = ["lost", "422", "ok", "reset", "402"]
    service = Runflow(script=script, list_lag=8.0, ending=lambda n: "failed")
    world = World(tmp_path, service, text=TWO_MODELS)

    for _ in range(4):
        stops = await world.call(settle=5.0, download=False, attempts=2)
        assert not any(isinstance(error, LostLedgerError) for error in stops.errors)
