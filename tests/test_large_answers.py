"""Answers with media in them: all that can be had is had, the rest is named with its size.

The limits are small here, so that the answers can be.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_world import World
from simulated import Runflow, refused

from batchrun.engine import downloader
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.runflow import pagination, retry
from batchrun.runflow.inline import weight

TWELVE = "models: [a/b]\ninputs: {n: {$range: [1, 12]}}\nlimits: {concurrency: 12}\n"
LIMIT = 200_000
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MOST_BYTES", LIMIT)
    monkeypatch.setattr(pagination, "_LIGHT", LIMIT // 50)
    monkeypatch.setattr(downloader, "MOST_HELD", 2 * LIMIT)


@dataclass(kw_only=True)
class Inline(Runflow):
    """Runs whose output stands in the answer.

    With *fields* the service leaves out what isn't asked for, also by id; it may *refuse* that
    parameter in lists. The output of the first run is so many times *larger*.
    """

    size: int = 60_000
    larger: int = 1
    fields: bool = True
    refuses: bool = False

    def __post_init__(self) -> None:
        self.edit_run = self._with_media

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        self._wanted = request.url.params.get("fields", "output").split(",")
        if self.refuses and request.url.path == "/v1/runs" and "fields" in request.url.params:
            return refused(400, "INVALID", "unknown parameter `fields`")
        return await super().serve(request, word)

    def _with_media(self, run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("completed_at") or (self.fields and "output" not in self._wanted):
            return {name: value for name, value in run.items() if name != "output"}
        first = run["id"] == self.runs[0].id
        data = PNG + run["id"].encode() + bytes(self.size * (self.larger if first else 1))
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        return run | {"output": {"outputs": [{"url": uri, "type": "image"}]}}


def ledger_of(world: World) -> bytes:
    return (world.folder / "ledger.jsonl").read_bytes()


def files_of(world: World) -> list[Path]:
    return sorted((world.folder / "files").rglob("*.png"))


@pytest.mark.parametrize("fields", [True, False])
@pytest.mark.parametrize("refuses", [True, False])
async def test_a_list_that_is_too_large_is_asked_for_in_another_way(
    tmp_path: Path, *, fields: bool, refuses: bool
) -> None:
    world = World(tmp_path, Inline(fields=fields, refuses=refuses), text=TWELVE)

    stops = await world.call()

    assert stops.codes == []
    assert len(files_of(world)) == 12
    assert len({path.read_bytes() for path in files_of(world)}) == 12
    assert set(world.service.paid().values()) == {1}
    assert len(ledger_of(world)) < 30_000
    assert b"base64," not in ledger_of(world).replace(b"base64,[", b"")


async def test_a_call_that_takes_over_large_runs_has_them_all(tmp_path: Path) -> None:
    world = World(tmp_path, Inline(duration=lambda _: 60.0), text=TWELVE)
    await world.call(max_duration=30.0)

    stops = await world.call()

    assert stops.codes == []
    assert len(files_of(world)) == 12
    assert world.service.calls["create"] == 12


@pytest.mark.parametrize("cells", [1, 12])
async def test_an_output_that_is_too_large_is_named_with_its_size_and_holds_up_no_other(
    tmp_path: Path, cells: int
) -> None:
    text = TWELVE.replace("12]", f"{cells}]")
    world = World(tmp_path, Inline(larger=4), text=text)

    for _ in range(2):
        stops = await world.call()
        assert stops.codes == []
        notes = world.listener.notes
        assert any("could not be saved" in note and "313.8 KiB or more" in note for note in notes)
        notes.clear()

    assert len(files_of(world)) == cells - 1
    assert {each.state for each in world.book().histories.values()} == {State.SUCCEEDED}
    assert world.service.calls["create"] == cells


async def test_a_run_of_which_no_answer_can_be_read_is_left_to_the_next_call(
    tmp_path: Path,
) -> None:
    service = Inline(larger=4, fields=False)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call()

    assert most_severe(stops.codes) != 8
    assert len(files_of(world)) == 11
    [parked] = [each for each in world.book().histories.values() if each.state == State.IN_FLIGHT]
    assert parked.parked
    assert b"313.8 KiB or more, also without its output" in ledger_of(world)
    service.fields = True
    await world.call()
    assert {each.state for each in world.book().histories.values()} == {State.SUCCEEDED}
    assert world.service.calls["create"] == 12


async def test_a_large_run_whose_answer_was_lost_is_found_and_not_paid_again(
    tmp_path: Path,
) -> None:
    service = Inline(script=["ok", "ok", "lost", "lost"], fields=False, duration=lambda _: 1.0)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "4]"))

    stops = await world.call(settle=5.0)

    assert stops.codes == []
    assert set(service.paid().values()) == {1}
    assert len(files_of(world)) == 4


async def test_jobs_that_wait_hold_little_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    real = downloader.Downloader.put

    def put(self: downloader.Downloader, job: downloader.Job) -> None:
        real(self, job)
        held.append(sum(weight(each.output) for each in self._jobs))

    monkeypatch.setattr(downloader.Downloader, "put", put)
    monkeypatch.setattr(downloader, "MOST_HELD", 100_000)
    world = World(tmp_path, Inline(size=30_000), text=TWELVE.replace("12]", "4]"))

    await world.call(downloads=1)

    assert len(files_of(world)) == 4
    assert max(held) <= 100_000
