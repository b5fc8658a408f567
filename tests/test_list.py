"""`batchrun list`: all sweeps below a folder, in little time, and broken ones with the reason."""

import json
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import SWEEP, finished, intent, saved, submitted, text
from msgspec.structs import replace

from batchrun.cli import main
from batchrun.ledger.file import open_ledger
from batchrun.ledger.index import open_index
from batchrun.ledger.records import AnyRecord, Mark, Marks
from batchrun.manifest.cell_key import cell_key
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results import sweep_facts, sweep_folders
from batchrun.results.starts import keep_start, start_of
from batchrun.results.sweep_facts import SweepFacts, SweepReader
from batchrun.results.sweep_folders import sweeps_below
from batchrun.results.sweep_table import sweep_table
from batchrun.sweep.identity import Identity, write_identity

Captured = pytest.CaptureFixture[str]
MANIFEST = "name: night\nmodels: [a/b]\ninputs: {prompt: x, seed: [1, 2, 3]}\n"


def cells_of(base: Path, manifest: str = MANIFEST) -> list[Cell]:
    base.mkdir(parents=True, exist_ok=True)
    (base / "m.yaml").write_text(manifest)
    return list(expand(load_manifest(base / "m.yaml", {})))


def sweep(
    base: Path, place: str, *, done: int = 3, extra: Sequence[AnyRecord] = (), **fields: Any
) -> Path:
    """Make the folder of a sweep whose first cells are done."""
    cells = cells_of(base)
    folder = base / "outputs" / place
    folder.mkdir(parents=True)
    first = replace(SWEEP, sweep=f"id-{place}", **{"name": "night", "label": None} | fields)
    lines: list[list[AnyRecord]] = [
        [
            intent(cell.key, input=cell.input),
            submitted(cell.key),
            finished(cell.key),
            saved(cell.key),
        ]
        for cell in cells[:done]
    ]
    (folder / "ledger.jsonl").write_bytes(text([first], *lines, *([list(extra)] if extra else [])))
    identity = Identity(
        sweep=first.sweep,
        name=first.name,
        label=first.label,
        endpoint=first.endpoint,
        manifest=str(base / "m.yaml"),
    )
    write_identity(folder, identity)
    keep_start(folder, start_of(load_manifest(base / "m.yaml", {})))
    return folder


