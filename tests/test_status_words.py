"""Status words that we don't know: the service's own list says which are ends; it is asked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import World
from ledger_lines import read_book
from simulated import Json, Runflow, answered, refused

from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Finished, Parked, decode
from batchrun.runflow.statuses import ends_listed

ONE = "models: [a/b]\ninputs: {n: 1}\nlimits: {attempts: 3, timeout: 60s, settle: 1s}\n"
FOUR = ONE.replace("{n: 1}", "{n: {$range: [1, 4]}}")
ENDS = {"items": [{"code": "stopped", "is_terminal": True}, {"code": "warp", "is_terminal": False}]}


@dataclass(kw_only=True)
class Worded(Runflow):
    """Runs that have ended say *word*; the list of statuses is *listed*."""

    word: str = "Stopped"
    listed: Any = None
    output: bool = False
    asked: int = 0

    def __post_init__(self) -> None:
        self.edit_run = self._worded

    def _worded(self, run: Json) -> Json:
        if run["status_code"] in {"queued", "dispatching", "running"}:
            return run
        return run | {"status_code": self.word} | ({} if self.output else {"output": None})

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.url.path != "/v1/runs/statuses":
            return await super().serve(request, word)
        self.asked += 1
        if self.listed == "hang":
            await anyio.sleep_forever()
        if isinstance(self.listed, int):
            return refused(self.listed, "NO", "no")
        return answered(200, self.listed)


def finished(world: World) -> list[Finished]:
    lines = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    return [each for line in lines if isinstance(each := decode(line), Finished)]


@pytest.mark.parametrize("text", [ONE, FOUR], ids=["by id", "by list"])
async def test_what_the_service_lists_as_an_end_is_final_and_may_be_billed(
    tmp_path: Path, text: str
) -> None:
    service = Worded(listed=ENDS)
    world = World(tmp_path, service, text=text)

    shutdown = await world.call()

    ends = finished(world)
    assert {each.status_code for each in ends} == {"cancelled"}
    assert "its status is 'stopped', which the service lists as an end" in str(
        ends[0].failure_message
    )
    assert most_severe(shutdown.codes) == 0
    assert set(service.paid().values()) == {1}  # no attempt follows one that may be billed
    assert service.asked == 1
    assert sum("lists the status 'stopped' as an end" in note for note in world.listener.notes) == 1
    await world.call()
    assert set(service.paid().values()) == {1}


async def test_such_an_end_with_files_is_saved_and_partly_succeeded(tmp_path: Path) -> None:
    service = Worded(listed=ENDS, output=True)
    world = World(tmp_path, service, text=ONE)

    await world.call()

    (line,) = finished(world)
    assert line.status_code == "partial_succeeded"
    history = read_book(world.folder / "ledger.jsonl").history(line.cell)
    assert (history.state, history.saved) == (State.PARTIAL_SUCCEEDED, True)
    assert service.paid().total() == 1


@pytest.mark.parametrize(
    "listed",
    [
        "hang",
        404,
        403,
        405,
        500,
        429,
        None,
        [],
        {"items": None},
        ["queued", "stopped"],
        {"items": [{"code": "stopped", "name": "Stopped"}]},
        {"items": [{"code": "stopped", "is_terminal": False}]},
        {"items": [{"code": "stopped", "is_terminal": "yes"}]},
        {"items": [*ENDS["items"], {"code": "running", "is_terminal": True}]},
    ],
)
async def test_else_such_a_run_is_parked_as_ever(tmp_path: Path, listed: Any) -> None:
    service = Worded(listed=listed)
    world = World(tmp_path, service, text=ONE)

    shutdown = await world.call()

    lines = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    parked = [each for line in lines if isinstance(each := decode(line), Parked)]
    assert "stopped for" in parked[-1].reason
    assert finished(world) == []
    assert service.asked == 1
    assert (most_severe(shutdown.codes), service.paid().total()) == (0, 1)
    assert "the service says a run is 'stopped', a status this batchrun doesn't know" in (
        world.listener.notes
    )


async def test_a_run_that_was_parked_is_settled_by_the_next_call(tmp_path: Path) -> None:
    service = Worded(listed=404)
    world = World(tmp_path, service, text=ONE)
    await world.call()
    await anyio.sleep(3600)

    service.listed = ENDS
    await world.call()

    assert [each.status_code for each in finished(world)] == ["cancelled"]
    assert service.paid().total() == 1


async def test_known_words_ask_for_no_list(tmp_path: Path) -> None:
    service = Worded(word="completed", listed=ENDS, output=True)

    await World(tmp_path, service, text=FOUR).call()

    assert service.asked == 0


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ([{"code": "stopped", "terminal": True}], {"stopped": True}),
        ({"statuses": [{"status_code": "STOPPED", "is_final": False}]}, {"stopped": False}),
        ({"data": [{"name": "stopped", "final": True}]}, {"stopped": True}),
        (
            [{"code": "stopped", "terminal": True}, {"code": "stopped", "terminal": False}],
            {},
        ),
        ([{"code": "stopped", "terminal": True, "is_terminal": False}], {}),
        ([{"code": "failed", "terminal": True}], {}),
        ([{"code": "failed", "terminal": False}, {"code": "stopped", "terminal": True}], {}),
        ([None, 7, "stopped", [], {}, {"code": None, "terminal": True}], {}),
        ([{"code": "x" * 10_000, "terminal": True}], {}),
        ("stopped", {}),
        (None, {}),
        (7, {}),
        ({"items": {"stopped": True}}, {}),
    ],
)
def test_the_list_is_read_as_far_as_it_says_something(body: Any, ends: Mapping[str, bool]) -> None:
    assert ends_listed(body) == ends
