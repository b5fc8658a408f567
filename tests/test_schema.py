"""The schema for editors agrees with the loader as far as a schema can; `init` fits both."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from manifest_schema import complaints, value_of
from processes import call
from test_docs_manifest import Example, examples

from batchrun.commands import init, schema
from batchrun.errors import UsageError
from batchrun.manifest.cell_key import IDENTITY
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.schema import SCHEMA
from batchrun.settings import SETTINGS

ROOT = Path(__file__).parent.parent
RIGHT = sorted((ROOT / "manifests").glob("*.yaml"))
WRONG = sorted((ROOT / "tests" / "manifests").glob("*.yaml"))

# What no schema sees: it takes the whole manifest, or a file beside it.
BEYOND = {
    "broken_in_axis",
    "circle",
    "circle_in_axis",
    "colon_in_flow",
    "colon_in_list",
    "comment",
    "duplicate",
    "empty_field",
    "endless",
    "escapes_in_rows",
    "exclude_values",
    "json_rows",
    "jsonl",
    "keys_not_text",
    "leaving",
    "model_lacks",
    "model_named",
    "names",
    "not_in_text",
    "numbers",
    "references",
    "rows",
    "typed_text",
    "unclosed_field",
    "unmapped",
    "wrapped_rows",
    "zips",
}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_the_repositorys_manifests_fit_the_schema_and_name_it(path: Path) -> None:
    assert complaints(value_of(path)) == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/manifest.schema.json"


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_the_schema_refuses_wrong_manifests_that_it_can_see_through(path: Path) -> None:
    value = value_of(path)
    if value is None:  # an editor's YAML parser refuses it before any schema
        return

    assert bool(complaints(value)) != (path.stem in BEYOND)


@pytest.mark.parametrize("example", examples(), ids=lambda example: f"line {example.line}")
def test_the_schema_agrees_with_the_examples_of_the_reference(
    tmp_path: Path, example: Example
) -> None:
    path = tmp_path / "m.yaml"
    models = "" if "models:" in example.manifest else "models: [google/nano-banana-2]\n"
    path.write_text(example.manifest + models, encoding="utf-8")

    if not re.match(r"[\w.]+:\d+:\d+: ", example.expected):
        assert complaints(value_of(path)) == []


def test_the_command_prints_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main([]) == 0

    printed = capsys.readouterr().out
    assert printed == (ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8")
    assert json.loads(printed) == SCHEMA


def fields_of(node: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, below in node.get("properties", {}).items():
        found.add(prefix + name)
        found |= fields_of(below, f"{prefix}{name}.")
    return found


def test_every_field_is_said_to_be_identity_or_not() -> None:
    [model] = [form for form in SCHEMA["$defs"]["model"]["anyOf"] if "properties" in form]
    [rows] = [form for form in SCHEMA["$defs"]["rows"]["anyOf"] if "properties" in form]

    fields = fields_of(SCHEMA) | fields_of(model, "models.") | fields_of(rows, "rows.")

    assert fields == IDENTITY.keys()


def test_init_writes_a_manifest_that_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init.main([str(tmp_path / "new")]) == 0

    path = tmp_path / "new" / "batchrun.yaml"
    assert str(path) in capsys.readouterr().out
    manifest = load_manifest(path, {})
    assert manifest.endpoint == "simulator"
    cells = list(expand(manifest))
    assert len({cell.key for cell in cells}) == 2 * 2 * 2 + 2 * 2
    assert complaints(value_of(path)) == []
    line, schema_file = path.read_text(encoding="utf-8").splitlines()[0].split("=")
    assert line == "# yaml-language-server: $schema"
    assert json.loads((path.parent / schema_file).read_text(encoding="utf-8")) == SCHEMA


@pytest.mark.slow
def test_what_init_writes_runs_as_it_is_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    made = call("init", "my sweep", cwd=tmp_path)
    done = call("my sweep/batchrun.yaml", "--json", cwd=tmp_path)
    again = call("my sweep/batchrun.yaml", cwd=tmp_path)

    assert made.stdout.splitlines()[-1] == "run it: batchrun 'my sweep/batchrun.yaml'"
    assert (made.returncode, done.returncode, again.returncode) == (0, 0, 0), done.stderr
    report = json.loads(done.stdout)
    assert (report["succeeded"], report["folded"]) == (12, 4)
    folder = tmp_path / "my sweep" / "outputs" / "@simulator" / "first-sweep" / "files"
    assert len(list(folder.glob("*/*.png"))) == 12
    assert again.stdout.splitlines()[-1].startswith("all ")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "batchrun.yaml").write_text("mine")

    with pytest.raises(UsageError, match="is there already"):
        init.main([str(tmp_path)])

    assert (tmp_path / "batchrun.yaml").read_text() == "mine"


def test_init_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot write"):
        init.main([str(tmp_path / "file" / "below")])


def test_each_setting_that_init_shows_in_a_comment_can_be_taken_in(tmp_path: Path) -> None:
    text = init.manifest()
    head, limits, settings_below = text.partition("\nlimits:\n")
    taken = re.sub(r"^  # (\w+: \S+ +# )", r"  \1", settings_below, flags=re.MULTILINE)
    (tmp_path / "m.yaml").write_text(head + limits + taken)

    manifest = load_manifest(tmp_path / "m.yaml", {})

    shown = [each for each in SETTINGS if each.key and not each.key.startswith("callbacks.")]
    keys = {each.name for each in shown}
    assert set(manifest.chosen) == keys
