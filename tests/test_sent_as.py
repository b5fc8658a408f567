"""A model's description converts a value as it is sent, and never the key of its cell."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from called import Sweep as Called
from engine_world import Begun
from input_checks import described, nothing_proven
from msgspec.structs import replace
from processes import simulator
from simulated import Runflow
from test_batches import lines

from batchrun.catalogue.axes import suspects
from batchrun.catalogue.checks import check_cells
from batchrun.catalogue.mistakes import DescribedModel
from batchrun.catalogue.sent_types import sent_types
from batchrun.cli import main
from batchrun.ledger.history import State
from batchrun.ledger.records import Intent
from batchrun.manifest.cell_key import cell_key
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import Types, expand
from batchrun.manifest.grid.sent_as import converted
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest

VALUES: list[tuple[Any, str, str, Any]] = [
    (42, "42", "string", "42"),
    (7, "7.0", "string", "7.0"),
    (9.9, "9.90", "string", "9.90"),
    (True, "TRUE", "string", "TRUE"),
    ("a", "a", "string", "a"),
    ("42", "42", "integer", 42),
    ("7.0", "7.0", "integer", 7),
    ("7.5", "7.5", "integer", "7.5"),
    ("7.5", "7.5", "number", 7.5),
    ("007", "007", "integer", "007"),
    ("1e3", "1e3", "number", "1e3"),
    (" 7", " 7", "number", " 7"),
    ("true", "true", "number", "true"),
    ("TRUE", "TRUE", "boolean", True),
    ("1", "1", "boolean", "1"),
    (1, "1", "boolean", 1),
    (True, "true", "integer", True),
    (7.5, "7.5", "integer", 7.5),
    (None, "x", "string", None),
    (["a"], "a", "string", ["a"]),
]


@pytest.mark.parametrize(("value", "text", "wanted", "sent"), VALUES, ids=map(repr, VALUES))
def test_a_value_becomes_what_a_model_takes_only_where_it_reads_so(
    value: Any, text: str, wanted: str, sent: Any
) -> None:
    found = converted(value, text, wanted)

    assert (found, type(found)) == (sent, type(sent))


INPUTS: list[tuple[dict[str, Any] | str, str | None]] = [
    ("string", "string"),
    ("integer", "integer"),
    ("float", "number"),
    ("bool", "boolean"),
    ("image", None),
    ("json", None),
    ("of_no_known_type", None),
    ({"variable_type_code": "string", "enum": ["5", "10"]}, "string"),
    ({"variable_type_code": "string", "enum": [5, 10]}, None),
    ({"variable_type_code": "integer", "enum": [5, 10]}, "integer"),
    ({"variable_type_code": "integer", "enum": ["5", "10"]}, None),
    ({"enum": ["5", "10"]}, "string"),
    ({"enum": [5, 10]}, "number"),
    ({"enum": [5, "auto"]}, None),
    ({"enum": [True, False]}, None),
]


@pytest.mark.parametrize(("given", "wanted"), INPUTS)
def test_a_description_says_a_type_where_it_takes_no_other(
    given: dict[str, Any] | str, wanted: str | None
) -> None:
    found = sent_types({"a/b": described(x=given)})

    assert found == ({} if wanted is None else {"a/b": {"x": wanted}})


# In a grid.

TYPES: Final = {"a/b": {"x": "string", "y": "integer"}}


def cells(folder: Path, manifest: str, sent_as: Types = TYPES, **files: str) -> list[Cell]:
    return [*expand(loaded(folder, manifest, sent_as, **files))]


def loaded(folder: Path, manifest: str, sent_as: Types, **files: str) -> Manifest:
    for name, content in {"p_csv": "x,y\n42,a\n7.0,30\n", **files}.items():
        (folder / name.replace("_", ".")).write_text(content)
    (folder / "m.yaml").write_text(manifest)
    return replace(load_manifest(folder / "m.yaml", {}), sent_as=sent_as)


def test_the_key_is_by_the_grids_value_whatever_is_sent(tmp_path: Path) -> None:
    manifest = "models: [a/b]\nrows: p.csv\n"
    as_sent, as_it_is = cells(tmp_path, manifest), cells(tmp_path, manifest, {})

    assert [cell.input for cell in as_sent] == [{"x": "42", "y": "a"}, {"x": "7.0", "y": 30}]
    assert [cell.keyed for cell in as_sent] == [{"x": 42}, {"x": 7, "y": "30"}]
    assert [cell.key for cell in as_sent] == [cell.key for cell in as_it_is]
    assert [cell.values for cell in as_sent] == [cell.values for cell in as_it_is]
    assert [cell.keyed_input for cell in as_sent] == [cell.input for cell in as_it_is]
    assert [cell_key("a/b", cell.keyed_input, 1) for cell in as_sent] == [c.key for c in as_sent]


WAYS: dict[str, tuple[str, list[Any]]] = {
    "a column": ("rows: p.csv", ["42", "7.0"]),
    "a column that isn't sent, by one reference": (
        "rows: {file: n.csv, send: []}\ninputs: {x: '${n}'}",
        ["42", "7.0"],
    ),
    "a reference by way of another": (
        "rows: {file: n.csv, send: []}\nvars: {v: '${n}'}\ninputs: {x: '${v}'}",
        ["42", "7.0"],
    ),
    "a model's own reference": (
        "rows: {file: n.csv, send: []}\nMODEL: {inputs: {x: '${n}'}}",
        ["42", "7.0"],
    ),
    "a model's own reference to what lies below": (
        "rows: p.csv\nMODEL: {inputs: {x: '${x}'}}",
        ["42", "7.0"],
    ),
    "a name of the model's": ("rows: r.csv\nMODEL: {rename: {z: x}}", ["42", "7.0"]),
    "elements of an axis": (
        "rows: {file: n.csv, send: []}\ninputs: {x: ['${n}', 5]}",
        ["42", 5, "7.0", 5],
    ),
    "a column whose empty fields an input fills": (
        "rows: g.csv\ninputs: {x: 5}",
        ["42", 5],
    ),
    "a reference inside text": (
        "rows: {file: n.csv, send: []}\ninputs: {x: '<${n}>'}",
        ["<42>", "<7.0>"],
    ),
    "a value of a map": ("rows: p.csv\nMODEL: {map: {x: {42: 1, 7: 2}}}", [1, 2]),
    "a reference to a column whose type is said": (
        "rows: {file: n.csv, send: [], number: [n]}\ninputs: {x: '${n}'}",
        [42, 7],
    ),
    "a column whose type is said": ("rows: {file: p.csv, number: [x]}", [42, 7]),
    "a column that is said to be text": ("rows: {file: p.csv, text: [x]}", ["42", "7.0"]),
    "a JSONL file": ("rows: p.jsonl", [42, 7]),
    "a JSONL file behind a CSV one": ("rows: {file: [p.csv, p.jsonl]}", ["42", "7.0", 42, 7]),
    "values of the manifest": ("inputs: {x: [42, 7]}", [42, 7]),
    "rows of the manifest": ("rows: [{x: 42}, {x: 7}]", [42, 7]),
    "an include": ("rows: p.csv\ninclude: [{x: 5}]", ["42", "7.0", 5]),
    "a sample": ("rows: p.csv\nsample: {n: 2}", ["42", "7.0"]),
}


@pytest.mark.parametrize(("text", "sent"), WAYS.values(), ids=WAYS)
def test_only_a_column_whose_type_was_seen_is_converted(
    tmp_path: Path, text: str, sent: list[Any]
) -> None:
    models, rest = "models: [a/b]", text
    if "MODEL: {" in text:
        rest, _, own = text.partition("MODEL: {")
        models = f"models: [{{id: a/b, {own.rstrip()}]"
    files = {
        "p_csv": "x,n\n42,42\n7.0,7.0\n",
        "n_csv": "n\n42\n7.0\n",
        "r_csv": "z\n42\n7.0\n",
        "g_csv": "x,w\n42,a\n,b\n",
        "p_jsonl": '{"x": 42}\n{"x": 7}\n',
    }

    found = cells(tmp_path, f"{models}\n{rest}\n", TYPES, **files)

    assert [cell.input["x"] for cell in found] == sent
    plain = cells(tmp_path, f"{models}\n{rest}\n", {}, **files)
    assert [cell.key for cell in found] == [cell.key for cell in plain]


def test_each_model_gets_what_it_takes(tmp_path: Path) -> None:
    types = {"a/b": {"x": "string"}, "c/d": {"y": "integer"}}

    found = cells(tmp_path, "models: [a/b, c/d]\nrows: p.csv\n", types)

    assert [(cell.input["x"], cell.input["y"]) for cell in found] == [
        ("42", "a"),
        (42, "a"),
        ("7.0", "30"),
        (7, 30),
    ]


def test_replicates_are_sent_alike(tmp_path: Path) -> None:
    found = cells(tmp_path, "models: [a/b]\nrows: p.csv\nrepeat: 2\n")

    assert [cell.input["x"] for cell in found] == ["42", "42", "7.0", "7.0"]


def test_inputs_are_checked_as_they_are_sent(tmp_path: Path) -> None:
    description = {"a/b": described(x={"variable_type_code": "string", "max": 2}, y="integer")}
    manifest = loaded(tmp_path, "models: [a/b]\nrows: p.csv\n", sent_types(description))

    found = check_cells(manifest, description, wanted=lambda _: True, proof=nothing_proven)

    (error,), (warning,) = found.errors, found.warnings
    assert (error.place.line, error.place.column) == (2, 4)
    assert "takes a whole number, not `a`, text" in error.message
    assert (warning.place.line, warning.place.column) == (3, 1)
    assert "takes at most 2 characters, not the 3 of `7.0`" in warning.message


def test_a_column_that_is_converted_takes_no_walk_of_the_cells(tmp_path: Path) -> None:
    description = {"a/b": described(x="string", y="integer")}
    rows = "x,y\n42,30\n7.0,31\n"
    models = {name: DescribedModel(each) for name, each in description.items()}
    manifest = loaded(tmp_path, "models: [a/b]\nrows: p.csv\n", sent_types(description), p_csv=rows)

    assert not suspects(manifest, models)
    assert suspects(replace(manifest, sent_as={}), models)


# In the engine: the same bytes again, whatever a description says by then.

SHEET: Final = """\
models: [a/b]
rows: p.csv
limits: {concurrency: 4, rate: 10/s, settle: 5s}
outputs: {download: false}
"""
CONVERTED: Final = {"a/b": {"prompt": "string", "steps": "integer"}}
ROWS: Final = "prompt,steps\n42,30\n7.0,N/A\n8,31\n"
SENT: Final = [
    {"prompt": "42", "steps": 30},
    {"prompt": "7.0", "steps": "N/A"},
    {"prompt": "8", "steps": 31},
]
GRID: Final = [
    {"prompt": 42, "steps": "30"},
    {"prompt": 7, "steps": "N/A"},
    {"prompt": 8, "steps": "31"},
]


@dataclass
class Described(Begun):
    """A sweep whose calls know a description, or not."""

    sent_as: Types = field(default_factory=lambda: CONVERTED)

    def manifest(self) -> Manifest:
        (self.path / "p.csv").write_text(ROWS)
        return replace(super().manifest(), sent_as=self.sent_as)

    def inputs(self) -> list[Any]:
        return sorted((run.input for run in self.service.runs), key=SENT.index)


OTHERS: list[Types] = [
    {},
    {"a/b": {"steps": "integer"}},
    {"a/b": {"prompt": "integer", "steps": "string"}},
]


@pytest.mark.parametrize("later", OTHERS, ids=["none", "less", "another"])
async def test_what_was_in_doubt_is_sent_again_byte_for_byte_without_its_description(
    tmp_path: Path, later: Types
) -> None:
    world = Described(tmp_path, Runflow(script=["reset"] * 3), text=SHEET)
    await world.call(max_duration=20.0, settle=60.0)
    first = {key: body for _, key, body in world.service.posts}
    assert (len(first), len(world.service.runs)) == (3, 0)

    world.sent_as = later
    stops = await world.call(resubmit_in_doubt=True)

    again = {key: body for _, key, body in world.service.posts[3:]}
    assert (stops.codes, again) == ([], first)
    assert world.inputs() == SENT
    assert set(world.service.paid().values()) == {1}


async def test_a_batch_in_doubt_is_sent_again_byte_for_byte(tmp_path: Path) -> None:
    service = Runflow(batches="yes", script=["reset"])
    many = "prompt\n" + "".join(f"{number}.0\n" for number in range(101, 117))
    world = Described(tmp_path, service, text=SHEET.replace("concurrency: 4", "concurrency: 30"))
    world.manifest = lambda: _with_rows(world, many)  # type: ignore[method-assign]
    await world.call(max_duration=20.0, settle=60.0)
    assert len(service.runs) == 0

    world.sent_as = {}
    await world.call(resubmit_in_doubt=True)

    (key, body), (key_again, body_again) = service.sent_batches
    assert (key, body) == (key_again, body_again)
    assert sorted(run.input["prompt"] for run in service.runs) == [
        f"{number}.0" for number in range(101, 117)
    ]


def _with_rows(world: Described, rows: str) -> Manifest:
    (world.path / "p.csv").write_text(rows)
    (world.path / "m.yaml").write_text(world.text)
    return replace(load_manifest(world.path / "m.yaml", {}), sent_as=world.sent_as)


async def test_the_intent_has_what_was_sent_and_what_the_key_is_made_of(tmp_path: Path) -> None:
    world = Described(tmp_path, Runflow(), text=SHEET)

    await world.call()

    intents = sorted(lines(world, Intent), key=lambda each: SENT.index(each.input))
    assert [each.input for each in intents] == SENT
    assert [each.keyed for each in intents] == [
        {"prompt": 42, "steps": "30"},
        {"prompt": 7},
        {"prompt": 8, "steps": "31"},
    ]
    assert [each.keyed_input for each in intents] == GRID
    assert [cell_key("a/b", each.keyed_input, 1) for each in intents] == [
        each.cell for each in intents
    ]


async def test_a_cell_that_is_done_is_done_under_any_description(tmp_path: Path) -> None:
    world = Described(tmp_path, Runflow(), text=SHEET)
    await world.call()

    for world.sent_as in OTHERS:
        await world.call()

    assert len(world.service.runs) == 3


async def test_a_further_attempt_is_sent_as_the_description_says_by_then(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number < 3 else "succeeded")
    world = Described(tmp_path, service, text=SHEET, sent_as={})
    await world.call(attempts=1)
    assert sorted((run.input for run in service.runs), key=GRID.index) == GRID

    world.sent_as = CONVERTED
    await world.call(attempts=2)

    assert sorted((run.input for run in service.runs[3:]), key=SENT.index) == SENT
    states = {history.state for history in world.book().histories.values()}
    assert states == {State.SUCCEEDED}
    assert [each.keyed for each in lines(world, Intent)][:3] == [None] * 3


# With the command.


@pytest.mark.slow
def test_a_sheet_of_numbers_for_a_prompt_is_sent_as_text_and_stays_numbers_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    (tmp_path / "p.csv").write_text("prompt,num_images\n1001,1\n2002.0,1\n")
    text = "models: [google/nano-banana-2]\nrows: p.csv\npoll: {interval: 500ms}\n"
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        sweep = Called(tmp_path, url, text, capsys)
        words = [str(tmp_path / "m.yaml"), "--endpoint", url]
        assert main(["plan", *words, "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert [each["input"]["prompt"] for each in plan["plan"]["first"]] == ["1001", "2002.0"]
        assert plan.get("input_problems") is None

        assert sweep.call()[0] == 0
        intents = [each for each in sweep.records() if isinstance(each, Intent)]
        assert sorted(each.input["prompt"] for each in intents if each.input) == ["1001", "2002.0"]
        rows = map(json.loads, (sweep.ledger.parent / "results.jsonl").read_text().splitlines())
        assert [row["prompt"] for row in rows] == [1001, 2002]

        assert main(["why", *words, intents[0].cell[:8]]) == 0
        line = 2 if intents[0].input == {"prompt": "1001", "num_images": 1} else 3
        assert f"p.csv:{line})" in capsys.readouterr().out
