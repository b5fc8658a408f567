"""README.md: whoever follows it literally sees what it shows."""

import re
import shlex
from pathlib import Path

import pytest

from batchrun.cli import COMMANDS
from batchrun.commands.run_options import parse
from batchrun.errors import PRECEDENCE

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_LINES = re.findall(r"^    (?:.* && )?(batchrun .*)$", TEXT, re.MULTILINE)


def test_the_manifest_it_shows_is_the_quickstart_but_for_the_editors_line() -> None:
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    editors, _, rest = (ROOT / "manifests" / "quickstart.yaml").read_text().partition("\n\n")

    assert shown == rest
    assert editors.startswith("# yaml-language-server: ")
    assert "\n" not in editors


def test_the_command_is_on_the_path_before_it_is_called() -> None:
    for called in re.finditer(r"^#+ .*?(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE):
        before, found, _ = called[0].partition("    batchrun ")
        assert not found or ".venv/bin/activate" in before
    assert TEXT.index(". .venv/bin/activate") < TEXT.index("batchrun manifests/quickstart.yaml\n")


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_each_command_it_names_can_be_called(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = words.pop(0) if words[0] in COMMANDS else "run"

    assert command == "models" or any((ROOT / word).is_file() for word in words)
    if command == "run":
        parse(words)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMAND_LINES) >= 5


def test_the_exit_codes_are_those_that_are_told() -> None:
    assert sorted(map(int, re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE))) == sorted(PRECEDENCE)


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target
