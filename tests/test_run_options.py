"""What the options make of the limits; and the command that a call names to go on, which is the
user's own words but for what was for one call.
"""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import asdict, fields

from batchrun.commands.call import settings_of
from batchrun.commands.run_options import (
    FOR_ONE_CALL,
    SHOWING,
    WITH_VALUE,
    command_in,
    parse,
)
from batchrun.errors import UsageError
from batchrun.manifest.load import load_manifest
from batchrun.settings import SETTINGS, Settings, in_section

KEPT = """
    --endpoint=simulator --outputs=out --label=x --concurrency=3 --rate=10/s --attempts=3
    --timeout=1m --settle=1s --give-up=5s --interval=1s --batch=20 --downloads=2 --budget=5.00
    --keep-logs=failed
    --input-errors=warn --confirm-above=2 --budget-per-day=2 --allow-short
    --only=seed=1 --fail-on=2 --on-interrupt=drain --no-download --trust-key --recover=a1b2
""".split()  # noqa: SIM905  (as one types it)
DROPPED = """
    --limit=2 --max-duration=1m --reuse=other --plan=plan.json --new-sweep=a1b2,c3d4 --retry-failed
    --resubmit-in-doubt --new-types --dry-run --yes
    --json --quiet --verbose --no-progress
""".split()  # noqa: SIM905  (as one types it)


def apart(words: list[str]) -> list[str]:
    """Return *words* with each option's value as a word of its own."""
    return [part for word in words for part in word.split("=", 1)]


def test_each_option_is_either_kept_or_for_one_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    known = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))

    named = {word.split("=")[0] for word in [*KEPT, *DROPPED]}
    assert known - {"--help"} == named
    assert {word.split("=")[0] for word in DROPPED} == FOR_ONE_CALL
    assert {word.split("=")[0] for word in DROPPED if "=" in word} <= WITH_VALUE


def test_what_the_user_gave_is_kept_as_it_was_typed() -> None:
    joined = shlex.split(command_in(["m.yaml", *DROPPED, *KEPT]))
    separate = shlex.split(command_in([*apart(KEPT), "m.yaml", *apart(DROPPED)]))

    assert joined == ["batchrun", "m.yaml", *KEPT]
    assert separate == ["batchrun", *apart(KEPT), "m.yaml"]


def test_what_it_names_asks_for_the_same_and_for_nothing_that_was_for_one_call() -> None:
    meant = parse(["m.yaml", *KEPT])

    assert parse(shlex.split(command_in(["m.yaml", *apart(DROPPED), *KEPT]))[1:]) == meant


def test_words_are_quoted_for_a_shell() -> None:
    words = ["my sweep.yaml", "--only", "prompt=a $1 chair"]

    assert shlex.split(command_in(words)) == ["batchrun", *words]


def test_what_is_for_one_call_can_stay() -> None:
    words = ["--limit", "2", "--json", "--only", "a=1", "--", "m.yaml"]

    assert command_in(words, without=SHOWING) == "batchrun --limit 2 --only a=1 m.yaml"
    assert command_in(words, without={"--only"}) == "batchrun --limit 2 --json m.yaml"


# Another value than the default for each limit.
LIMITS: Final = {
    "concurrency": "3",
    "rate": "7/s",
    "attempts": "4",
    "timeout": "1m",
    "settle": "2s",
    "budget": "5.00",
    "budget_per_day": "2.00",
    "confirm_above": "2",
    "give_up": "5s",
    "batch": "20",
    "downloads": "2",
    "input_errors": "warn",
}


def settings(
    folder: Path, *, limits: Mapping[str, str], interval: str, options: list[str]
) -> dict[str, Any]:
    path = folder / "m.yaml"
    manifest = {"models": ["a/b"], "limits": limits, "poll": {"interval": interval}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    given = parse([str(path), *options])
    return asdict(settings_of(load_manifest(path, {}), given.chosen, given.only))


def test_what_is_given_takes_the_place_of_what_the_manifest_says(tmp_path: Path) -> None:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in LIMITS.items()]

    default = settings(tmp_path, limits={}, interval="2s", options=[])
    told = settings(tmp_path, limits=LIMITS, interval="3s", options=[])
    instead = settings(tmp_path, limits={}, interval="2s", options=[*given, "--interval=3s"])

    assert LIMITS.keys() == in_section("limits").keys()
    differs = {name for name in default if told[name] != default[name]}
    assert differs == {*LIMITS, "poll_interval"}
    assert instead == told


def test_the_table_names_each_field_of_the_settings_once() -> None:
    elsewhere = {
        "only",
        "model_concurrency",
        "model_prices",
        "model_budgets",
        "wave_size",
    }  # selection, models, tests alone

    names = [each.name for each in SETTINGS]
    assert sorted(names) == sorted({field.name for field in fields(Settings)} - elsewhere)


def test_a_field_that_may_be_left_out_has_the_default_of_the_table() -> None:
    for field in fields(Settings):
        setting = next((each for each in SETTINGS if each.name == field.name), None)
        if setting is not None and not field.required and setting.written:
            assert field.default == setting.default, field.name


@pytest.mark.parametrize("value", ["0", "101", "off"])
def test_a_wrong_batch_size_says_what_was_found_and_what_is_expected(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(["m.yaml", f"--batch={value}"])

    told = str(caught.value)
    assert "--batch" in told
    assert f"'{value}': expected a whole number from 1 (no batches) to 100" in told
