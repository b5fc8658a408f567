"""`--retry-failed` says what it may cost, asks above a sum, and leaves out what it can't help."""

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from engine_world import Begun
from ledger_lines import SWEEP, finished, intent, saved, submitted, text
from msgspec.structs import replace
from simulated import Json, Runflow

from batchrun.cli import main
from batchrun.ledger.records import AnyRecord, Rejected
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.runflow import published_prices

MANIFEST: Final = """\
name: chairs
models: [{id: m, alias: banana}, {id: n/other, alias: other}]
inputs: {prompt: [one, two, three, four]}
limits: {settle: 300ms, rate: 1000/s, give_up: 100ms}
outputs: {download: false}
"""
NOWHERE: Final = "http://127.0.0.1:9"
SENT: Final = 8
"""The exit code of a call that goes on to the service, of which there is none here."""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Unreadable:
    """A terminal of which nothing can be read, for an *error*."""

    closed = False

    def __init__(self, error: Exception) -> None:
        self._error = error

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        raise self._error


GONE: Final = OSError(5, "Input/output error")
GARBLED: Final = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


class Project:
    """A sweep of which some cells ended badly."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest = folder / "m.yaml"
        self.manifest.write_text(MANIFEST.replace("id: m,", "id: google/nano-banana-2,"))
        self._capsys = capsys
        place = folder / "outputs" / "@127.0.0.1-9" / "chairs"
        place.mkdir(parents=True)
        self.ledger = place / "ledger.jsonl"

    def write(self, **ends: Rejected | str | None) -> None:
        """Write how the cells of banana ended, by their prompts: a failure code, or a line."""
        cells = {str(cell.input["prompt"]): cell for cell in self.cells() if cell.alias == "banana"}
        lines: list[AnyRecord] = []
        for prompt, end in ends.items():
            about: Any = {"model": "google/nano-banana-2", "alias": "banana"}
            key = cells[prompt].key
            lines.append(intent(key, **about))
            match end:
                case None:
                    lines += [submitted(key), finished(key, cost=Decimal("0.04")), saved(key)]
                case str():
                    bad: Any = {"status": "failed", "cost": None, "failure_code": end}
                    lines += [submitted(key), finished(key, **bad)]
                case _:
                    lines.append(replace(end, cell=key))
        sweep = replace(SWEEP, endpoint=NOWHERE, label=None)
        self.ledger.write_bytes(text([sweep], lines))

    def cells(self) -> list[Any]:
        return list(expand(load_manifest(self.manifest, {})))

    def call(self, *words: str) -> tuple[int, Any, str]:
        """Return the exit code, the object, and what was said."""
        code = main([str(self.manifest), "--endpoint", NOWHERE, "--json", *words])
        shown = self._capsys.readouterr()
        return code, json.loads(shown.out), shown.err


@pytest.fixture
def project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Project:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    monkeypatch.setattr("sys.stdin", StringIO())
    return Project(tmp_path, capsys)


ATTEMPTS: Final = ("--attempts", "1", "--retry-failed")


def test_it_says_how_many_and_what_they_cost_before_it_sends(project: Project) -> None:
    refused = Rejected(cell="", attempt=1, http_status=422, message="no such ratio")
    project.write(one=None, two="BUSY", three="BUSY", four=refused)

    code, _, said = project.call(*ATTEMPTS)

    assert code == SENT
    assert "`--retry-failed` tries 3 cells again (2 failed, 1 rejected), about 0.12 USD\n" in said
    assert "leaves out" not in said


def test_where_no_sweep_is_to_be_tried_again_those_of_other_labels_are_named(
    project: Project,
) -> None:
    project.write(one="BUSY")

    _, _, said = project.call(*ATTEMPTS, "--label", "tue")
    _, _, again = project.call(*ATTEMPTS)

    note = "no sweep is here to be tried again, and one begins; a sweep without a label is here\n"
    assert note in said
    assert note not in again


def test_it_says_what_it_leaves_out_and_how_to_have_it(project: Project) -> None:
    project.write(one="NSFW", two="NSFW", three="INPUT_VALIDATION_FAILED", four="A,B")

    _, _, said = project.call(*ATTEMPTS)

    assert "tries 1 cell again (1 failed)" in said
    assert (
        "leaves out 2 moderated and 1 failed for the input; "
        "`--retry-failed --only code=NSFW,INPUT_VALIDATION_FAILED` tries these once more"
    ) in said


def test_a_code_that_is_named_is_not_left_out(project: Project) -> None:
    project.write(one=None, two="NSFW", three="BUSY", four="INPUT_VALIDATION_FAILED")

    _, _, said = project.call(*ATTEMPTS, "--only", "code=NSFW")

    assert "tries 1 cell again (1 failed), about 0.04 USD" in said
    assert "leaves out" not in said


def test_the_plan_leaves_out_the_same(project: Project) -> None:
    project.write(one="NSFW", two="BUSY", three="INPUT_VALIDATION_FAILED", four="NSFW")

    counts = [
        project.call(*ATTEMPTS, "--dry-run", "--only", "model=banana", *more)[1]["next"]
        for more in ((), ("--only", "code=NSFW"))
    ]

    assert [" begins 1 cell" in counts[0], " begins 2 cells" in counts[1]] == [True, True]


def test_what_has_nothing_to_try_again_says_nothing(project: Project) -> None:
    project.write(one=None)

    _, _, said = project.call(*ATTEMPTS)

    assert "--retry-failed` tries" not in said


def test_without_a_sum_nothing_is_asked(project: Project) -> None:
    project.write(one="BUSY")

    assert project.call(*ATTEMPTS)[0] == SENT


@pytest.mark.parametrize(
    ("above", "yes", "code"),
    [("0.07", [], 2), ("0.08", [], SENT), ("0.07", ["--yes"], SENT), ("0", [], 2)],
)
def test_above_the_sum_a_pipe_is_refused_without_yes(
    project: Project, above: str, yes: list[str], code: int
) -> None:
    project.write(one=None, two="BUSY", three="BUSY")
    before = project.ledger.read_bytes()

    found, report, _ = project.call(*ATTEMPTS, "--confirm-above", above, *yes)

    assert found == code
    if code == 2:
        message = report["error"]["message"]
        assert (
            f"trying these again costs about 0.08 USD, above the {Decimal(above):.2f} USD"
            in message
        )
        assert "say so with `--yes`; nothing was sent" in message
        assert project.ledger.read_bytes() == before


def test_a_price_that_is_not_known_is_above_any_sum(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_prices, "TABLE", {})
    project.write(two="BUSY")  # no run has cost anything, and no catalogue answers

    code, report, _ = project.call(*ATTEMPTS, "--confirm-above", "1000", "--quiet")

    assert code == 2
    assert "is not known, and counts as above" in report["error"]["message"]


def test_no_question_is_put_where_nothing_is_tried_again(project: Project) -> None:
    project.write(one="NSFW")

    assert project.call(*ATTEMPTS, "--confirm-above", "0")[0] == SENT


def test_the_manifest_may_set_the_sum(project: Project) -> None:
    text_now = project.manifest.read_text()
    project.manifest.write_text(text_now.replace("limits: {", "limits: {confirm_above: 0.03, "))
    project.write(one=None, two="BUSY")

    assert project.call(*ATTEMPTS)[0] == 2
    assert project.call("--attempts", "1")[0] == SENT  # nothing is tried again


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
@pytest.mark.parametrize(("typed", "code"), [("n\n", 2), ("", 2), ("y\n", SENT), ("YES\n", SENT)])
def test_a_terminal_is_asked(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    code: int,
    quiet: tuple[str, ...],
) -> None:
    project.write(one=None, two="BUSY")
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    found, _, said = project.call(*ATTEMPTS, "--confirm-above", "0.01", *quiet)

    assert found == code
    assert "tries 1 cell again (1 failed), about 0.04 USD\n" in said
    assert "trying these again costs about 0.04 USD, above the 0.01 USD of" in said
    assert said.count("? [y/N] ") == 1


@pytest.mark.parametrize("stdin", [None, Terminal("y\n"), Unreadable(GONE), Unreadable(GARBLED)])
def test_an_input_that_gives_no_answer_is_no_yes(
    project: Project, monkeypatch: pytest.MonkeyPatch, stdin: Any
) -> None:
    project.write(one=None, two="BUSY")
    if type(stdin) is Terminal:
        stdin.close()
    monkeypatch.setattr("sys.stdin", stdin)

    assert project.call(*ATTEMPTS, "--confirm-above", "0.01")[0] == 2


def test_the_command_that_goes_on_does_not_say_yes(project: Project) -> None:
    project.write(one=None, two="BUSY")

    _, report, _ = project.call(*ATTEMPTS, "--confirm-above", "0.01", "--yes")

    assert "--confirm-above 0.01" in report["next"]
    assert "--yes" not in report["next"]


def test_a_code_of_odd_letters_moves_no_cursor(project: Project) -> None:
    project.write(one="NSFW \x1b[31m")

    assert "\x1b" not in project.call(*ATTEMPTS)[2]


# The engine does what was said.


def with_code(code: str) -> Any:
    def edited(run: Json) -> Json:
        return {**run, "failure_code": code} if run["status_code"] == "failed" else run

    return edited


@pytest.mark.parametrize(
    ("code", "runs"),
    [("BUSY", [2, 4, 6]), ("NSFW", [1, 1, 2]), ("INPUT_VALIDATION_FAILED", [1, 1, 2])],
)
async def test_runs_are_made_for_what_may_succeed_and_for_codes_that_are_named(
    tmp_path: Path, code: str, runs: list[int]
) -> None:
    service = Runflow(ending=lambda _: "failed", edit_run=with_code(code))
    world = Begun(tmp_path, service, text="models: [a/b]\ninputs: {prompt: a}\n")
    made = []
    for options in ({}, {"retry_failed": True}, {"retry_failed": True, "only": {"code": (code,)}}):
        await world.call(attempts=2, **options)
        made.append(service.paid().total())

    assert made == runs
