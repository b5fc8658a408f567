"""The results of a call, each once and whole: earlier ones first, then each as its cell ends."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from engine_world import World
from simulated import Runflow

from batchrun.base.disk import InlineDisk
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import History
from batchrun.manifest.manifest import Manifest
from batchrun.results.gathering import Gathering, Outlet
from batchrun.results.result import Result
from batchrun.settings import Settings

TEXT = """\
models: [a/b]
inputs: {prompt: [a, b, c, d, e, f]}
limits: {concurrency: 2, rate: 10/s}
"""


@dataclass
class Gathered(World):
    """A world that keeps the results of its last call, with the moments at which they came."""

    text: str = TEXT
    found: list[tuple[float, Result]] = field(default_factory=list)
    room: int = 1000
    closed_after: int = 1000
    full: Callable[[], bool] = lambda: False
    histories: Iterable[History] = ()
    gathering: Gathering | None = None

    @property
    def results(self) -> list[Result]:
        return [result for _, result in self.found]

    @property
    def prompts(self) -> str:
        return "".join(result.axes["prompt"] for result in self.results)

    def watcher(self, manifest: Manifest, settings: Settings, ledger: Ledger) -> Gathering:
        self.found, self.histories = [], ledger.book.histories.values()
        outlet = Outlet(
            lambda result: self.found.append((anyio.current_time(), result)),
            lambda: len(self.found) >= self.room or self.full(),
            lambda: len(self.found) >= self.closed_after,
        )
        self.gathering = Gathering(manifest, settings, ledger, self.folder, outlet)
        return self.gathering

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        assert self.gathering is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.gathering.walk, runner.selection.wants)
            await super().run(runner, settings)
        return runner.shutdown


async def test_each_result_comes_once_when_its_file_is_saved(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow())

    await world.call()

    assert sorted(world.prompts) == list("abcdef")
    assert len({at for at, _ in world.found}) > 1  # as they end, not all at the end
    for result in world.results:
        assert result.succeeded
        assert result.cost == Decimal("0.08")
        assert result.inputs == {"prompt": result.axes["prompt"]}
        assert result.run_id is not None
        assert all(path.is_absolute() and path.stat().st_size for path in result.files)
        assert len(result.files) == 1


async def test_a_call_with_nothing_to_do_gives_the_whole_in_the_order_of_the_grid(
    tmp_path: Path,
) -> None:
    world = Gathered(tmp_path, Runflow())
    await world.call()
    first = {result.cell: result for result in world.results}

    await world.call()

    assert world.prompts == "abcdef"
    assert {result.cell: result for result in world.results} == first


async def test_results_of_earlier_calls_come_before_new_ones(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow())
    await world.call(limit=3)
    earlier = set(world.prompts)

    await world.call()

    assert set(world.prompts[:3]) == earlier
    assert sorted(world.prompts) == list("abcdef")


async def test_a_run_that_an_earlier_call_left_in_flight_comes_when_it_is_saved(
    tmp_path: Path,
) -> None:
    world = Gathered(tmp_path, Runflow(duration=lambda _: 30.0))
    await world.call(max_duration=5.0)
    assert not world.results

    await world.call()

    assert sorted(world.prompts) == list("abcdef")
    assert all(result.files for result in world.results)


async def test_what_fails_comes_once_it_has_no_attempt_left(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number in {0, 1, 2} else "succeeded")
    world = Gathered(tmp_path, service)

    await world.call(concurrency=1)

    [failed] = [result for result in world.results if not result.succeeded]
    assert (failed.status, failed.attempts) == ("failed", 2)
    assert failed.failure_message
    assert not failed.files
    assert sorted(world.prompts) == list("abcdef")


async def test_what_is_rejected_comes_too(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow(script=["422"]))

    await world.call(concurrency=1)

    assert [r.status for r in world.results].count("rejected") == 1
    assert len(world.results) == 6


async def test_a_cell_that_is_tried_again_comes_with_its_new_end_alone(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number < 2 else "succeeded")
    world = Gathered(tmp_path, service)
    await world.call(concurrency=1, attempts=1)
    assert [r.status for r in world.results].count("failed") == 2

    await world.call(retry_failed=True)

    assert sorted(world.prompts) == list("abcdef")
    assert all(result.succeeded for result in world.results)


async def test_without_downloads_the_end_of_a_run_is_the_end_of_its_cell(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow())

    await world.call(download=False)

    assert sorted(world.prompts) == list("abcdef")
    assert not any(result.files for result in world.results)


async def test_a_file_that_is_owed_keeps_its_result_back(tmp_path: Path) -> None:
    def without_output(run: dict[str, Any]) -> dict[str, Any]:
        return {**run, "output": None}

    world = Gathered(tmp_path, Runflow(edit_run=without_output))
    await world.call()
    assert not world.results

    world.service.edit_run = None
    await world.call()

    assert sorted(world.prompts) == list("abcdef")
    assert all(result.files for result in world.results)


async def test_only_the_chosen_cells_come(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow())
    await world.call()

    await world.call(only={"prompt": ("b", "d")})

    assert world.prompts == "bd"


async def test_a_reader_that_wants_no_more_ends_the_walk(tmp_path: Path) -> None:
    world = Gathered(tmp_path, Runflow())
    await world.call()

    world.room, world.closed_after = 2, 2
    await world.call()

    assert world.prompts == "ab"


class SlowDisk(InlineDisk):
    """A disk on which each write takes a while."""

    async def write(self, fd: int, data: bytes) -> None:
        await anyio.sleep(1.0)
        await super().write(fd, data)


async def test_a_line_that_is_not_on_disk_yet_is_not_read(tmp_path: Path) -> None:
    """The walk comes to a cell of an earlier call while the line of its file is being written."""
    service = Runflow(duration=lambda number: 1.0 if number == 0 else 60.0)
    world = Gathered(tmp_path, service, text=TEXT.replace("[a, b, c, d, e, f]", "[a, b]"))
    await world.call(max_duration=20.0, concurrency=1)
    [done] = world.results

    world.disk = SlowDisk()
    world.full = lambda: not all(each.saved for each in world.histories)
    await world.call()

    assert world.results[0] == done
    assert world.prompts == "ab"
