"""A file that cells are made from is edited while a call runs: what has begun comes to its end."""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from called import Sweep, created
from engine_world import World
from processes import simulator
from simulated import Runflow

from batchrun.base.file_state import file_state
from batchrun.base.local_file import FileState
from batchrun.commands.call import prepare
from batchrun.commands.error_boundary import stopped
from batchrun.commands.target import Place
from batchrun.engine.changed_sources import ChangedSources
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown, Wakeup
from batchrun.errors import ManifestError, SourceChangedError
from batchrun.ledger.history import State
from batchrun.manifest.data.changes import Watch
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest

CELLS = 12
SLOTS = 3
TEXTS = [f"a chair {number}" for number in range(CELLS)]
CSV = "".join(f"{text}\n" for text in ["prompt", *TEXTS])
LINES = "".join(f"{text}\n" for text in TEXTS)
JSONL = "".join(f'{{"prompt": "{text}"}}\n' for text in TEXTS)
LIMITS = f"limits: {{concurrency: {SLOTS}, rate: 10/s}}\n"

FILES = {
    "p.csv": (CSV, "rows: p.csv\n"),
    "p.jsonl": (JSONL, "rows: p.jsonl\n"),
    "p.txt": (LINES, "inputs: {prompt: {$lines: p.txt}}\n"),
}
Edit = Callable[[Path], Any]


def anew(path: Path) -> None:
    """Take the file's place, as editors do."""
    beside = path.with_name("beside")
    beside.write_text(path.read_text().replace("chair", "stool"))
    beside.replace(path)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


EDITS: dict[str, Edit] = {
    "in its place": anew,
    "written over": lambda path: path.write_text(path.read_text().replace("chair", "stool")),
    "a row more": lambda path: path.write_text(f"{path.read_text()}{path.read_text()}"),
    "cut": lambda path: os.truncate(path, 40),
    "emptied": lambda path: path.write_text(""),
    "no text": lambda path: path.write_bytes(b"\xff" * 200),
    "a quote too much": lambda path: path.write_text(f'prompt\n"{path.read_text()}'),
    "gone": Path.unlink,
    "a folder": lambda path: path.rename(path.with_name("old")).with_name(path.name).mkdir(),
    "a pipe": piped,
}


OTHER_KINDS = (EDITS["a folder"], EDITS["a pipe"])


def cleared(path: Path) -> None:
    """Remove what is no file."""
    if path.is_dir():
        path.rmdir()
    elif path.is_fifo():
        path.unlink()


def written(path: Path, content: str) -> None:
    """Write a file as of long ago: a later write within one tick of the clock is seen, too."""
    path.write_text(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def edited_at(path: Path, edit: Edit, run: int) -> Runflow:
    """Return a service that edits *path* when it makes its run of that number, from 0."""

    def duration(number: int) -> float:
        if number == run:
            edit(path)
        return 10.0

    return Runflow(duration=duration)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        *(("p.csv", edit) for edit in ("in its place", "written over", "no text", "gone")),
        ("p.csv", "a pipe"),  # which has no end, and waits for a writer
        *(("p.jsonl", edit) for edit in ("in its place", "emptied")),
        *(("p.txt", edit) for edit in ("in its place", "cut", "a folder")),
    ],
)
async def test_no_cell_is_begun_after_an_edit_and_the_next_call_takes_the_file_as_it_is(
    tmp_path: Path, name: str, edit: str
) -> None:
    content, source = FILES[name]
    path = tmp_path / name
    written(path, content)
    service = edited_at(path, EDITS[edit], SLOTS)
    world = World(tmp_path, service, text=f"models: [a/b]\n{source}{LIMITS}")

    shutdown = await world.call()

    [error] = shutdown.errors
    assert isinstance(error, SourceChangedError)
    assert name in error.written
    assert shutdown.codes == [3]
    begun = len(service.posts)
    assert SLOTS < begun <= 2 * SLOTS
    assert f"{begun} of {CELLS} cells were begun with the old one" in str(error)
    states = [history.state for _, history in world.book().histories.items()]
    assert states == [State.SUCCEEDED] * begun  # what was in flight has ended

    cleared(path)
    path.write_text(content)
    assert not (await world.call()).codes
    assert len(service.posts) == CELLS


