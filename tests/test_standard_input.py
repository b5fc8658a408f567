"""A manifest on standard input: `batchrun -`."""

import io
import json
import sys
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.commands.target import Place, command_of, recover_of
from batchrun.results.starts import newest_start
from batchrun.sweep.location import LEDGER

TEXT = "name: chairs\nendpoint: simulator\nmodels: [google/nano-banana-2]\n"
CHAIRS = f"{TEXT}inputs: {{prompt: [a red chair, a blue chair]}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_manifest_on_standard_input_is_planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    give(monkeypatch, CHAIRS)

    assert main(["plan", "-", "--json", "--label", "x"]) == 0

    plan = json.loads(capsys.readouterr().out)
    assert plan["plan"]["to_do"] == 2
    assert plan["outputs"] == str(tmp_path / "outputs/@simulator/chairs/@x")
    assert "`batchrun - --label x < MANIFEST`" in plan["next"]


def test_its_mistakes_have_places(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, f"{TEXT}limits: {{concurency: 3}}\n")

    assert main(["-", "--json"]) == 2

    shown = capsys.readouterr()
    assert "<stdin>:4:10: unknown key `limits.concurency`" in shown.err
    stopped = json.loads(shown.out)
    assert (stopped["name"], stopped["endpoint"]) == ("chairs", "simulator")
    assert "`batchrun - < MANIFEST`" in stopped["next"]


def test_it_has_to_say_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, CHAIRS.replace("name: chairs\n", ""))

    assert main(["plan", "-"]) == 2

    assert "<stdin>:1:1: a manifest that is no file needs a `name`" in capsys.readouterr().err


def test_json_is_taken_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(
        monkeypatch, '{"name": "x", "endpoint": "simulator", "models": ["a/b"], "rows": [{"a": 1}]}'
    )

    assert main(["plan", "-", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["name"] == "x"


def test_files_beside_it_are_those_of_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text("prompt\na red chair\na blue chair\na green chair\n")
    give(monkeypatch, f"{TEXT}rows: p.csv\n")

    assert main(["plan", "-", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["plan"]["to_do"] == 3


def test_a_closed_standard_input_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert main(["plan", "-"]) == 2

    assert "`-` is a manifest on standard input, and there is none" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["-", "<stdin>", "/there/<stdin>", "<mapping>"])
def test_a_command_that_goes_on_takes_it_from_standard_input_again(path: str) -> None:
    command = command_of(Path(path), Place(label="x"))

    assert command == "batchrun - --label x < MANIFEST"
    assert recover_of(command) == "batchrun recover - --label x < MANIFEST"


@pytest.mark.slow
def test_a_sweep_from_standard_input_is_run_gone_on_with_and_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reports = []
    for _ in range(2):
        give(monkeypatch, CHAIRS)
        assert main(["-", "--rate", "40/s", "--interval", "200ms", "--json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))

    assert [each["succeeded"] for each in reports] == [2, 2]
    assert reports[1]["requests"] == 0  # it had nothing to do
    folder = tmp_path / "outputs/@simulator/chairs"
    assert (folder / LEDGER).exists()
    start = newest_start(folder)
    assert start is not None
    assert start.manifest == CHAIRS
    for words in (["status", "-"], ["status", str(folder)]):
        give(monkeypatch, CHAIRS)
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert "all 2 done" in shown
        assert "is gone since the last start" not in shown
    cell = next((folder / "files").rglob("*.png")).stem
    for words in (["why", "-", cell], ["logs", "-", cell], ["logs", "-", cell, "--json"]):
        give(monkeypatch, CHAIRS)
        assert main(words) == 0
        assert cell in capsys.readouterr().out
