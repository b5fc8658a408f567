"""The ledger that a call holds must stay the one on disk: else nothing more is sent."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from engine_world import World
from ledger_lines import read_book
from processes import call, simulator
from simulated import Runflow

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import LostLedgerError
from batchrun.settings import Settings

MANY = """\
models: [a/b]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 4, rate: 4/s, settle: 5s}
outputs: {download: false}
"""


@dataclass
class Moved(World):
    """After two seconds of a call something becomes of its folder."""

    what: Callable[[Path], Any] = field(default=lambda folder: None)

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async def strike() -> None:
            await anyio.sleep(2.1)
            self.what(self.folder)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(strike)
            stops = await runner.run()
            tasks.cancel_scope.cancel()
        return stops


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def older(folder: Path) -> None:
    """As a synchronised folder does: an older state under the name, the newer one beside it."""
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.rename(folder / "elsewhere.jsonl")
    ledger.write_bytes(b"".join(lines[:2]))


STRIKES: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "moved": (moved, "elsewhere/ledger.jsonl"),
    "replaced by an older one": (older, "sweep/elsewhere.jsonl"),
    "deleted": (shutil.rmtree, None),
    "unlinked": (lambda folder: (folder / "ledger.jsonl").unlink(), None),
}


@pytest.mark.parametrize("strike", STRIKES)
async def test_a_ledger_that_is_no_longer_in_its_place_ends_the_sends(
    tmp_path: Path, strike: str
) -> None:
    what, now = STRIKES[strike]
    service = Runflow()
    world = Moved(tmp_path, service, text=MANY, what=what)

    stops = await world.call()

    assert stops.codes == [LostLedgerError.exit_code]
    assert "during the call" in str(stops.errors[0])
    assert "batchrun recover" in str(stops.errors[0])
    assert max(at for at, _, _ in service.posts) < 2.5
    if now is not None:  # whatever was sent is in the file that was held
        known = {each.run_id for each in read_book(tmp_path / now).histories.values()}
        assert known - {None} == {run.id for run in service.runs}


async def test_a_file_system_that_lags_for_a_moment_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Runflow()
    looks: list[float] = []
    samestat = os.path.samestat

    def lagging(one: Any, other: Any) -> bool:
        looks.append(0.0)
        return bool(len(looks) % 5) and samestat(one, other)

    world = Moved(tmp_path, service, text=MANY)
    monkeypatch.setattr("batchrun.ledger.file.os.path.samestat", lagging)
    monkeypatch.setattr("batchrun.ledger.file.SECOND_LOOK", 0.001)

    stops = await world.call()

    assert stops.codes == []
    assert len(service.runs) == 20


@pytest.mark.slow
def test_a_folder_that_is_deleted_meanwhile_is_exit_9_and_names_recover(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "models: [google/nano-banana-2]\ninputs: {prompt: a chair, seed: {$range: [1, 3]}}\n"
    )
    with simulator(tmp_path / "state.sqlite", "--speed", "4") as url:
        outputs = tmp_path / "outputs"

        def strike() -> None:
            for _ in range(600):
                found = list(outputs.rglob("ledger.jsonl"))
                if found and b'"submitted"' in found[0].read_bytes():
                    shutil.rmtree(outputs, ignore_errors=True)
                    return
                time.sleep(0.05)

        striker = threading.Thread(target=strike)
        striker.start()
        done = call("m.yaml", "--endpoint", url, "--json", cwd=tmp_path, RUNFLOW_API_KEY="any")
        striker.join()

    report = json.loads(done.stdout)
    assert done.returncode == 9
    assert "batchrun recover m.yaml" in report["error"]["message"]
