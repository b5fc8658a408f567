"""README.md: whoever follows it literally sees what it shows."""

import re
import shlex
from pathlib import Path

import pytest

from batchrun.cli import COMMANDS
from batchrun.commands.options import simulator_missing
from batchrun.commands.run_options import parse
from batchrun.errors import PRECEDENCE

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = ("point", "cell", "sweep")
COMMAND_LINES = re.findall(r"^    (?:.* && \S*/)?(batchrun .*)$", TEXT, re.MULTILINE)


def test_the_manifest_it_shows_is_the_quickstart_but_for_the_editors_line() -> None:
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    editors, _, rest = (ROOT / "manifests" / "quickstart.yaml").read_text().partition("\n\n")

    assert shown == rest
    assert editors.startswith("# yaml-language-server: ")
    assert "\n" not in editors


def test_what_it_needs_is_said_before_the_first_command() -> None:
    before, _, _ = TEXT.partition("\n    ")

    assert "POSIX" in before
    assert "Python 3.11" in before


@pytest.mark.parametrize("end", ["/batchrun manifests/quickstart.yaml", "/pytest -n auto"])
def test_the_main_job_and_the_tests_are_one_line_each_in_any_shell(end: str) -> None:
    [line] = [line for line in TEXT.splitlines() if line[:4] == "    " and line.endswith(end)]
    programs = [command.split()[0] for command in line.split(" && ")]

    assert programs == [
        "python3",
        ".venv/bin/pip",
        end.partition(" ")[0].replace("/", ".venv/bin/"),
    ]


def test_the_command_is_installed_before_it_is_called_by_its_name() -> None:
    before, _, _ = TEXT.partition("\n    batchrun ")

    assert all(f"`{way} install '.[simulator]'`" in before for way in ("uv tool", "pipx"))
    assert ". .venv/bin/activate" in before


def test_a_missing_simulator_is_installed_from_the_clone_and_from_nowhere_else() -> None:
    said = str(simulator_missing(ImportError(name="uvicorn")))

    assert "(uvicorn is missing)" in said
    assert said.endswith("in its clone `pip install '.[simulator]'`")


def test_its_words_are_explained_below_what_has_them_first() -> None:
    explained = TEXT.partition("```text\n")[2].partition("```yaml\n")[0].partition("```")[2]

    assert all(f"A **{word}**" in explained or f"a **{word}**" in explained for word in WORDS)
    assert "(docs/glossary.md)" in explained


def test_it_stays_short() -> None:
    assert len(TEXT.splitlines()) <= 145


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_each_command_it_names_can_be_called(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = words.pop(0) if words[0] in COMMANDS else "run"

    assert command in {"list", "models"} or any((ROOT / word).is_file() for word in words)
    if command == "run":
        parse(words)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMAND_LINES) >= 5


def test_the_exit_codes_are_those_that_are_told() -> None:
    assert sorted(map(int, re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE))) == sorted(PRECEDENCE)


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target
