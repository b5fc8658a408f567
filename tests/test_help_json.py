"""The command line described for programs: all of it, and as it is."""

import json
from typing import Any

import pytest

from batchrun.cli import COMMANDS, main
from batchrun.commands.help_json import described, parser_of
from batchrun.settings import SETTINGS

WHOLE = described([*COMMANDS])


def command(name: str) -> dict[str, Any]:
    [found] = [each for each in WHOLE["commands"] if each["name"] == name]
    return dict(found)


def option(name: str, flag: str) -> dict[str, Any]:
    [found] = [each for each in command(name)["options"] if flag in each["flags"]]
    return dict(found)


@pytest.mark.parametrize("words", [["--help", "--json"], ["help", "--json"], ["-h", "--json"]])
def test_help_as_json_is_one_object_with_every_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == WHOLE
    assert [each["name"] for each in WHOLE["commands"]] == [*COMMANDS]
    assert WHOLE["schema"] == 1


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["plan", "--help", "--json"], "plan"),
        (["help", "plan", "--json"], "plan"),
        (["--json", "status", "--help"], "status"),
        (["m.yaml", "--help", "--json"], "run"),
    ],
)
def test_help_as_json_of_one_command_has_that_alone(
    words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0

    assert json.loads(capsys.readouterr().out)["commands"] == [command(name)]


def test_a_slip_in_the_command_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paln", "--help", "--json"]) == 2

    assert "did you mean `plan`?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_a_command_is_described(name: str) -> None:
    flags = {flag for action in parser_of(name)._actions for flag in action.option_strings}

    assert flags == {flag for each in command(name)["options"] for flag in each["flags"]}


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.flag], ids=lambda s: s.name)
def test_an_option_of_a_setting_says_where_a_manifest_has_it(setting: Any) -> None:
    found = option("run", setting.flag)

    assert found["setting"] == setting.key
    assert found["name"] == setting.name
    assert found["default"] == (setting.written or None)
    assert (found["type"] == "flag") == (setting.parse is None and not setting.choices)


def test_kinds_choices_and_repetition_are_said() -> None:
    assert option("run", "--only")["repeatable"]
    assert option("run", "--rate")["type"] == "rate"
    assert option("run", "--settle")["type"] == "time"
    assert option("run", "--budget")["type"] == "money"
    assert option("run", "--outputs")["type"] == "path"
    assert option("run", "--on-interrupt")["choices"] == ["detach", "drain"]
    assert option("run", "--recover")["optional_value"]
    assert option("simulate", "--seed")["default"] == 0
    assert option("simulate", "--port")["default"] == 8765
    assert command("run")["arguments"][0]["required"]
    assert not command("models")["arguments"][0]["required"]
