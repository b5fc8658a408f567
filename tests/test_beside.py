"""A sweep that was renamed or moved is not paid again: the one that has its cells is found."""

import itertools
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from called import created
from ledger_lines import SWEEP, finished, intent, saved, submitted, text
from msgspec.structs import replace

from batchrun.cli import main
from batchrun.commands.beside import elsewhere, find_beside
from batchrun.commands.call import prepare
from batchrun.commands.target import Place
from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.result_files import keep_manifest
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings
from batchrun.sweep.identity import Identity, write_identity

ENDPOINT: Final = "http://127.0.0.1:9"
HOST: Final = "@127.0.0.1-9"
MANIFEST: Final = "name: chairs\nmodels: [google/nano-banana-2]\ninputs: {prompt: [one, two]}\n"


class Project:
    """A manifest whose sweep is paid, and calls on what becomes of the manifest."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest = folder / "m.yaml"
        self.outputs = folder / "outputs"
        self._capsys = capsys

    def paid(self, name: str, text_of: str = MANIFEST, **fields: Any) -> Path:
        """Write the sweep *name* with all cells of a manifest paid; return its folder."""
        options = {"limit": None, "outputs": self.outputs, "label": None} | fields
        folder: Path = options["outputs"] / HOST / name
        if options["label"] is not None:
            folder /= f"@{options['label']}"
        self.manifest.write_text(text_of)
        manifest = load_manifest(self.manifest, {})
        lines: list[AnyRecord] = []
        for cell in itertools.islice(expand(manifest), options["limit"]):
            paid = finished(cell.key, cost=Decimal("0.04"))
            lines += [intent(cell.key), submitted(cell.key), paid, saved(cell.key)]
        folder.mkdir(parents=True)
        sweep = replace(SWEEP, sweep=f"of{name}", name=name, label=options["label"])
        sweep = replace(sweep, endpoint=ENDPOINT)
        (folder / "ledger.jsonl").write_bytes(text([sweep], lines))
        identity = Identity(
            sweep=sweep.sweep,
            name=name,
            label=options["label"],
            endpoint=options.get("endpoint", ENDPOINT),
            manifest=str(self.manifest),
        )
        write_identity(folder, identity)
        keep_manifest(folder, manifest.text)
        return folder

    def call(self, *words: str) -> tuple[int, Any, str]:
        code = main([str(self.manifest), "--endpoint", ENDPOINT, "--json", *words])
        shown = self._capsys.readouterr()
        return code, json.loads(shown.out), shown.err

    def plan(self, *words: str) -> str:
        """Return a plan; without a key, for nothing is to be asked."""
        with patch.dict(os.environ):
            del os.environ["RUNFLOW_API_KEY"]
            assert main(["plan", str(self.manifest), "--endpoint", ENDPOINT, *words]) == 0
        shown: str = self._capsys.readouterr().out
        return shown

    def refused(self, *words: str) -> str:
        """Make a call that is refused before anything is asked; return why."""
        code, found, _ = self.call(*words)
        assert code == 9
        message: str = found["error"]["message"]
        return message


@pytest.fixture
def project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Project:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    return Project(tmp_path, capsys)


def test_a_changed_name_is_refused_with_the_ways_on(project: Project) -> None:
    folder = project.paid("chairs")
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))

    said = project.refused()

    assert "would be made a second time" in said
    assert f"the sweep 'chairs' in {folder} has 2 cells of this manifest" in said
    assert "2 succeeded, cost 0.08 USD" in said
    command = f"batchrun {project.manifest} --endpoint {ENDPOINT}"
    assert "to go on with that sweep: `name: chairs` in the manifest" in said
    assert f"`{command} --reuse {folder}`" in said
    assert f"`{command} --new-sweep ofchairs`" in said
    assert project.refused() == said  # it leaves nothing that lets the next call through


def test_a_folder_that_was_moved_aside_is_to_be_moved_back(project: Project) -> None:
    folder = project.paid("chairs")
    aside = folder.rename(folder.with_name("chairs-old"))

    said = project.refused()

    assert f"to go on with that sweep: move {folder} away, and {aside} in its place" in said


def test_a_renamed_file_is_refused(project: Project) -> None:
    bare = MANIFEST.replace("name: chairs\n", "")
    project.paid("m", bare)
    project.manifest = project.manifest.rename(project.manifest.with_name("stools.yaml"))

    assert "the sweep 'm' in" in project.refused()


def test_the_command_for_the_old_place_names_one_place(tmp_path: Path) -> None:
    command = "batchrun m.yaml --outputs 'new place' --budget 5 --label=x"

    assert elsewhere(command, tmp_path / "old place") == (
        f"batchrun m.yaml --budget 5 --label=x --outputs '{tmp_path}/old place'"
    )
    assert elsewhere("batchrun m.yaml --outputs=a", Path("b")) == "batchrun m.yaml --outputs b"


def test_moved_outputs_are_refused_and_the_old_place_is_named(project: Project) -> None:
    project.paid("chairs")
    project.manifest.write_text(f"{MANIFEST}outputs: {{dir: elsewhere}}\n")

    said = project.refused()

    assert f"--outputs {project.outputs}`" in said
    assert "`name:" not in said


def test_a_sweep_that_was_stopped_has_the_same_cells(project: Project) -> None:
    project.paid("chairs", limit=1)
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))

    assert "has 1 cell of this manifest" in project.refused()


def test_the_order_and_what_changes_no_key_make_no_difference(project: Project) -> None:
    project.paid("chairs")
    project.manifest.write_text(
        "name: stools\nlimits: {rate: 5/s}\nmodels:\n"
        "  - {id: google/nano-banana-2, alias: x}\ninputs: {prompt: [two, one]}\n"
    )

    project.refused()


def test_cells_that_are_partly_the_same_are_named_and_refuse_nothing(project: Project) -> None:
    folder = project.paid("chairs")
    project.manifest.write_text(MANIFEST.replace("chairs", "stools").replace("two", "two, three"))

    said = project.plan()

    assert "a second time" not in said
    assert f"the sweep 'chairs' in {folder} has 2 cells of this manifest" in said
    assert f"they are paid again, unless `--reuse {folder}` is given" in said


@pytest.mark.parametrize("words", [["--new-sweep", "ofchairs"], ["--label", "night"]])
def test_what_is_meant_is_not_refused(project: Project, words: list[str]) -> None:
    project.paid("chairs")
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))

    assert "cells of this manifest" not in project.plan(*words)


@pytest.mark.parametrize(
    "other",
    [
        {"label": "night"},
        {"endpoint": "https://api.runflow.io"},
        {"text_of": MANIFEST.replace("one, two", "four, five")},
    ],
)
def test_other_sweeps_are_no_matter(project: Project, other: dict[str, Any]) -> None:
    project.paid("other", **other)
    project.manifest.write_text(MANIFEST)

    assert "cells of this manifest" not in project.plan()


def test_once_a_ledger_has_begun_nothing_is_compared(project: Project) -> None:
    project.paid("chairs")
    project.paid("stools", MANIFEST.replace("chairs", "stools"), limit=1)

    assert "cells of this manifest" not in project.plan()


def test_a_folder_that_can_not_be_read_is_no_hindrance(project: Project) -> None:
    for name, data in (("a", b"{"), ("b", b"\xff")):
        folder = project.outputs / HOST / name
        folder.mkdir(parents=True)
        (folder / "ledger.jsonl").write_bytes(data)
        (folder / "sweep.json").write_bytes(data)
    folder = project.paid("broken")
    (folder / "ledger.jsonl").write_bytes(b"no ledger\n" * 9)
    project.manifest.write_text(MANIFEST)

    assert f"the sweep in {folder} can't be read" in project.plan()


def test_what_is_not_read_in_time_is_said(project: Project) -> None:
    folder = project.paid("chairs")
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))
    call = prepare(project.manifest, Place(endpoint=ENDPOINT))
    seconds = itertools.count(0, 5)

    [found] = find_beside(call, Book(), clock=lambda: float(next(seconds)))

    assert not found.same
    assert found.note() == (
        f"the sweep in {folder} can't be read, or not within 5 s: cells that it has are paid again"
    )


def test_the_plan_says_it_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.paid("chairs")
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))
    before = sorted(path for path in project.outputs.rglob("*") if "index" not in path.name)

    shown = project.plan()
    monkeypatch.delenv("RUNFLOW_API_KEY")
    _, found, _ = project.call("--dry-run")

    assert shown.startswith("this sweep would be made a second time")
    assert f"--reuse {folder}`" in shown
    assert found["beside"] == [
        {
            "sweep": "ofchairs",
            "name": "chairs",
            "folder": str(folder),
            "cells": 2,
            "succeeded": 2,
            "cost": "0.08",
            "same": True,
        }
    ]
    after = sorted(path for path in project.outputs.rglob("*") if "index" not in path.name)
    assert after == before


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("organisation", ["its own", "another"])
def test_a_sweep_of_another_organisation_is_no_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, organisation: str
) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST + "limits: {settle: 300ms}\noutputs: {download: false}\n")
    words = [str(manifest), "--endpoint", url, "--json"]
    assert main(words) == 0
    folder = Path(json.loads(capsys.readouterr().out)["outputs"])
    if organisation == "another":
        sweep = json.loads((folder / "sweep.json").read_text())
        (folder / "sweep.json").write_text(json.dumps({**sweep, "organisation": "org_other"}))
    manifest.write_text(manifest.read_text().replace("chairs", "stools"))
    made = created(url)

    code = main(words)

    assert (code, created(url) == made) == ((9, True) if organisation == "its own" else (0, False))


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [False, True])
def test_a_call_with_some_of_the_cells_says_so_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, *, quiet: bool
) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST + "limits: {settle: 300ms}\noutputs: {download: false}\n")
    words = [str(manifest), "--endpoint", url, "--json", *(["--quiet"] if quiet else [])]
    assert main(words) == 0
    capsys.readouterr()
    text_of = manifest.read_text().replace("chairs", "stools").replace("two", "two, three")
    manifest.write_text(text_of)

    assert main(words) == 0

    shown = capsys.readouterr()
    assert json.loads(shown.out)["succeeded"] == 3
    said = "the sweep 'chairs' in" in shown.err and "they are paid again" in shown.err
    assert said  # what is paid again is said under `--quiet`, too
    manifest.write_text(text_of.replace("stools", "benches"))
    assert main(words) == 9
    assert main([*words, "--new-sweep", json.loads(shown.out)["sweep"]]) == 0
