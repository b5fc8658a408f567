"""The command that a call names to go on: the user's own words, but for what was for one call."""

import re
import shlex

import pytest

from batchrun.commands.run_options import FOR_ONE_CALL, SHOWING, WITH_VALUE, command_in, parse

KEPT = """
    --endpoint=simulator --outputs=out --label=x --concurrency=3 --rate=10/s --attempts=3
    --timeout=1m --settle=1s --give-up=5s --interval=1s --budget=5.00 --only=seed=1 --fail-on=2
    --on-interrupt=drain --no-download --trust-key
""".split()  # noqa: SIM905  (as one types it)
DROPPED = """
    --limit=2 --max-duration=1m --retry-failed --resubmit-in-doubt --dry-run --json --quiet
    --verbose --no-progress
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
