"""Mistakes of input, end to end: found before any call that creates, said by a plan."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from called import Sweep, ask, created
from processes import simulator

from batchrun.cli import main

SHEET = """\
name: sheet
models: [google/nano-banana-2]
rows: prompts.csv
poll: {interval: 500ms}
"""
ROWS = """\
prompt,aspect_ratio,num_images
a red chair,1:1,1
a blue chair,16:10,1
a green chair,1:1,9
no,16:9,1
"""
PLACES = [("prompts.csv", 3, 14), ("prompts.csv", 4, 19), ("prompts.csv", 5, 1)]
pytestmark = pytest.mark.slow
Make = Callable[[str, str], Sweep]


@pytest.fixture
def make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Make:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    (tmp_path / "prompts.csv").write_text(ROWS)
    (tmp_path / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n0")
    return lambda text, url: Sweep(tmp_path, url, text, capsys)


def test_three_mistakes_in_a_sheet_are_refused_before_any_call_that_creates(
    tmp_path: Path, make: Make
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        code, report, said = make(SHEET, url).call()

        problems = report["error"]["problems"]
        found = [(Path(p["source"]).name, p["line"], p["column"]) for p in problems]
        assert (code, found) == (2, PLACES)
        assert "4 | a green chair,1:1,9" in said
        assert "nothing was sent; `--input-errors warn` sends such cells all the same" in said
        assert created(url) == 0


def test_a_plan_says_what_would_be_refused_and_is_exit_0(
    tmp_path: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        make(SHEET, url)
        words = ["plan", str(tmp_path / "m.yaml"), "--endpoint", url]

        codes = [main(words), main([*words, "--json"]), main([*words, "--input-errors=warn"])]
        shown = capsys.readouterr().out
        screen, _, rest = shown.partition("\n{")
        report, _, warned = rest.partition("\n")

        found = json.loads("{" + report)["input_problems"]
        assert codes == [0, 0, 0]
        assert [(Path(p["source"]).name, p["line"], p["column"]) for p in found] == PLACES
        assert {p["severity"] for p in found} == {"error"}
        for text in (screen, warned):
            assert "prompts.csv:3:14: `aspect_ratio`: google/nano-banana-2 doesn't take" in text
        assert screen.endswith("(exit 2): the models' descriptions rule out inputs of the manifest")
        assert warned.endswith("--input-errors=warn` begins 4 cells\n")
        assert created(url) == 0


def test_a_file_is_not_uploaded_for_a_call_that_is_refused(tmp_path: Path, make: Make) -> None:
    text = """\
models: [google/nano-banana-2/edit]
inputs: {prompt: [a chair, ""], image_urls: [[{$file: one.png}]]}
"""
    with simulator(tmp_path / "state.sqlite") as url:
        code, report, _ = make(text, url).call()

        assert code == 2
        assert [p["line"] for p in report["error"]["problems"]] == [2]
        assert not any("asset" in name for name in stats(url))


def stats(url: str) -> list[str]:
    return [*ask(url, "/_simulator/stats")["requests"]]


def test_with_warn_such_cells_are_sent_all_the_same_and_said(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        code, report, said = make(SHEET + "limits: {input_errors: warn}\n", url).call()

        assert (code, report["succeeded"], report["rejected"]) == (1, 1, 3)
        assert said.count("google/nano-banana-2 ") >= 3
        assert "prompts.csv:3:14: `aspect_ratio`" in said


def test_what_is_done_is_no_mistake_and_what_is_not_sent_is_none(
    tmp_path: Path, make: Make
) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        assert make(SHEET, url).call("--input-errors=warn")[0] == 1
        sweep = make(SHEET, url)

        again = sweep.call()  # three were rejected, for good
        some = sweep.call("--only", "prompt=a red chair", "--retry-failed")
        refused = sweep.call("--retry-failed", "--only", "code=VALIDATION_ERROR")

        assert (again[0], some[0]) == (1, 0)
        assert "error" not in again[1]
        assert (refused[0], len(refused[1]["error"]["problems"])) == (2, 3)


def test_limit_speaks_of_the_first_cells_alone(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        first = make(SHEET, url).call("--limit", "1")
        rest = make(SHEET, url).call("--limit", "1")

        assert (first[0], first[1]["succeeded"]) == (3, 1)
        assert rest[0] == 2
        assert [p["line"] for p in rest[1]["error"]["problems"]] == [3]


def test_what_has_succeeded_here_with_a_value_is_a_warning(tmp_path: Path, make: Make) -> None:
    text = """\
models: [google/nano-banana-2]
inputs: {prompt: PROMPTS, mood: sad}
poll: {interval: 500ms}
"""
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        refused = make(text.replace("PROMPTS", "[a chair]"), url).call()
        sent = make(text.replace("PROMPTS", "[a chair]"), url).call("--input-errors=warn")
        more = make(text.replace("PROMPTS", "[a chair, a bed]"), url).call()

        assert [refused[0], sent[0], more[0]] == [2, 0, 0]
        assert "`mood`: google/nano-banana-2 has no such input" in json.dumps(refused[1])
        assert "a run with it succeeded here all the same" in more[2]
        assert more[1]["succeeded"] == 2
        other = tmp_path / "outputs"
        [ledger] = other.rglob("ledger.jsonl")
        broken = ledger.parent.with_name("broken")
        broken.mkdir()
        (broken / "ledger.jsonl").write_bytes(ledger.read_bytes()[:-9] + b"}\n{")

        night = make(text.replace("PROMPTS", "[a chair]"), url).call("--label", "night")

        assert (night[0], night[1]["succeeded"]) == (0, 1)
        assert "a run with it succeeded here all the same" in night[2]