def test_a_cell_that_is_drawn_again_is_counted_once(tmp_path: Path) -> None:
    written(tmp_path / "p.csv", CSV)
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.csv\n")
    manifest = load_manifest(tmp_path / "m.yaml", {})
    sources = ChangedSources(manifest, Shutdown(Wakeup()))
    keys = [cell.key for cell in expand(manifest)]

    for key in [*keys, *keys[:3], *keys]:  # put off for want of money, and drawn again
        sources.begin(key)

    error = sources.named(SourceChangedError("p.csv"))
    assert f"; {CELLS} of {CELLS} cells were begun with the old one" in str(error)


async def test_an_edit_before_the_first_cell_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    written(path, CSV)
    service = Runflow()

    class Late(World):
        async def run(self, runner: Runner, settings: object) -> Shutdown:
            anew(path)
            return await runner.run()

    shutdown = await Late(tmp_path, service, text=f"models: [a/b]\nrows: p.csv\n{LIMITS}").call()

    assert shutdown.codes == [3]
    assert f"0 of {CELLS} cells were begun" in str(shutdown.errors[0])
    assert not service.posts


async def test_names_that_follow_the_grids_order_end_no_call_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    written(path, CSV)
    service = edited_at(path, Path.unlink, SLOTS)
    text = f'models: [a/b, a/c]\nrows: p.csv\noutputs: {{name: "${{prompt}}"}}\n{LIMITS}'

    shutdown = await World(tmp_path, service, text=text).call()

    assert shutdown.codes == [3]
    assert SLOTS < len(service.posts) <= 2 * SLOTS


@pytest.mark.parametrize("name", ["p.csv", "p.txt"])
async def test_a_file_that_is_copied_over_itself_is_no_change(tmp_path: Path, name: str) -> None:
    content, source = FILES[name]
    path = tmp_path / name
    path.write_text(content)

    def copied(path: Path) -> None:
        path.with_name("beside").write_text(content)
        path.with_name("beside").replace(path)

    service = edited_at(path, copied, SLOTS)
    world = World(tmp_path, service, text=f"models: [a/b]\n{source}{LIMITS}")

    assert not (await world.call()).codes
    assert len(service.posts) == CELLS


def test_each_walk_of_a_file_that_has_changed_says_so_and_nothing_else(tmp_path: Path) -> None:
    for name, (content, source) in FILES.items():
        for edit in EDITS.values():
            path = tmp_path / name
            written(path, content)
            (tmp_path / "m.yaml").write_text(f"models: [{{id: a/b, alias: b}}]\n{source}")
            manifest = load_manifest(tmp_path / "m.yaml", {})
            watch = Watch(manifest.sources)
            assert watch.changed() is None
            if name != "p.txt":  # of which the first walk keeps what it has read
                assert len(list(expand(manifest))) == CELLS

            edit(path)
            assert Path(watch.changed() or "").name == name
            if name != "p.txt" or edit not in {anew, Path.unlink, *OTHER_KINDS}:
                with pytest.raises(SourceChangedError):  # else the file that is open is the old one
                    list(expand(manifest))
            cleared(path)


