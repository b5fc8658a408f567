import csv
import errno
import json
import os
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import finished, intent, saved, submitted
from result_lines import MemoryLedger

from batchrun.base.disk import atomic_write
from batchrun.base.output_store import OutputStore
from batchrun.errors import FolderError
from batchrun.ledger.records import AnyRecord, Extra
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.result_files import field, write_results
from batchrun.sweep.identity import Identity, read_identity, write_identity

MANIFEST = """\
models:
  - {id: google/nano-banana-2, alias: banana}
  - {id: bytedance/seedance, alias: seedance, inputs: {duration: "5", style: [oil]}}
inputs:
  prompt: ["=1+1", 'a "quoted", chair', "two\\nlines\\rand a half", "-5"]
  seed: [-5]
  config: {deep: [1, null]}
"""


def manifest_of(folder: Path, text: str = MANIFEST) -> Manifest:
    (folder / "chairs.yaml").write_text(text, encoding="utf-8")
    return load_manifest(folder / "chairs.yaml", {})


def done(manifest: Manifest) -> MemoryLedger:
    """Return a ledger in which every cell of *manifest* succeeded and is saved."""
    records: list[AnyRecord] = []
    for key in dict.fromkeys(cell.key for cell in expand(manifest)):
        records += [intent(key), submitted(key), finished(key), saved(key)]
    return MemoryLedger(records)


