"""Rows that come to one cell are named, and how they spell what is one value."""

import os
from pathlib import Path

import pytest
from processes import simulator

from batchrun.cli import main
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.planning import shared_runs
from batchrun.planning.shared_runs import shared_rows

SHEET = "sku,n,ok\na,1000,TRUE\nb,2,true\na,1000.0,TRUE\nb,2,True\nb,2,True\n"


def said(folder: Path, text: str, **files: str) -> list[str]:
    for name, content in {"s_csv": SHEET, **files}.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    (folder / "m.yaml").write_text(f"models: [a/b]\n{text}\n", encoding="utf-8")
    manifest = load_manifest(folder / "m.yaml", os.environ)
    keys, folded = set[str](), []
    for cell in expand(manifest):
        if cell.key in keys:
            folded.append(cell)
        keys.add(cell.key)
    at = f"{folder}{os.sep}"
    return [line.replace(at, "") for line in shared_rows(manifest, folded)]


NUMBER = "s.csv:4 shares the run of s.csv:2: `1000.0` and `1000` are one value of `n`"
BOOLEAN = "s.csv:5 shares the run of s.csv:3: `True` and `true` are one value of `ok`"
APART = "where the model takes text,"
SIXTH = BOOLEAN.replace(":5", ":6")

CASES: dict[str, tuple[str, list[str]]] = {
    "columns as they are": (
        "rows: s.csv",
        [
            f"{NUMBER}; {APART} `text: [n]` in `rows` keeps them apart",
            f"{BOOLEAN}; {APART} `text: [ok]` in `rows` keeps them apart",
            f"{SIXTH}; {APART} `text: [ok]` in `rows` keeps them apart",
        ],
    ),
    "a column that is used alone": (
        "rows: {file: s.csv, send: []}\ninputs: {x: '${n}'}",
        [f"{NUMBER}; {APART} `text: [n]` in `rows` keeps them apart"],
    ),
    "below an axis": (
        "rows: {file: s.csv, send: [sku, n]}\ninputs: {x: [1, 2]}",
        [f"{NUMBER}; {APART} `text: [n]` in `rows` keeps them apart"],
    ),
    "a column whose type is said": (
        "rows: {file: s.csv, send: [sku, n], number: [n], boolean: [ok]}",
        [NUMBER],
    ),
    "rows that are alike": (
        "rows: {file: s.csv, send: [sku]}",
        ["s.csv:4 shares the run of s.csv:2"],
    ),
    "fields that are in no cell": (
        "rows: {file: s.csv, send: [sku]}\ninputs: {x: ['a', 'b ${n}']}",
        ["s.csv:4 shares the run of s.csv:2"],
    ),
    "fields that differ inside text": (
        "rows: {file: s.csv, send: []}\ninputs: {x: '${sku} ${n} ${ok} -'}",
        ["s.csv:6 shares the run of s.csv:5"],
    ),
    "values of one axis": ("inputs: {x: [1, 1.0]}", []),
    "rows of the manifest": (
        "rows:\n- {x: 1}\n- {x: 1}",
        ["m.yaml:4 shares the run of m.yaml:3"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_rows_that_come_to_one_cell_are_named(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert said(tmp_path, text) == expected


def test_none_is_named_where_too_much_would_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_runs, "MOST", 3)

    assert said(tmp_path, "rows: s.csv") == []


def test_a_plan_names_them_below_the_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY", raising=False)
    said(tmp_path, "rows: {file: s.csv, send: [sku, n]}")

    assert main(["plan", str(tmp_path / "m.yaml")]) == 0

    shown = capsys.readouterr().out.splitlines()
    count = "3 of 5 combinations send their model the same as another, so they share a run"
    assert shown[shown.index(count) + 1] == (
        f"{NUMBER.replace('s.csv', f'{tmp_path}/s.csv')}; {APART} `text: [n]` in `rows` keeps "
        "them apart"
    )


@pytest.mark.slow
def test_a_call_names_them_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    said(tmp_path, "rows: {file: s.csv, send: [n]}")

    with simulator(tmp_path / "state") as url:
        main([str(tmp_path / "m.yaml"), "--endpoint", url])

    assert f"{NUMBER.replace('s.csv', f'{tmp_path}/s.csv')}; {APART}" in capsys.readouterr().err
