"""The results in other formats say the same as results.jsonl."""

import csv
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import finished, intent, submitted
from result_lines import MemoryLedger

from batchrun.base.output_store import OutputStore
from batchrun.base.times import moment
from batchrun.errors import FolderError, UsageError
from batchrun.exports.chosen_columns import chosen, json_parts, table
from batchrun.exports.excel import EXCEL_CSV, MARK, file_columns, write_excel
from batchrun.exports.formats import (
    Format,
    parse_formats,
    parse_separator,
    separator_of,
    wanted,
)
from batchrun.exports.kept_rows import KeptRows, open_rows
from batchrun.exports.metadata import METADATA, lines, write_metadata
from batchrun.exports.survey import Kind, Survey, survey
from batchrun.ledger.records import AnyRecord, Saved, SavedFile
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.result_files import RESULTS_CSV, RESULTS_JSONL, field, write_results
from batchrun.results.rows import COLUMNS

MANIFEST = """\
models:
  - {id: google/nano-banana-2, alias: banana}
  - {id: bytedance/seedance, alias: seedance, inputs: {duration: 5.5, style: [oil]}}
inputs:
  prompt: ["=1+1", "a \\u202e chair; \\u0007", "two\\nlines\\rand a half", "-5", "000417"]
  seed: [-5, 9007199254740993]
  mixed: [1, x, [1, null], true]
  many: [[a, b], [c]]
vars: {image: [here], weight: [1, 0.5]}
"""

