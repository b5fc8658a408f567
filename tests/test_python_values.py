"""What the Python functions take, without a sweep: names, manifests, options."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchrun
from batchrun import errors
from batchrun.commands.confirm import confirm
from batchrun.commands.run_options import parse
from batchrun.manifest.load import read_manifest
from batchrun.python.keywords import NAMES, asked_for
from batchrun.python.mapping_text import text_of
from batchrun.settings import SETTINGS

CHAIRS: Mapping[str, Any] = {
    "name": "chairs",
    "models": ["google/nano-banana-2"],
    "inputs": {"prompt": ["a red chair", "a blue chair"]},
}

# The names.


def test_importing_batchrun_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import batchrun;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == "['batchrun']"


def test_every_name_is_there_in_the_program_and_in_its_types() -> None:
    stub = Path(batchrun.__file__).with_suffix(".pyi").read_text()

    for name in batchrun.__all__:
        assert getattr(batchrun, name) is not None
        assert name in dir(batchrun)
        assert f" as {name}\n" in stub or f"{name}: " in stub
    assert stub.count(" as ") == len(batchrun.__all__) - 1
    with pytest.raises(AttributeError, match="has no `strem`"):
        _ = batchrun.strem  # type: ignore[attr-defined]


# Manifests.


def test_a_manifest_is_loaded_from_a_file_and_from_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "chairs.json"
    path.write_text(json.dumps(CHAIRS))

    from_file, from_mapping = batchrun.load(path), batchrun.load(CHAIRS)

    assert from_file.path == path
    assert from_mapping.path is None
    for each in (from_file, from_mapping):
        assert each.name == "chairs"
        assert each.models == {"google-nano-banana-2": "google/nano-banana-2"}
        assert each.points == 2
        assert each.notes == ()
        assert "chairs" in repr(each)


def test_paths_of_a_mapping_are_relative_to_its_base(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt\na red chair\na blue chair\na green chair\n")
    mapping = {"name": "x", "models": ["a/b"], "rows": Path("rows.csv")}

    assert batchrun.load(mapping, base=tmp_path).points == 3
    with pytest.raises(errors.ManifestError, match=r"rows\.csv"):
        batchrun.load(mapping, base=tmp_path / "elsewhere")
    with pytest.raises(errors.UsageError, match="`base` is for a mapping"):
        batchrun.load(tmp_path / "rows.csv", base=tmp_path)


@pytest.mark.parametrize("source", [None, [CHAIRS], b"m.yaml"])
def test_what_is_no_manifest_is_said(source: Any) -> None:
    with pytest.raises(
        errors.UsageError, match=r"the manifest is .*: expected a path or a mapping"
    ):
        batchrun.load(source)


def test_all_that_is_wrong_with_a_mapping_is_said_at_once() -> None:
    with pytest.raises(errors.ManifestError) as raised:
        batchrun.load({"models": ["a/b"], "limits": {"concurency": 3}, "inputs": {"seed": 1}})

    said = [str(each.message) for each in raised.value.problems]
    assert any("needs a `name`" in each for each in said)
    assert any("did you mean `concurrency`" in each for each in said)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "`inputs.x` is datetime.datetime"),
        ([1, {2, 3}], r"`inputs.x\[1\]` is {2, 3}, a set"),
        ({1: "a"}, "`inputs.x` has the key 1, a int; expected text"),
        (float("nan"), "`inputs.x` is nan, a float; expected"),
        (Decimal("0.12345678901234567890123"), "more digits than a number"),
    ],
)
def test_a_value_that_no_manifest_has_is_refused(value: Any, says: str) -> None:
    with pytest.raises(errors.UsageError, match=says):
        batchrun.load({**CHAIRS, "inputs": {"x": value}})


exact = st.floats(min_value=-1e15, max_value=1e15)
scalars = st.none() | st.booleans() | st.integers() | exact | st.text()


@given(st.dictionaries(st.text(max_size=20), scalars, max_size=5), st.lists(scalars, max_size=5))
def test_a_value_is_read_as_it_was_said(config: dict[str, Any], values: list[Any]) -> None:
    said = {"config": config, "values": values}
    mapping = {"name": "n", "models": ["a/b"], "rows": [{"x": {"$value": said}}]}

    manifest = read_manifest(text_of(mapping), Path("<mapping>"), {})

    [table] = manifest.grids[0].tables
    [row] = table.rows()
    assert row.values["x"] == said  # 1 and 1.0 are one, as in a manifest


# Options.


def test_each_setting_is_a_keyword() -> None:
    others = {"endpoint", "outputs", "label", "only", "recover", "reuse", "yes", "progress"}

    assert NAMES - others == {each.name for each in SETTINGS if each.flag}


GIVEN: Mapping[str, Any] = {
    "concurrency": 3,
    "rate": "5/s",
    "attempts": 4,
    "timeout": timedelta(minutes=2),
    "settle": "0s",
    "budget": Decimal("1.50"),
    "budget_per_day": 20,
    "confirm_above": "2.00",
    "give_up": "90s",
    "batch": 7,
    "downloads": 2,
    "input_errors": "warn",
    "poll_interval": timedelta(milliseconds=250),
    "limit": 9,
    "max_duration": "1h",
    "retry_failed": True,
    "resubmit_in_doubt": True,
    "set_aside": ["0123456789abcdef0123", "aaaaaaaaaaaaaaaaaaaa"],
    "trust_key": True,
    "allow_short": True,
    "new_types": True,
    "download": False,
    "logs": "failed",
    "drain": True,
    "fail_on": "5%",
}


@pytest.mark.parametrize("name", [each.name for each in SETTINGS if each.flag])
def test_a_keyword_does_what_its_option_does(name: str) -> None:
    asked = asked_for(Path("m.yaml"), {name: GIVEN[name]})

    typed = parse(list(asked.words))
    assert dict(asked.options.chosen) == dict(typed.chosen)
    assert name in asked.options.chosen


def test_the_other_keywords_do_what_their_options_do() -> None:
    only = {"color": ["red", "a, b"], "seed": 3}
    asked = asked_for(
        Path("m.yaml"), {"endpoint": "simulator", "outputs": "out", "label": "x", "only": only}
    )

    typed = parse(list(asked.words))
    assert asked.options.place == typed.place
    assert asked.options.only == typed.only == ("color=red,a\\, b", "seed=3")


def test_switches_that_are_off_are_as_if_not_said() -> None:
    asked = asked_for(Path("m.yaml"), {"retry_failed": False, "limit": None, "label": None})

    assert asked.words == ("m.yaml",)
    assert not asked.options.chosen


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"concurency": 3}, "unknown option `concurency`; did you mean `concurrency`?"),
        ({"interval": "2s"}, "unknown option `interval`; did you mean `poll_interval`?"),
        ({"no_download": True}, "unknown option `no_download`; did you mean `download`?"),
        ({"xyzzy": 1}, "unknown option `xyzzy`; docs/python.md names them all"),
        ({"rate": 10}, "`rate` is 10: expected a rate"),
        ({"concurrency": 0}, "`concurrency` is 0: expected a whole number"),
        ({"retry_failed": "yes"}, "`retry_failed` is 'yes': expected True or False"),
        ({"label": 3}, "`label` is 3: expected text"),
        ({"outputs": 3}, "`outputs` is 3: expected a path"),
        ({"reuse": ["a", 3]}, "`reuse` is 3: expected a path"),
        ({"recover": "no id"}, "`recover` is 'no id': expected"),
        ({"timeout": 30}, "`timeout` is 30: expected"),
    ],
)
def test_a_wrong_option_is_said(keywords: Mapping[str, Any], says: str) -> None:
    with pytest.raises(errors.UsageError) as raised:
        asked_for(Path("m.yaml"), keywords)

    assert says in str(raised.value)


def test_wrong_options_are_raised_by_each_function() -> None:
    for function in (batchrun.plan, batchrun.run, batchrun.stream):
        with pytest.raises(errors.UsageError, match="did you mean `label`"):
            function(CHAIRS, lable="x")  # type: ignore[call-arg]


def test_python_is_never_asked_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with open(theirs, closefd=False) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)

        with pytest.raises(errors.UsageError, match="say so with `--yes`"):
            confirm("pay?", unasked="it costs", asks=asked_for(Path("m"), {}).options.asks)
    os.close(ours)
    os.close(theirs)
