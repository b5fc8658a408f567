"""The page of a sweep that is under way: written rarely, by a process that takes no part in it."""

import math
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from batchrun.cli import main
from batchrun.commands import live_page
from batchrun.commands.live_page import (
    FIRST,
    PAUSE,
    SHARE,
    WAITING,
    keep_page,
    now_and_then,
    write_page,
)
from batchrun.manifest.load import load_manifest
from batchrun.results.result_files import REPORT


@pytest.mark.parametrize("work", [0.01, 2.0, 60.0])
@pytest.mark.parametrize("busy", [0.0, 0.01, 0.3, 1.0])
async def test_it_uses_a_small_share_of_the_calls_cpu_or_of_a_core(
    work: float, busy: float
) -> None:
    begun: list[float] = []

    async def write() -> float:
        begun.append(anyio.current_time())
        await anyio.sleep(work)
        return work

    began = anyio.current_time()
    with anyio.move_on_after(100_000):
        await now_and_then(write, expected=work, used=lambda: busy * anyio.current_time())

    wanted = min(WAITING * work, SHARE * work / busy if busy else math.inf)
    assert begun[0] - began == pytest.approx(max(FIRST, wanted), abs=1)
    rests = [after - before - work for before, after in pairwise(begun)]
    assert min(rests) == pytest.approx(max(PAUSE, wanted), abs=1)


async def test_a_very_large_sweep_has_its_page_at_its_end_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chairs.yaml"
    path.write_text("models: [google/nano-banana-2]\ninputs: {seed: {$range: [1, 9]}}\n")
    monkeypatch.setattr(live_page, "MOST", 8)

    await keep_page(tmp_path, load_manifest(path, {}))

    assert not await anyio.Path(tmp_path / REPORT).exists()


@pytest.mark.slow
def test_the_page_is_written_by_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "chairs.yaml"
    path.write_text(
        "endpoint: simulator\nmodels: [google/nano-banana-2]\ninputs: {prompt: a chair}\n"
        "poll: {interval: 1ms}\n"
    )
    assert main([str(path), "--quiet"]) == 0
    folder = tmp_path / "outputs/@simulator/chairs"
    (folder / REPORT).unlink()

    used = anyio.run(write_page, folder)

    assert (folder / REPORT).exists()
    assert used > 0


@pytest.mark.slow
def test_a_page_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    anyio.run(write_page, tmp_path / "nowhere")

    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_a_page_that_is_being_written_at_the_end_leaves_nothing_behind(tmp_path: Path) -> None:
    async def cancelled() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_page, tmp_path)
            await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(cancelled)

    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_lies_where_the_call_was_begun_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "batchrun.py").write_text("open('ran', 'w')")
    (tmp_path / "json.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)

    anyio.run(write_page, Path("nowhere"))

    assert not (tmp_path / "ran").exists()