TEXTS = ["=1", "+1", "-1", "@SUM", "\tx", "\rx", "\nx", "\uff1dx", "'quoted", "a,b;c|d", 'say "x"']


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of a sweep in which all went well, but for one cell."""
    made = tmp_path_factory.mktemp("results")
    (made / "chairs.yaml").write_text(MANIFEST, encoding="utf-8")
    manifest = load_manifest(made / "chairs.yaml", {})
    records: list[AnyRecord] = []
    first, *others = dict.fromkeys(cell.key for cell in expand(manifest))
    ended = finished(first, status="failed", failure_message="half \ud800", cost=Decimal("0.0001"))
    records += [intent(first), submitted(first), ended]
    for number, key in enumerate(others):
        records += [intent(key), submitted(key), finished(key)]
        files = [f"files/{key}-{each}.png" for each in range(1 + number % 3)]
        there = tuple(SavedFile(path=each, bytes=1, sha256="ab" * 32) for each in files)
        records.append(Saved(cell=key, run_id="r1", files=there))
    write_results(OutputStore(made), manifest, MemoryLedger(records))
    return made


@pytest.fixture
def rows(folder: Path) -> Iterator[KeptRows]:
    with open_rows(folder / RESULTS_JSONL) as opened:
        yield opened


@pytest.fixture
def parquet() -> Any:
    """Return the module that needs the extra `parquet`."""
    return pytest.importorskip("batchrun.exports.parquet", reason="the extra `parquet`")


def read(path: Path) -> Any:
    return pytest.importorskip("pyarrow.parquet").read_table(path)


def row(**values: Any) -> dict[str, Any]:
    """Return a row that has all columns of ours, and *values*."""
    return {**dict.fromkeys(COLUMNS), "files": [], "shared": False, **values}


def spelled(given: dict[str, Any], known: Survey) -> list[str]:
    """Return what a CSV file has for a row, with all files in one place."""
    return [field(given.get(name)) for name in known.kinds if name != "files"]


def test_all_formats_say_the_same(folder: Path, rows: KeptRows, parquet: Any) -> None:
    store, known = OutputStore(folder), survey(rows)
    write_excel(store, rows, known, separator=";")
    parquet.write_parquet(store, rows, known)

    with (folder / RESULTS_CSV).open(encoding="utf-8", newline="") as file:
        plain = list(csv.DictReader(file, strict=True))
    with (folder / EXCEL_CSV).open(encoding="utf-8-sig", newline="") as file:
        excel = list(csv.DictReader(file, delimiter=";", strict=True))
    typed = read(folder / parquet.PARQUET).to_pylist()
    assert len(plain) == len(excel) == len(typed) == known.rows == 320
    at = file_columns(known)
    for each, a, b, c in zip(rows, plain, excel, typed, strict=True):
        assert json.loads(a["files"]) == [b[name] for name in at if b[name]] == c["files"]
        for name, kind in known.kinds.items():
            value = each.get(name)
            text = field(value).encode("utf-8", "backslashreplace").decode()
            assert name == "files" or a[name] == b[name] == text
            match kind:
                case Kind.JSON if value is not None:
                    assert json.loads(c[name]) == value
                case Kind.MONEY if value is not None:
                    assert c[name] == Decimal(value)
                case Kind.TIME if value is not None:
                    assert c[name] == moment(value)
                case Kind.TEXT if value is not None:
                    assert c[name] == parquet.whole(value)
                case _:
                    assert c[name] == value


def test_an_axis_has_a_type_where_all_of_its_values_have(rows: KeptRows) -> None:
    kinds = survey(rows).kinds

    assert kinds["prompt"] is Kind.TEXT
    assert kinds["seed"] is Kind.INTEGER
    assert kinds["mixed"] is Kind.JSON
    assert kinds["many"] is Kind.TEXTS
    assert kinds["duration"] is Kind.NUMBER
    assert kinds["weight"] is Kind.NUMBER
    assert kinds["cost"] is Kind.MONEY
    assert kinds["created_at"] is Kind.TIME


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], Kind.TEXT),
        ([True, None], Kind.BOOLEAN),
        ([True, 1], Kind.JSON),
        ([1, 2.5], Kind.NUMBER),
        ([2**53 + 1, 1], Kind.INTEGER),
        ([2**53 + 1, 2.5], Kind.JSON),
        ([2**64], Kind.JSON),
        ([["a"], ["b", "c"]], Kind.TEXTS),
        ([["a"], "b"], Kind.JSON),
        ([[]], Kind.JSON),
        ([{"a": 1}], Kind.JSON),
    ],
)
def test_values_of_several_types_are_json(values: list[Any], kind: Kind) -> None:
    assert survey(row(axis=value) for value in values).kinds["axis"] is kind


def test_a_time_that_is_none_leaves_its_column_text() -> None:
    known = survey([row(created_at="2026-05-01T12:00:00Z"), row(created_at="soon")])

    assert known.kinds["created_at"] is Kind.TEXT
    assert known.kinds["completed_at"] is Kind.TIME


def test_costs_keep_every_digit_and_have_one_type_from_night_to_night(
    tmp_path: Path, parquet: Any
) -> None:
    types = []
    for costs in (["0.04"], ["12.5", "0.000000001"], ["0.00000000000000000001", "1.00"]):
        given = [row(cost=cost) for cost in costs]
        parquet.write_parquet(OutputStore(tmp_path), given, survey(given))
        typed = read(tmp_path / parquet.PARQUET)
        assert typed["cost"].to_pylist() == [Decimal(cost) for cost in costs]
        types.append(typed.schema.field("cost").type)

    assert types[0] == types[1] != types[2]


def test_a_sweep_without_rows_has_files_all_the_same(tmp_path: Path, parquet: Any) -> None:
    store, known = OutputStore(tmp_path), survey([])
    parquet.write_parquet(store, [], known)
    write_excel(store, [], known, separator=",")

    assert (tmp_path / parquet.PARQUET).stat().st_size
    assert (tmp_path / EXCEL_CSV).read_text("utf-8").count("\n") == 1
    assert write_metadata(store, [], known) == 0


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
def test_excel_gets_its_mark_and_computes_nothing(tmp_path: Path, separator: str) -> None:
    given = [row(prompt=text, files=["files/=1.png"]) for text in TEXTS]
    write_excel(OutputStore(tmp_path), given, survey(given), separator=separator)

    text = (tmp_path / EXCEL_CSV).read_bytes().decode()
    assert text.startswith(MARK)
    lines = list(csv.DictReader(text[1:].splitlines(keepends=True), delimiter=separator))
    for each, name in zip(TEXTS, lines, strict=True):
        if each[0] in "=+-@\t\r\n\uff1d'":
            assert name["prompt"] == f"'{each}".replace("\r\n", "\n")
        else:
            assert name["prompt"] == each


def test_each_file_has_a_column_of_its_own_also_beside_an_axis_of_that_name() -> None:
    given = [row(files=["a", "b"]), row(files=[])]

    assert file_columns(survey(given)) == ["file_1", "file_2"]
    assert file_columns(survey([row(file_1="x", files=["a"])])) == ["files.1"]
    assert file_columns(survey([row()])) == ["file_1"]
    both = {"file_1": "x", "files.1": "y", "files.1.1": "z"}
    assert file_columns(survey([row(**both, files=["a"])])) == ["files.2.1"]


def test_no_two_axes_meet_in_one_column_of_metadata() -> None:
    done = row(status="succeeded", files=["files/a.png"])
    given = [{**done, "image": 1, "input.image": 2, "input.input.image": 3, "input.seed": 4}]

    (found,) = lines(given, survey(given))

    names = ("input.image", "input.input.image", "input.input.input.image", "input.seed")
    assert [found[name] for name in names] == [1, 2, 3, 4]


def test_metadata_has_a_line_for_each_file_of_what_succeeded(tmp_path: Path) -> None:
    done = row(status="succeeded", prompt="a", image="x", mixed=1, weight=1, cell="c1", model="m")
    given = [
        {**done, "files": ["files/deep/a-1.png", "files/deep/a-2.png"]},
        {**done, "files": ["files/deep/a-1.png"], "shared": True},
        {**done, "files": ["files/b.png"], "mixed": "x", "weight": 0.5},
        row(status="partial_succeeded", files=["files/c.png"]),
        row(status="failed"),
    ]

    assert write_metadata(OutputStore(tmp_path), given, survey(given)) == 3

    lines = [json.loads(line) for line in (tmp_path / METADATA).read_text("utf-8").splitlines()]
    assert [each["file_name"] for each in lines] == ["deep/a-1.png", "deep/a-2.png", "b.png"]
    assert [each["mixed"] for each in lines] == ["1", "1", '"x"']
    assert [each["weight"] for each in lines] == [1.0, 1.0, 0.5]
    assert lines[0]["input.image"] == "x"
    assert "image" not in lines[0]
    assert len({tuple(each) for each in lines}) == 1


def test_metadata_never_takes_the_place_of_an_output(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / METADATA).write_text("an output")
    given = [row(status="succeeded", files=["files/Metadata.jsonl"], cell="c1")]

    with pytest.raises(UsageError, match="is a file of the cell c1"):
        write_metadata(OutputStore(tmp_path), given, survey(given))

    assert (tmp_path / METADATA).read_text() == "an output"
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["metadata.jsonl"]


def test_chosen_columns_are_a_table_with_the_sum_of_costs() -> None:
    given = [
        row(alias="banana", cost="0.04", prompt="a\u202eb\n\x1b[31m", files=["a.png", "b.png"]),
        row(alias="seedance", cost="1.333", prompt="日本", files=[]),
        row(alias="seedance", prompt=None),
    ]
    known = survey(given)

    shown = list(table(given, known, ["alias", "cost", "prompt", "files"], most=None))

    assert shown == [
        "alias      cost  prompt              files",
        "────────  ─────  ──────────────────  ────────────",
        r"banana     0.04  a\u202eb\n\x1b[31m  a.png, b.png",
        "seedance  1.333  日本",
        "seedance",
        "────────  ─────  ──────────────────  ────────────",
        "total     1.373",
    ]


def test_a_long_text_is_cut_on_a_terminal_and_whole_in_a_pipe() -> None:
    given = [row(prompt="x" * 500, alias="banana"), row(prompt="y", alias="gpt")]
    known = survey(given)

    cut = list(table(given, known, ["prompt", "alias"], most=40))
    whole = list(table(given, known, ["prompt", "alias"], most=None))

    assert max(map(len, cut)) == len("banana") + 42
    assert whole[2] == "x" * 500 + "  banana"
    assert max(map(len, whole[3:])) < 50


def test_in_a_pipe_columns_are_as_wide_as_texts_that_people_write() -> None:
    given = [row(prompt="a red chair " * 10, alias="banana"), row(prompt="y", alias="gpt")]
    very_long = row(prompt="z" * 201, alias="flux")

    shown = list(table(given, survey(given), ["prompt", "alias"], most=None))
    longer = list(table([*given, very_long], survey(given), ["prompt", "alias"], most=None))

    assert {line.index(each) for line, each in zip(shown[2:], ["banana", "gpt"], strict=True)} == {
        shown[0].index("alias")
    }
    assert shown[1] == "─" * 120 + "  " + "─" * 6
    assert longer == [*shown, "z" * 201 + "  flux"]  # and no other line is padded for it


def test_a_table_without_costs_has_no_total() -> None:
    given = [row(alias="banana")]

    assert list(table(given, survey(given), ["alias"], most=None)) == ["alias", "──────", "banana"]
    assert list(table(given, survey(given), ["cost"], most=None))[-1] == "0.00"


def test_chosen_columns_are_one_json_object() -> None:
    given = [row(alias="banana", cost="0.04", prompt="\ud800é"), row(alias="gpt", axis=[1])]

    text = "".join(json_parts(given, survey(given), ["alias", "prompt", "axis"], {"schema": 1}))

    assert text.isascii()
    assert json.loads(text) == {
        "schema": 1,
        "columns": ["alias", "prompt", "axis"],
        "columns_cost": "0.04",
        "rows": [
            {"alias": "banana", "prompt": "\ud800é", "axis": None},
            {"alias": "gpt", "prompt": None, "axis": [1]},
        ],
    }


def test_a_column_that_no_row_has_is_named_with_the_near_miss() -> None:
    known = survey([row(prompt="a")])

    assert chosen(" prompt, cost,prompt", known) == ["prompt", "cost"]
    with pytest.raises(UsageError, match="no column is called `promt`; did you mean `prompt`"):
        chosen("promt", known)
    with pytest.raises(UsageError, match="there are prompt, model, alias"):
        chosen("xyzzy", known)
    with pytest.raises(UsageError, match="names no column"):
        chosen(" , ", known)


def test_formats_are_comma_lists_and_may_be_repeated() -> None:
    assert parse_formats("parquet, jsonl,excel-csv") == [Format.PARQUET, Format.EXCEL]
    assert wanted([[Format.PARQUET], [Format.EXCEL, Format.PARQUET]]) == ("excel-csv", "parquet")
    with pytest.raises(ValueError, match="did you mean `parquet`"):
        parse_formats("parqet")


def test_a_separator_is_that_of_the_locale_or_one_of_four() -> None:
    assert (separator_of(","), separator_of(".")) == (";", ",")
    assert (parse_separator("tab"), parse_separator("\\t"), parse_separator(";")) == (
        "\t",
        "\t",
        ";",
    )
    for wrong in ("", ";;", "x", '"'):
        with pytest.raises(ValueError, match="expected one of"):
            parse_separator(wrong)


WRONG: list[dict[str, Any]] = [
    {"cost": 7},
    {"cost": "7 USD"},
    {"cost": "1e9"},
    {"cost": "NaN"},
    {"files": None},
    {"files": [1]},
    {"created_at": 5},
    {"replicate": 2**63},
    {"attempts": 1.5},
    {"shared": "no"},
    {"cell": []},
]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"prompt": "a"}', "[" * 100_000, *(json.dumps(row(**x)) for x in WRONG)]
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / RESULTS_JSONL
    path.write_text(f"{json.dumps(row())}\n{line}\n", encoding="utf-8")

    with (
        open_rows(path) as opened,
        pytest.raises(FolderError, match=r"results\.jsonl:2: this is no"),
    ):
        survey(opened)


def test_without_results_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no results"), open_rows(tmp_path / "none"):
        pass


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_results_that_are_no_file_are_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / RESULTS_JSONL)

    with pytest.raises(FolderError, match="cannot read"), open_rows(tmp_path / RESULTS_JSONL):
        pass


def test_rows_stay_the_same_while_a_call_replaces_them(tmp_path: Path) -> None:
    path = tmp_path / RESULTS_JSONL
    path.write_text(f"{json.dumps(row(alias='old'))}\n")

    with open_rows(path) as opened:
        first = list(opened)
        OutputStore(tmp_path).put(RESULTS_JSONL, b"")
        assert list(opened) == first


def _as_table(store: OutputStore, rows: KeptRows, known: Survey) -> None:
    for _ in table(rows, known, ["prompt", "cost"], most=None):
        pass


def _as_json(store: OutputStore, rows: KeptRows, known: Survey) -> None:
    for _ in json_parts(rows, known, ["prompt", "cost"], {}):
        pass


def _for_excel(store: OutputStore, rows: KeptRows, known: Survey) -> None:
    write_excel(store, rows, known, separator=",")


def _as_parquet(store: OutputStore, rows: KeptRows, known: Survey) -> None:
    module = pytest.importorskip("batchrun.exports.parquet", reason="the extra `parquet`")
    module.write_parquet(store, rows, known)


@pytest.mark.parametrize(
    ("write", "number"),
    [
        (_as_table, 3_000),
        (_as_json, 3_000),
        (_for_excel, 3_000),
        (write_metadata, 3_000),
        (_as_parquet, 10_000),  # a group of rows
    ],
)
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, write: Callable[[OutputStore, KeptRows, Survey], object], number: int
) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / RESULTS_JSONL
        line = json.dumps(row(status="succeeded", prompt="a chair", files=["files/a.png"]))
        path.write_text(f"{line}\n" * rows)
        tracemalloc.start()
        with open_rows(path) as opened:
            write(OutputStore(tmp_path), opened, survey(opened))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(3 * number) < 1.3 * peak(number) + 200_000