def results(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def spreadsheet(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_each_point_has_a_row_in_the_grid_s_order(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    write_results(OutputStore(tmp_path), manifest, done(manifest))

    cells = list(expand(manifest))
    assert [row["cell"] for row in results(tmp_path)] == [cell.key for cell in cells]
    assert [row["cell"] for row in spreadsheet(tmp_path)] == [cell.key for cell in cells]
    assert {row["status"] for row in results(tmp_path)} == {"succeeded"}


def test_values_keep_their_types_in_jsonl(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    write_results(OutputStore(tmp_path), manifest, done(manifest))

    first = results(tmp_path)[0]
    assert first["prompt"] == "=1+1"
    assert first["seed"] == -5
    assert first["config"] == {"deep": [1, None]}
    assert first["cost"] == "0.04"
    assert isinstance(first["files"], list)


def test_a_csv_s_columns_are_all_that_any_row_has(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    write_results(OutputStore(tmp_path), manifest, done(manifest))
    rows = spreadsheet(tmp_path)

    assert {"prompt", "seed", "config", "duration", "style"} <= set(rows[0])
    assert list(rows[0])[-14:] == list(results(tmp_path)[0])[-14:]
    assert {row["duration"] for row in rows if row["alias"] == "banana"} == {""}
    assert {row["style"] for row in rows if row["alias"] == "seedance"} == {"oil"}


def test_a_spreadsheet_runs_nothing_of_it_and_a_reader_gets_every_character(
    tmp_path: Path,
) -> None:
    manifest = manifest_of(tmp_path)
    write_results(OutputStore(tmp_path), manifest, done(manifest))
    prompts = [row["prompt"] for row in spreadsheet(tmp_path)]

    assert prompts[::2] == ["'=1+1", 'a "quoted", chair', "two\nlines\rand a half", "'-5"]
    assert {row["seed"] for row in spreadsheet(tmp_path)} == {"-5"}


def test_points_of_one_cell_have_a_row_each_and_share_its_run(tmp_path: Path) -> None:
    text = "models: [google/nano-banana-2]\ninputs: {prompt: a chair}\nvars: {take: [1, 2]}\n"
    manifest = manifest_of(tmp_path, text)
    write_results(OutputStore(tmp_path), manifest, done(manifest))

    one, two = results(tmp_path)
    assert (one["take"], two["take"]) == (1, 2)
    assert one["run_id"] == two["run_id"]


def test_what_never_ran_has_a_row_too(tmp_path: Path) -> None:
    write_results(OutputStore(tmp_path), manifest_of(tmp_path), MemoryLedger())

    assert {row["status"] for row in results(tmp_path)} == {"pending"}
    assert len(spreadsheet(tmp_path)) == 8


def test_attempts_of_the_command_line_say_what_is_final(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "models: [a/b]\ninputs: {prompt: x}\n")
    (key,) = (cell.key for cell in expand(manifest))
    ledger = MemoryLedger([intent(key), submitted(key), finished(key, status="failed")])

    write_results(OutputStore(tmp_path), manifest, ledger)
    assert results(tmp_path)[0]["status"] == "pending"
    write_results(OutputStore(tmp_path), manifest, ledger, attempts=1)
    assert results(tmp_path)[0]["status"] == "failed"


def test_half_a_surrogate_pair_of_the_service_stops_neither_file(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "models: [a/b]\ninputs: {prompt: x}\n")
    (key,) = (cell.key for cell in expand(manifest))
    ended = finished(key, status="cancelled", failure_message="half \ud800", cost=Decimal(1))
    write_results(
        OutputStore(tmp_path), manifest, MemoryLedger([intent(key), submitted(key), ended])
    )

    assert results(tmp_path)[0]["failure_message"] == "half \ud800"
    assert spreadsheet(tmp_path)[0]["failure_message"] == "half \\ud800"


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_beside(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    write_results(OutputStore(out), manifest, done(manifest))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_results(OutputStore(out), manifest, done(manifest))

    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert set(before) == {"results.jsonl", "results.csv"}


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(points: int) -> int:
        text = f"models: [a/b]\ninputs: {{prompt: {'x' * 2000}, seed: {{$range: [1, {points}]}}}}\n"
        manifest = manifest_of(tmp_path, text)
        tracemalloc.start()
        write_results(OutputStore(tmp_path), manifest, MemoryLedger())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(2000) < peak(200) + 500_000  # all rows together are 4 MB


# One file.


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old and longer")
    atomic_write(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(FolderError, match=f"cannot write {path}: No space left on device"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"cannot write .*/none/x: No such file"):
        atomic_write(tmp_path / "none" / "x", b"")


# sweep.json.

WHO = Identity(
    sweep="k3f9",
    name="stühle",
    endpoint="https://api.runflow.io",
    label="2026-05-04",
    organisation="org_1",
    manifest="/m/chairs.yaml",
)


@pytest.mark.parametrize("identity", [WHO, Identity(sweep="k", name="n", endpoint="simulator")])
def test_an_identity_survives_its_file(tmp_path: Path, identity: Identity) -> None:
    write_identity(tmp_path, identity)

    assert read_identity(tmp_path) == identity


def test_the_keys_of_sweep_json_are_those_of_the_contract(tmp_path: Path) -> None:
    write_identity(tmp_path, WHO)

    assert set(json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))) == {
        *("sweep", "name", "label", "endpoint", "organisation", "manifest")
    }


def test_a_folder_without_one_is_nobody_s(tmp_path: Path) -> None:
    assert read_identity(tmp_path) is None


def test_a_key_of_a_later_version_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{"sweep":"k","name":"n","endpoint":"e","new":1}')

    assert read_identity(tmp_path) == Identity(sweep="k", name="n", endpoint="e")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"sweep":"k"}', b'{"sweep":1}', b"\xff"])
def test_a_damaged_one_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "sweep.json").write_bytes(data)

    with pytest.raises(FolderError, match=r"/sweep\.json is damaged: "):
        read_identity(tmp_path)


# One field of a CSV.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("a chair", "a chair"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("'tis", "''tis"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (True, "true"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (["ä"], '["ä"]'),
    ],
)
def test_a_field_is_safe_and_exact(value: object, text: str) -> None:
    assert field(value) == text


@given(st.text())
def test_text_can_be_told_from_its_field(text: str) -> None:
    assert field(text).removeprefix("'") == text
    assert not field(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


FOLDED = """\
models: [google/nano-banana-2]
inputs: {prompt: "a chair"}
vars: {shade: [red, "red ", blue]}
"""


def test_the_column_of_costs_adds_up_to_what_was_spent(tmp_path: Path) -> None:
    """A cell failed and was paid, and has a run too many; two more points come to it."""
    manifest = manifest_of(tmp_path, FOLDED)
    [key] = {cell.key for cell in expand(manifest)}
    lines: list[AnyRecord] = [
        *(intent(key), submitted(key), finished(key, status="failed", cost=Decimal("0.02"))),
        *(intent(key, 2), submitted(key, 2), finished(key, 2, cost=Decimal("0.10"))),
        Extra(cell=key, attempt=2, run_id="second"),
        Extra(cell=key, attempt=2, run_id="second", cost=Decimal("0.07")),
    ]
    ledger = MemoryLedger(lines)

    write_results(OutputStore(tmp_path), manifest, ledger)

    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(each["cost"], each["shared"]) for each in rows] == [
        ("0.19", False),
        (None, True),
        (None, True),
    ]
    assert ledger.book.cost == Decimal("0.19")
    with (tmp_path / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert sum(Decimal(each["cost"] or 0) for each in table) == ledger.book.cost
