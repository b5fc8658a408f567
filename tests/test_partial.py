"""A single run that partly succeeded: what is there is saved, and it is not run again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from simulated import Json, Runflow
from test_downloader import Gallery

from batchrun.cli import main
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Saved

ONE = "models: [a/b]\ninputs: {prompt: a}\nlimits: {attempts: 3}\n"
A, B = "https://files.example/a.png", "https://files.example/b.png"


@dataclass(kw_only=True)
class Partial(Runflow):
    """Runs partly succeed, and show *output*."""

    output: Any = None

    def __post_init__(self) -> None:
        self.ending = lambda _: "partial_succeeded"
        self.edit_run = self._shown

    def _shown(self, run: Json) -> Json:
        return run | {"output": self.output} if run["status_code"] == "partial_succeeded" else run


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ({"outputs": [{"url": A, "type": "image"}]}, 1),
        ({"outputs": [{"url": A, "type": "image"}, {"url": None, "type": "image"}]}, 1),
        ({"outputs": [{"url": None}, {"url": A}, None, {"url": B}]}, 2),
        ({"outputs": [{"url": A}, {"error": {"code": "MODERATED"}, "url": None}]}, 1),
        ({"image_urls": [None, A]}, 1),
    ],
)
async def test_what_is_there_is_saved_and_nothing_is_owed(
    tmp_path: Path, output: Json, files: int
) -> None:
    service = Partial(output=output)
    world = Gallery(tmp_path, service, text=ONE)

    shutdown = await world.call()

    (run,) = service.runs
    history = world.book().history(run.cell)
    assert (history.state, history.saved) == (State.PARTIAL_SUCCEEDED, True)
    assert [len(paths) for paths in world.saved().values()] == [files]
    assert not shutdown.unsaved
    assert most_severe(shutdown.codes) == 0

    requests = len(service.departures)
    await world.call()
    assert service.paid() == {run.cell: 1}
    assert len(service.departures) - requests <= 2  # a look whether the ledger is the newest


async def test_an_address_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    first = {"outputs": [{"url": A}, {"url": None}]}
    service = Partial(output=first)
    world = Gallery(tmp_path, service, text=ONE)
    shows = iter([first, first])

    def shown(run: Json) -> Json:
        if run["status_code"] != "partial_succeeded":
            return run
        return run | {"output": next(shows, {"outputs": [{"url": A}, {"url": B}]})}

    service.edit_run = shown
    await world.call()

    assert sorted(map(len, [line.files for line in world.lines(Saved)])) == [1, 2]


async def test_a_list_that_is_gone_by_then_says_nothing_of_its_empty_places(
    tmp_path: Path,
) -> None:
    service = Partial(output=None)
    world = Gallery(tmp_path, service, text=ONE)
    shows = iter([{"outputs": [{"url": A}, {"url": None}]}] * 2)

    def shown(run: Json) -> Json:
        return run | {"output": next(shows, None)} if run["output"] else run

    service.edit_run = shown
    shutdown = await world.call()

    assert shutdown.unsaved
    assert not world.book().history(service.runs[0].cell).saved


async def test_a_file_that_was_deleted_comes_back_alone(tmp_path: Path) -> None:
    service = Partial(output={"outputs": [{"url": None}, {"url": A}]})
    world = Gallery(tmp_path, service, text=ONE)
    await world.call()
    ((path,),) = world.saved().values()
    (world.folder / path).unlink()

    shutdown = await world.call()

    assert (world.folder / path).is_file()
    assert not shutdown.unsaved
    assert world.saved() == {service.runs[0].cell: [path]}


async def test_a_run_that_succeeded_owes_each_place(tmp_path: Path) -> None:
    service = Partial(output={"outputs": [{"url": A}, {"url": None}]})
    service.ending = lambda _: "succeeded"
    service.edit_run = lambda run: (
        run | {"output": service.output} if run["status_code"] == "succeeded" else run
    )
    world = Gallery(tmp_path, service, text=ONE)

    shutdown = await world.call()

    assert shutdown.unsaved
    assert not world.book().history(service.runs[0].cell).saved


def test_a_run_of_several_outputs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "endpoint: simulator\nmodels: [google/nano-banana-pro]\n"
        "inputs: {prompt: a partial chair, num_images: 4}\n"
        "limits: {batch: 1, rate: 100/s, settle: 100ms, attempts: 3}\npoll: {interval: 100ms}\n"
    )

    assert main([str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["partial_succeeded"], found["failed"], found["unsaved"]) == (1, 0, 0)
    assert found["complete"]
    (folder,) = (tmp_path / "outputs").rglob("files")
    assert len([each for each in folder.rglob("*") if each.is_file()]) == 2
    assert main([str(path), "--json", "--fail-on", "none"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["partial_succeeded"], again["cost"]) == (1, found["cost"])
