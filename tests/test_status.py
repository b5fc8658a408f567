"""`batchrun status`: what it says of a ledger, without network and without the lock."""

import json
from pathlib import Path

import pytest
from engine_world import World
from fake_runflow import FakeRunflow

from batchrun.commands.status import main
from batchrun.errors import LedgerError, UsageError


async def test_it_counts_by_the_manifest_and_groups_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = {0: "failed", 1: "cancelled"}
    world = World(tmp_path, FakeRunflow(ending=lambda number: ending.get(number, "succeeded")))
    await world.call(attempts=1)

    assert main([str(world.folder)]) == 0

    shown = capsys.readouterr().out
    assert "1 of 6 google-nano-banana-2: BROKEN: it broke" in shown


async def test_open_runs_are_shown_with_their_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, FakeRunflow(duration=lambda _: 1000.0))
    await world.call(max_duration=5.0)

    main([str(world.folder)])
    shown = capsys.readouterr().out
    main([str(world.folder), "--json"])

    assert all(run.id in shown for run in world.service.runs)
    assert json.loads(capsys.readouterr().out)["in_flight"] == 4


def test_a_folder_without_a_sweep_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no sweep"):
        main([str(tmp_path)])


async def test_a_lost_ledger_is_said(tmp_path: Path) -> None:
    world = World(tmp_path, FakeRunflow())
    await world.call()
    (world.folder / "ledger.jsonl").unlink()

    with pytest.raises(LedgerError, match="lost"):
        main([str(world.folder)])