def test_a_file_that_was_written_twice_at_one_time_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(CSV)
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.csv\n")
    watch = Watch(load_manifest(tmp_path / "m.yaml", {}).sources)
    found = path.stat()

    path.write_text(CSV.replace("chair", "stool"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with patch("batchrun.manifest.data.changes.is_still", return_value=True):
        assert watch.changed() == str(path)


def test_a_file_from_the_future_is_not_read_before_each_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time proves nothing. Here a look takes 1 s of a clock that goes on with each question."""
    path = tmp_path / "p.csv"
    path.write_text(CSV)
    os.utime(path, (4_000_000_000, 4_000_000_000))
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.csv\n")
    watch = Watch(load_manifest(tmp_path / "m.yaml", {}).sources)
    looks: list[str] = []
    clock = itertools.count()

    def look(path: str) -> FileState | None:
        looks.append(path)
        return file_state(path)

    monkeypatch.setattr("batchrun.manifest.data.changes.monotonic", lambda: next(clock))
    monkeypatch.setattr("batchrun.manifest.data.changes.file_state", look)

    assert [watch.changed() for _ in range(100)] == [None] * 100
    assert 3 <= len(looks) <= 6

    path.write_text(CSV.replace("chair", "stool"))
    assert watch.changed() == str(path)  # its times differ: no waiting


def test_a_mistake_that_was_there_at_first_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("prompt\na,b\nc,d\n")
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.csv\n")

    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path / "m.yaml", {})
    assert caught.value.exit_code == 2
    assert len(caught.value.problems) == 2


# The command: what it says, and what it leaves in the folder.


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("state") / "db", "--speed", "100") as url:
        yield url


@pytest.mark.parametrize("late", [False, True])
def test_the_report_names_the_file_and_leaves_the_results(
    tmp_path: Path,
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    late: bool,
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    written(path := tmp_path / "p.csv", CSV)
    text = f"name: late-{late}\nmodels: [google/nano-banana-2]\nrows: p.csv\n{LIMITS}"
    sweep = Sweep(tmp_path, url, text, capsys)
    before = created(url)
    run = Runner.run

    async def edited(runner: Runner) -> Shutdown:
        if late:
            await run(runner)
        anew(path)
        return runner.shutdown if late else await run(runner)

    with patch.object(Runner, "run", edited):
        code, report, err = sweep.call("--limit", "2")

    assert code == report["exit_code"] == 3
    made = 2 if late else 0
    counts = {name: report[name] for name in ("cells", "succeeded", "complete")}
    assert counts == {"cells": made, "succeeded": made, "complete": False}  # as the ledger has it
    assert created(url) == before + made
    assert "p.csv has changed while this call ran" in err
    assert "results.csv and results.jsonl are left to the next call" in err  # there are none
    assert "p.csv has changed" in report["error"]["message"]
    assert re.match(r"go on with `batchrun .*p\.csv has changed, and is taken", report["next"])
    assert "nothing was sent" not in err + json.dumps(report)
    assert not list(tmp_path.rglob("results.*"))

    [ledger] = tmp_path.rglob("ledger.jsonl")
    ledger.with_name("results.csv").write_text("old")
    written(path, CSV)
    with patch.object(Runner, "run", edited):
        _, _, err = sweep.call("--limit", "2")
    assert "results.csv and results.jsonl are left as they were" in err
    assert ledger.with_name("results.csv").read_text() == "old"


def test_the_results_of_an_earlier_call_are_left_as_they_were(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    path = tmp_path / "p.csv"
    written(path, CSV)
    text = f"name: left\nmodels: [google/nano-banana-2]\nrows: p.csv\n{LIMITS}"
    sweep = Sweep(tmp_path, url, text, capsys)
    run = Runner.run
    assert sweep.call("--limit", "1")[0] == 3
    [results] = tmp_path.rglob("results.csv")
    before = results.read_bytes()

    async def edited(runner: Runner) -> Shutdown:
        anew(path)
        return await run(runner)

    with patch.object(Runner, "run", edited):
        _, _, err = sweep.call("--limit", "1")

    assert "results.csv and results.jsonl are left as they were" in err
    assert results.read_bytes() == before


def test_a_plan_of_a_file_that_changes_meanwhile_is_to_be_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.csv"
    written(path, CSV)
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.csv\nendpoint: simulator\n")
    call = prepare(tmp_path / "m.yaml", Place())
    anew(path)

    with pytest.raises(SourceChangedError, match="run the same command again") as caught:
        list(expand(call.manifest))
    assert caught.value.exit_code == 3

    words = [str(tmp_path / "m.yaml"), "--json"]
    assert stopped(caught.value, 3, "plan", words) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["next"].startswith(f"go on with `batchrun plan {tmp_path}/m.yaml")
    assert report["next"].endswith("p.csv has changed, and is taken as it is then")
