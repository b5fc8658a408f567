"""`batchrun plan`: what it says of what is to come, and what that may cost."""

import hashlib
import json
import socket
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from ledger_lines import SWEEP, finished, intent, submitted, text
from raw_server import raw_server

from batchrun.catalogue import asking
from batchrun.commands import paid_before
from batchrun.commands.run import main
from batchrun.ledger.records import AnyRecord, Uploaded
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.terminal_table import NO_CELL
from batchrun.simulator.catalog import Model
from batchrun.simulator.models import MODELS

MANIFEST = """\
name: chairs
models:
  - {id: google/nano-banana-2, alias: banana, omit: [duration]}
  - {id: bytedance/seedance/2.0/fast/text-to-video, alias: seedance}
inputs: {prompt: [a, b, c], duration: ["4", "6"]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the simulator's notes on prices be labels, which those of most models are not."""
    for model in ("google/nano-banana-2", "bytedance/seedance/2.0/fast/text-to-video"):
        known = cast("dict[str, Model]", MODELS)
        monkeypatch.setitem(known, model, replace(MODELS[model], note=None))


def plan(manifest: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main([str(manifest), "--dry-run", *words]) == 0
    shown, said = capsys.readouterr()
    assert said == ""
    return [" ".join(line.split()) for line in shown.splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("labelled")
def test_a_price_is_known_before_anything_was_run(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(manifest.parent.iterdir())
    shown = plan(manifest, "--endpoint", "simulator", capsys=capsys)

    assert shown[1] == "banana 3 0 0 3 about 0.240 USD (0.240 to 0.960) the service's label"
    seedance = shown[2].partition(" (")[0]
    assert seedance == "seedance 6 0 0 6 about 7.257 USD"  # by the second: 3 of 4, 3 of 6
    total = "about 7.497 USD (7.497 to 29.988)"
    assert shown[3] == f"9 cells, 9 to do, {total}; nothing was sent"
    assert list(manifest.parent.iterdir()) == before


@pytest.mark.slow
@pytest.mark.usefixtures("labelled")
def test_what_runs_have_cost_in_this_sweep_comes_before_the_catalogue(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = next(expand(load_manifest(manifest, {})))
    folder = manifest.parent / "outputs" / "@simulator" / "chairs"
    folder.mkdir(parents=True)
    done: list[AnyRecord] = [
        intent(cell.key),
        submitted(cell.key),
        finished(cell.key, cost=Decimal("0.30")),
    ]
    (folder / "ledger.jsonl").write_bytes(text([SWEEP], done))
    shown = plan(manifest, "--endpoint", "simulator", capsys=capsys)

    assert shown[1] == "banana 3 1 0 2 about 0.600 USD runs of the same choice"
    assert shown[2].endswith("the service's label")


def written(manifest: Path, *records: AnyRecord) -> None:
    """Write the ledger of the sweep that `--label x` means, at the default endpoint."""
    folder = manifest.parent / "outputs" / "chairs" / "@x"
    folder.mkdir(parents=True)
    (folder / "ledger.jsonl").write_bytes(text([SWEEP], list(records)))


def test_a_text_that_turns_a_terminal_around_is_escaped(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(MANIFEST.replace("[a, b, c]", r'"a\u202eb\e[31m"'))

    shown = "\n".join(plan(manifest, capsys=capsys))

    assert r"a\u202eb\u001b[31m" in shown
    assert shown.replace("\n", "").isprintable()


def test_only_files_that_are_not_at_the_service_are_to_be_uploaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        'name: chairs\nmodels: [a/one]\ninputs: {image_url: {$glob: "*.png"}, prompt: [p, q]}\n'
    )
    there = hashlib.sha256((tmp_path / "b.png").read_bytes()).hexdigest()
    words = ["--endpoint", "http://127.0.0.1:9", "--label", "x"]
    shown = plan(manifest, *words, capsys=capsys)
    assert "3 files to upload, 27 B" in shown
    assert any(line.startswith("at least 17 calls, ") for line in shown)  # 5, 6 runs, 3 * 2

    folder = tmp_path / "outputs" / "@127.0.0.1-9" / "chairs" / "@x"
    folder.mkdir(parents=True)
    uploaded = Uploaded(sha256=there, asset_id="a1", reference="runflow://assets/a1")
    (folder / "ledger.jsonl").write_bytes(text([SWEEP], [uploaded]))
    shown = plan(manifest, *words, capsys=capsys)

    assert "2 files to upload, 18 B" in shown
    assert any(line.startswith("at least 16 calls, ") for line in shown)  # it is asked for


@pytest.mark.parametrize(
    ("words", "rows", "says"),
    [
        (["--only", "prompt=a"], ["banana 1 0 0 1", "seedance 2 0 0 2"], "3 of 9 cells, 3 to do"),
        (["--only", "model=banana"], ["banana 3 0 0 3"], "3 of 9 cells, 3 to do"),
        (["--limit", "4"], ["banana 3 0 0 2", "seedance 6 0 0 2"], "9 cells, 4 to do"),
        (
            ["--only", "prompt=a,b", "--limit", "1"],
            ["banana 2 0 0 1", "seedance 4 0 0 0"],
            "6 of 9 cells, 1 to do",
        ),
    ],
)
def test_it_is_what_a_call_with_the_same_options_would_do(
    manifest: Path,
    words: list[str],
    rows: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = plan(manifest, "--endpoint", "http://127.0.0.1:9", *words, capsys=capsys)

    table = shown[: shown.index("first:")]
    found = [line for line in table if line.startswith(("banana", "seedance"))]
    assert all(line.startswith(row) for line, row in zip(found, rows, strict=True))
    assert any(line.startswith(f"{says}, about ") for line in shown)
    assert ("leaves" in "\n".join(shown)) == ("--limit" in words)
    assert " ".join(words) in shown[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("labelled")
def test_the_price_is_that_of_the_cells_that_would_be_begun(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ("--only", "model=banana", "--limit", "2")
    shown = plan(manifest, "--endpoint", "simulator", *only, capsys=capsys)

    total = "about 0.16 USD (0.16 to 0.64)"
    assert shown[1] == f"banana 3 0 0 2 {total} the service's label"
    assert shown[2] == f"3 of 9 cells, 2 to do, {total}; nothing was sent"
    assert shown[3] == "`--limit 2` leaves 1 more to later calls"


def test_the_limit_counts_new_cells_and_what_comes_after_it_is_for_later(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, second, _, fourth, *_ = dict.fromkeys(
        each.key for each in expand(load_manifest(manifest, {}))
    )
    failed: list[AnyRecord] = []
    for key in (second, fourth):
        failed += [intent(key), submitted(key), finished(key, status="failed")]
    written(manifest, *failed)
    shown = plan(manifest, "--label", "x", "--limit", "1", capsys=capsys)

    assert [line for line in shown if line.startswith("9 cells, 2 to do")]
    assert "1 cell of these had a run before" in shown
    assert "`--limit 1` leaves 7 more to later calls" in shown


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("0.89", ["the budget of 0.89 USD covers about 1 of 2 cells; 0.30 USD are spent"]),
        ("0.90", []),
    ],
)
def test_a_budget_that_is_less_than_that_is_said(
    manifest: Path, budget: str, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = expand(load_manifest(manifest, {}))
    ended = finished(first.key, cost=Decimal("0.30"))
    written(manifest, intent(first.key), submitted(first.key), ended)
    words = ("--label", "x", "--only", "model=banana", "--budget", budget)
    shown = plan(manifest, *words, capsys=capsys)

    assert shown[2].startswith("3 of 9 cells, 2 to do, about 0.60 USD; nothing was sent")
    assert [line for line in shown if line.startswith("the budget")] == says


def test_with_retry_failed_what_had_its_attempts_is_to_do(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = expand(load_manifest(manifest, {}))
    ended = finished(first.key, status="cancelled")
    written(manifest, intent(first.key), submitted(first.key), ended)
    words = ("--label", "x", "--only", f"cell={first.short}")
    without = plan(manifest, *words, capsys=capsys)
    shown = plan(manifest, *words, "--retry-failed", capsys=capsys)

    assert without[1] == "banana 1 0 1 0 0 none"
    assert without[-1].endswith("--retry-failed` tries it again; 1 cancelled cell may cost again")
    assert "1 of 3 banana: cancelled (cell " in "\n".join(without)
    assert shown[1].startswith("banana 1 0 0 1 about 0.08 USD")
    assert shown[-1].endswith("--retry-failed` begins 1 cell")


def test_what_is_under_way_is_gone_on_with(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = expand(load_manifest(manifest, {}))
    written(manifest, intent(first.key), submitted(first.key))
    shown = plan(manifest, "--label", "x", "--only", f"cell={first.short}", capsys=capsys)

    assert shown[1] == "banana 1 0 1 0 none"
    assert shown[-1].endswith("goes on with what has begun; it begins no other cell")


def test_without_a_key_nobody_is_asked_and_that_is_said(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with raw_server(["close"]) as server:
        shown = plan(manifest, "--endpoint", server.url, capsys=capsys)

    assert shown[1].endswith("published, 2026-05")
    assert server.connections == 0


def test_a_value_of_the_environment_is_not_shown(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_MINE", "hunter2")
    manifest.write_text(
        'models: [my/model]\ninputs: {config: [[{key: "a ${env:TOKEN_OF_MINE}"}]]}\n'
    )
    shown = plan(manifest, capsys=capsys) + plan(manifest, "--json", capsys=capsys)

    assert "hunter2" not in "".join(shown)
    assert 'my-model {"config": [{"key": "a ${env:TOKEN_OF_MINE}"}]}' in "".join(shown)


def test_a_price_that_nothing_says_is_unknown_and_no_zero(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text("models: [my/model, bria/background/remove]\ninputs: {image_url: [a, b]}\n")
    shown = plan(manifest, capsys=capsys)

    assert shown[1] == "my-model 2 0 0 2 unknown not known"
    assert shown[3].startswith("4 cells, 4 to do, at least 0.036 USD (0.036 to 0.144); nothing")
    assert shown[4].startswith(
        "the price of 2 cells is not known: my-model; `price` beside a model's"
    )
    assert "RUNFLOW_API_KEY is not set" in "".join(shown)


@pytest.mark.slow
def test_a_service_that_does_not_answer_costs_the_price_and_not_the_plan(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with raw_server(["close"]) as server:
        shown = plan(manifest, "--endpoint", server.url, "--give-up", "1s", capsys=capsys)

    assert shown[2].endswith("published, 2026-05")
    assert server.connections > 0


def test_as_json_it_is_the_counts_and_without_a_key_no_service_is_asked(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY", raising=False)
    with raw_server(["close"]) as server:
        [line] = plan(manifest, "--endpoint", server.url, "--json", capsys=capsys)

    assert (json.loads(line)["cells"], json.loads(line)["folded"]) == (9, 3)
    assert json.loads(line)["next"].endswith(f"--endpoint {server.url}` begins 9 cells")
    assert server.connections == 0


def test_one_cell_and_one_point_are_not_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("models: [a/b]\ninputs: {prompt: [x, x]}\n")

    shown = plan(path, capsys=capsys)

    assert "1 cell, 1 to do; nothing was sent" in shown
    assert "1 of 2 combinations sends its model the same as another, so it shares a run" in (
        "\n".join(shown)
    )


def test_a_manifest_that_excludes_every_cell_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("models: [a/b]\ninputs: {prompt: [x]}\nexclude: [{prompt: x}]\n")

    shown = plan(path, capsys=capsys)

    assert "0 cells, 0 to do; nothing was sent" in shown
    assert NO_CELL in shown


def test_a_service_that_gives_no_answer_does_not_hold_a_plan_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paid_before, "LONGEST", 0.2)
    monkeypatch.setattr(asking, "LONGEST", 0.2)
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_plan")
    manifest = tmp_path / "m.yaml"
    manifest.write_text("models: [a/model]\ninputs: {prompt: [a chair, a stool]}\n")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        shown = "\n".join(plan(manifest, "--endpoint", endpoint, capsys=capsys))

    assert "whether this sweep was begun elsewhere could not be asked: no answer within" in shown
    assert "2 cells, 2 to do" in shown


def test_cells_are_counted_with_commas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY", raising=False)
    manifest = tmp_path / "m.yaml"
    manifest.write_text("models: [a/b]\ninputs: {n: {$range: [1, 1200]}}\n")

    shown = plan(manifest, "--endpoint", "http://127.0.0.1:9", capsys=capsys)

    assert any(line.startswith("1,200 cells, 1,200 to do; ") for line in shown)