def listed(base: Path, capsys: Captured) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["list", str(base), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["base"] == str(base)
    sweeps: list[dict[str, Any]] = found["sweeps"]
    return sweeps


def only(base: Path, capsys: Captured) -> dict[str, Any]:
    [found] = listed(base, capsys)
    return found


def shown(base: Path, capsys: Captured) -> list[str]:
    capsys.readouterr()
    assert main(["list", str(base)]) == 0
    return capsys.readouterr().out.splitlines()


def test_sweeps_and_labels_are_listed_the_newest_last(tmp_path: Path, capsys: Captured) -> None:
    sweep(tmp_path, "night")
    sweep(tmp_path, "night/@b", label="b", done=2)
    sweep(tmp_path, "@simulator/night", endpoint="simulator", done=1)
    late = intent("late", at="2026-05-05T12:00:00.000000Z")
    with (tmp_path / "outputs/night/ledger.jsonl").open("ab") as ledger:
        ledger.write(text([late]).replace(b"2026-05-04", b"2026-05-05"))

    found = listed(tmp_path, capsys)
    lines = shown(tmp_path, capsys)

    assert [(each["name"], each["label"], each["state"]) for each in found] == [
        ("night", None, "unfinished"),
        ("night", "b", "unfinished"),
        ("night", None, "complete"),
    ]
    assert [each["simulated"] for each in found] == [True, False, False]
    assert found[1]["counts"] == {"succeeded": 2, "pending": 1}
    assert (found[1]["cells"], found[1]["cost"]) == (3, "0.08")
    assert lines[0].split() == ["sweep", "label", "last", "cells", "USD", "files", "state"]
    assert lines[2].startswith("night (simulator)  ")
    assert lines[2].endswith("unfinished: 2 not yet done")
    assert lines[3].endswith("unfinished: 1 not yet done")
    assert lines[4].endswith("complete")


def test_the_size_is_that_of_the_files_on_disk(tmp_path: Path, capsys: Captured) -> None:
    folder = sweep(tmp_path, "night")
    (folder / "files" / "a").mkdir(parents=True)
    (folder / "files" / "a" / "x.png").write_bytes(b"x" * 2048)

    assert only(tmp_path, capsys)["files"] == 2048
    assert "  2 KiB  " in shown(tmp_path, capsys)[-1]


def test_a_size_that_takes_too_long_is_not_known(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sweep(tmp_path, "night")
    (folder / "files").mkdir()
    for name in "abc":
        (folder / "files" / name).touch()
    monkeypatch.setattr(sweep_facts, "MOST_FILES", 2)

    assert only(tmp_path, capsys)["files"] is None
    assert "  ?  " in shown(tmp_path, capsys)[-1]


def test_cells_of_the_ledger_alone_and_those_of_a_redo_count_as_status_has_them(
    tmp_path: Path, capsys: Captured
) -> None:
    first = cells_of(tmp_path)[0]
    made = cell_key(first.model, first.input, 2)
    mark = Mark(id="m", cell=first.key, first=first.key, replicate=2, makes=made)
    orphan: list[AnyRecord] = [
        intent("orphan"),
        submitted("orphan"),
        finished("orphan", status="failed"),
    ]
    folder = sweep(tmp_path, "night", extra=[Marks(marks=(mark,)), *orphan])

    found = only(tmp_path, capsys)
    main(["status", str(folder), "--json"])
    status = json.loads(capsys.readouterr().out)

    assert (found["cells"], found["counts"]) == (4, {"succeeded": 3, "pending": 1})
    assert (status["cells"], status["pending"]) == (4, 1)


def test_a_process_that_is_at_work_is_named(tmp_path: Path, capsys: Captured) -> None:
    folder = sweep(tmp_path, "night")

    with open_ledger(folder):
        found = only(tmp_path, capsys)

    assert found["state"] == "running"
    assert found["holder"].startswith(f"pid {os.getpid()} on ")
    assert only(tmp_path, capsys)["state"] == "complete"


BROKEN: dict[str, tuple[str, bytes | None, str]] = {
    "no ledger": ("ledger.jsonl", None, "the ledger is lost: `batchrun recover` rebuilds it"),
    "an empty ledger": ("ledger.jsonl", b"", "the ledger's first line is not that of a sweep"),
    "a torn first line": ("ledger.jsonl", b'{"type":"sw', "first line is not that of a sweep"),
    "no text": ("ledger.jsonl", b"\xff\xfe\x00" * 999, "first line is not that of a sweep"),
    "damaged json": ("sweep.json", b"{", "sweep.json is damaged"),
    "no object": ("sweep.json", b"[1]", "sweep.json is damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_folder_is_shown_with_the_reason(
    tmp_path: Path, capsys: Captured, kind: str
) -> None:
    name, content, reason = BROKEN[kind]
    sweep(tmp_path, "whole")
    folder = sweep(tmp_path, "broken")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)

    found = {Path(each["folder"]).name: each for each in listed(tmp_path, capsys)}

    assert found["whole"]["state"] == "complete"
    assert found["broken"]["state"] == "broken"
    assert reason in found["broken"]["problem"]
    assert any("broken: " in line for line in shown(tmp_path, capsys))


@pytest.mark.parametrize("small", [True, False])
def test_a_line_that_is_broken_is_said(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, *, small: bool
) -> None:
    path = sweep(tmp_path, "night") / "ledger.jsonl"
    data = path.read_bytes()
    at = data.index(b'{"type":"finished"')
    path.write_bytes(data[:at] + b"#" + data[at + 1 :])
    monkeypatch.setattr(sweep_facts, "SMALL", sweep_facts.SMALL if small else 0)

    found = only(tmp_path, capsys)

    assert found["state"] == "broken"
    assert "broken" in found["problem"]


def test_the_ledger_of_another_sweep_is_said(tmp_path: Path, capsys: Captured) -> None:
    one, other = sweep(tmp_path, "one"), sweep(tmp_path, "other")
    (one / "ledger.jsonl").write_bytes((other / "ledger.jsonl").read_bytes())

    found = listed(tmp_path, capsys)

    assert [each["problem"] for each in found] == [
        "the ledger is of another sweep, id-other",
        None,
    ]


@pytest.mark.parametrize("width", [80, 60, 44])
def test_on_a_terminal_the_table_is_as_wide_as_it_is(width: int) -> None:
    problem = "the ledger is broken at line 2: " + "no line " * 12
    sweeps = [
        SweepFacts(
            folder=Path("x"),
            name="a night of chairs and lamps",
            label="2026-11-29",
            last="2026-11-29T03:00:00Z",
            cells=2000,
            cost=Decimal("123.45"),
            files=3 << 30,
            state="unfinished",
            counts={"succeeded": 1000, "pending": 1000},
        ),
        SweepFacts(folder=Path("y"), state="broken", problem=problem),
    ]
    whole = sweep_table(sweeps).splitlines()

    lines = sweep_table(sweeps, width).splitlines()

    assert max(map(len, whole)) > 100
    assert max(map(len, lines)) <= width
    assert "2,000" in lines[2]
    assert "123.45" in lines[2]
    assert lines[-1].split()[-1] == "line"
    assert ("2026-11-29 03:00" in lines[2], "2026-11-29 " in lines[2]) == (width == 80, width >= 60)
    assert ("3 GiB" in lines[2]) == (width == 80)


def test_odd_names_move_no_cursor(tmp_path: Path, capsys: Captured) -> None:
    sweep(tmp_path, "night", name="n\x1b[31m", label="l\nx")

    lines = shown(tmp_path, capsys)

    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_folders_in_a_circle_and_files_that_are_folders_end(
    tmp_path: Path, capsys: Captured
) -> None:
    folder = sweep(tmp_path, "night")
    (tmp_path / "outputs" / "round").symlink_to(tmp_path / "outputs")
    (folder / "@odd" / "ledger.jsonl").mkdir(parents=True)

    found = listed(tmp_path / "outputs", capsys)

    assert {each["state"] for each in found} == {"complete", "broken"}
    assert len(found) <= 2 * sweep_folders.DEEPEST


def test_where_a_data_file_has_changed_it_is_not_known_what_is_left(
    tmp_path: Path, capsys: Captured
) -> None:
    rows = MANIFEST.replace("prompt: x", "prompt: {$lines: p.txt}")
    (tmp_path / "p.txt").write_text("x\n")
    folder = sweep(tmp_path, "night")
    for start in (folder / "starts").iterdir():
        start.unlink()
    (tmp_path / "m.yaml").write_text(rows)
    keep_start(folder, start_of(load_manifest(tmp_path / "m.yaml", {})))

    assert only(tmp_path, capsys)["state"] == "complete"
    (tmp_path / "p.txt").write_text("x\ny\n")
    found = only(tmp_path, capsys)
    assert (found["state"], found["counts"]) == ("unknown", {"succeeded": 3})
    assert "not known: its manifest is gone, changed or large; " not in shown(tmp_path, capsys)[-1]


def test_an_index_is_used_and_a_long_ledger_is_folded_only_while_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sweep(tmp_path, "night")
    monkeypatch.setattr(sweep_facts, "SMALL", 0)
    monkeypatch.setattr("batchrun.ledger.index.BATCH", 5)

    late = [SweepReader(lambda: True).read(folder) for _ in range(3)]
    known = SweepReader(lambda: False).read(folder)

    assert [each.state for each in late] == ["unknown"] * 3
    assert late[0].problem == "the ledger is long: look again"
    assert late[2].problem != late[0].problem  # each look goes on where the last one was late
    assert (known.state, known.counts) == ("complete", {"succeeded": 3})


def test_what_a_call_with_nothing_to_do_kept_is_believed(tmp_path: Path) -> None:
    folder = sweep(tmp_path, "night", done=1)
    summary = {"cells": 9, "cost": "1.5", "complete": True, "succeeded": 7, "failed": 2}
    with (folder / "ledger.jsonl").open("rb") as ledger, open_index(folder) as index:
        index.keep("nothing to do", json.dumps({"summary": summary}).encode(), ledger.fileno())

    found = SweepReader(lambda: False).read(folder)

    assert (found.state, found.cells, str(found.cost)) == ("complete", 9, "1.5")
    assert found.counts == {"succeeded": 7, "failed": 2}


def test_the_base_is_where_a_manifest_here_would_have_its_outputs(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path, "night")
    for here in (tmp_path, tmp_path / "outputs" / "night", tmp_path / "manifests"):
        here.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        assert main(["list"]) == 0
        assert "complete" in capsys.readouterr().out


def test_a_folder_without_a_sweep_and_no_folder_at_all(tmp_path: Path, capsys: Captured) -> None:
    assert shown(tmp_path, capsys) == [f"no sweep below {tmp_path}"]
    assert listed(tmp_path, capsys) == []
    assert main(["list", str(tmp_path / "gone")]) == 2


def test_facts_are_frozen_values_for_json(tmp_path: Path) -> None:
    facts = SweepFacts(folder=tmp_path, state="broken")

    assert json.loads(json.dumps(facts.as_dict()))["cost"] is None


def test_a_call_that_was_refused_before_it_began_is_no_sweep(tmp_path: Path) -> None:
    for name in ("refused", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ledger.jsonl").touch()
    (tmp_path / "broken" / "sweep.json").write_text("{}")

    assert [path.name for path in sweeps_below(tmp_path)] == ["broken"]
