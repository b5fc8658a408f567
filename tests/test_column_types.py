"""One type a column of a CSV file: by all of its fields, or by the manifest."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.errors import ManifestError
from batchrun.manifest.data.column_types import BY_FIELD, ColumnType, ColumnTypes
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.yaml.scalars import from_field

TEXT, NUMBER, BOOLEAN = ColumnType.TEXT, ColumnType.NUMBER, ColumnType.BOOLEAN

COLUMNS: dict[str, tuple[list[str], ColumnType]] = {
    "a prompt that is a number": (["a red chair", "42", "true"], TEXT),
    "halves": (["7.0", "7.5", "8"], NUMBER),
    "prices": (["9.90", "10.00", "12"], NUMBER),
    "prices below zero": (["-0.50", "1.25"], NUMBER),
    "versions": (["1.9", "1.10", "1.11"], TEXT),
    "versions, the long ones first": (["1.10", "1.9"], TEXT),
    "as pandas writes them": (["0.5", "0.75", "1.0"], NUMBER),
    "small as we write them": (["1e-07", "0.5"], NUMBER),
    "small ones beside a price": (["1.5e-10", "0.5"], NUMBER),
    "small ones in full": (["0.00001", "0.5"], NUMBER),
    "Excel's booleans": (["TRUE", "FALSE"], BOOLEAN),
    "booleans of several programs": (["true", "False", "TRUE"], BOOLEAN),
    "booleans and numbers": (["true", "1"], TEXT),
    "a gap that is said": (["30", "N/A"], TEXT),
    "zeros before an id": (["417", "00417"], TEXT),
    "an exponent": (["7", "1e3"], TEXT),
    "a plus sign": (["7", "+5"], TEXT),
    "underscores": (["7", "1_000"], TEXT),
    "thousands": (["7", "1,000"], TEXT),
    "a decimal comma": (["7", "7,5"], TEXT),
    "a space before it": (["7", " 7"], TEXT),
    "a space behind it": (["7", "7 "], TEXT),
    "no digit before the point": (["7", ".5"], TEXT),
    "no digit behind the point": (["7", "7."], TEXT),
    "no minus that means nothing": (["7", "-0"], TEXT),
    "more digits than a number keeps": (["7", "0.12345678901234567890"], TEXT),
    "whole numbers of any length": (["7", "12345678901234567890"], NUMBER),
    "digits of another script": (["7", "٣"], TEXT),
    "hexadecimal": (["7", "0x1f"], TEXT),
    "words for no number": (["7", "nan"], TEXT),
    "too large a number": (["7", "1e3009"], TEXT),
}


def learnt(fields: list[str], **said: ColumnType) -> ColumnTypes:
    types = ColumnTypes(said)
    for line, text in enumerate(fields, start=2):
        assert not [*types.learn({"c": text}, "p.csv", line)]
    return types


def taken(types: ColumnTypes, fields: list[str]) -> list[Any]:
    return [types.values({"c": text})["c"] for text in fields]


@pytest.mark.parametrize(("fields", "expected"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_has_the_one_type_that_all_of_its_fields_have(
    fields: list[str], expected: ColumnType
) -> None:
    types = learnt(fields)

    assert types.of("c") is expected
    known: dict[ColumnType, tuple[type, ...]] = {
        TEXT: (str,),
        NUMBER: (int, float),
        BOOLEAN: (bool,),
    }
    assert all(type(value) in known[expected] for value in taken(types, fields))
    if expected is TEXT:
        assert taken(types, fields) == fields


def test_a_plain_decimal_is_the_number_in_its_one_spelling() -> None:
    assert repr(taken(learnt(fields := ["7.0", "7.5", "-0.0", "8"]), fields)) == "[7, 7.5, 0, 8]"
    assert repr(taken(learnt(fields := ["9.90", "10.00"]), fields)) == "[9.9, 10]"


FIELDS = st.one_of(
    st.sampled_from([text for fields, _ in COLUMNS.values() for text in fields]),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9, max_value=9).map(
        str
    ),
    st.text(min_size=1, max_size=4),
)


@given(st.lists(FIELDS, min_size=1, max_size=6), st.randoms())
def test_any_order_of_the_rows_gives_one_type(fields: list[str], random: Any) -> None:
    shuffled = [*fields]
    random.shuffle(shuffled)

    assert learnt(shuffled).of("c") is learnt(fields).of("c")


@given(st.lists(FIELDS, min_size=1, max_size=6))
def test_the_type_of_a_column_is_that_of_each_of_its_fields_or_text(fields: list[str]) -> None:
    whole = learnt(fields).of("c")

    alone = {learnt([text]).of("c") for text in fields}
    assert whole in alone | {TEXT}
    if TEXT in alone or len(alone) > 1:
        assert whole is TEXT


@given(st.lists(FIELDS.filter(lambda text: not isinstance(from_field(text), str)), min_size=1))
def test_numbers_that_were_spelled_as_ours_are_what_they_were(fields: list[str]) -> None:
    types, was = learnt(fields), [from_field(text) for text in fields]

    numbers = all(type(value) is not bool for value in was)
    if numbers or all(type(value) is bool for value in was):
        assert repr(taken(types, fields)) == repr(was)
    else:
        assert types.of("c") is TEXT


def test_a_former_type_reads_each_field_as_it_was() -> None:
    types = learnt(["42", "007", "true", "a"])

    assert taken(ColumnTypes(former={"c": BY_FIELD}, columns=types.columns), ["42", "007"]) == [
        42,
        "007",
    ]
    assert taken(ColumnTypes(former={"c": "number"}, columns=types.columns), ["42", "N/A"]) == [
        42,
        "N/A",
    ]


# In a manifest.


def inputs(folder: Path, rows: str, csv: str, name: str = "p.csv") -> list[dict[str, Any]]:
    (folder / name).write_text(csv, encoding="utf-8")
    manifest = folder / "m.yaml"
    manifest.write_text(f"models: [a/b]\nrows: {rows}\n", encoding="utf-8")
    return [cell.input for cell in expand(load_manifest(manifest, os.environ))]


def problems(folder: Path, rows: str, csv: str, name: str = "p.csv") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        inputs(folder, rows, csv, name)
    shown = str(folder)
    return [
        f"{each.place}: {each.message}".replace(f"{shown}/", "") for each in caught.value.problems
    ]


def test_a_prompt_that_is_a_number_is_sent_as_the_text_that_it_is(tmp_path: Path) -> None:
    sent = inputs(tmp_path, "p.csv", "prompt,steps\na red chair,7.0\n42,7.5\ntrue,8\n")

    assert sent == [
        {"prompt": "a red chair", "steps": 7},
        {"prompt": "42", "steps": 7.5},
        {"prompt": "true", "steps": 8},
    ]


def test_an_empty_field_says_nothing_of_its_columns_type(tmp_path: Path) -> None:
    sent = inputs(tmp_path, "p.csv", "a,b\n1,\n,x\n3,\n")

    assert sent == [{"a": 1}, {"b": "x"}, {"a": 3}]


def test_the_manifest_decides_where_it_says_a_type(tmp_path: Path) -> None:
    rows = "{file: p.csv, text: [a], number: [b], boolean: [c]}"

    sent = inputs(tmp_path, rows, "a,b,c\n1,007,TRUE\n2, 1e3 , false\n3,+5,True\n")

    assert sent == [
        {"a": "1", "b": 7, "c": True},
        {"a": "2", "b": 1000, "c": False},
        {"a": "3", "b": 5, "c": True},
    ]


def test_each_field_that_is_not_of_the_said_type_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    rows = "{file: p.csv, number: [b], boolean: [c]}"

    found = problems(tmp_path, rows, 'a,b,c\nx,1,yes\ny,N/A,true\nz,"1,5",\nw,1e999,0\n')

    number = "this is not a number, as `number: [b]` says"
    boolean = "this is not true or false, as `boolean: [c]` says"
    assert found == [
        f"p.csv:2:5: {boolean}",
        f"p.csv:3:3: {number}",
        f"p.csv:4:3: {number}",
        f"p.csv:5:3: {number}",
        f"p.csv:5:9: {boolean}",
    ]


def test_of_a_long_file_of_such_mistakes_twenty_are_said(tmp_path: Path) -> None:
    found = problems(tmp_path, "{file: p.csv, number: [a]}", "a\n" + "x\n" * 1000)

    assert len(found) == 20


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("number: [a], text: [a]", "`rows.number`: `a` is also in `text`; keep one of them"),
        ("number: [a], boolean: [a]", "`rows.boolean`: `a` is also in `number`; keep one of them"),
        ("number: [a], files: [a]", "`rows.number`: `a` is also in `files`; keep one of them"),
        ("boolean: [a], template: [a]", "`rows.boolean`: `a` is also in `template`; keep one of"),
        ("number: [prise]", "`rows.number`: no column `prise` in p.csv; did you mean `price`?"),
        ("boolean: [prise]", "`rows.boolean`: no column `prise` in p.csv; did you mean `price`?"),
        ("number: a", "expected a list of column names such as [prompt]"),
    ],
)
def test_a_type_that_cannot_be_is_said(tmp_path: Path, options: str, expected: str) -> None:
    found = problems(tmp_path, f"{{file: p.csv, {options}}}", "a,price\n1,2\n")

    assert any(expected in each for each in found), found


def test_the_values_of_a_jsonl_file_keep_their_own_types(tmp_path: Path) -> None:
    mixed = '{"a": 42}\n{"a": "42"}\n{"a": true}\n'

    assert inputs(tmp_path, "p.jsonl", mixed, "p.jsonl") == [{"a": 42}, {"a": "42"}, {"a": True}]
    [said] = problems(tmp_path, "{file: p.jsonl, number: [a]}", mixed, "p.jsonl")
    assert "`rows.number`: the values of p.jsonl have the types that JSON gives them" in said


def test_a_path_and_a_template_are_texts(tmp_path: Path) -> None:
    (tmp_path / "7").write_bytes(b"GIF89a")

    sent = inputs(tmp_path, "{file: p.csv, files: [a], template: [b]}", "a,b\n7,42\n")

    assert sent[0]["a"].written == "7"
    assert sent[0]["b"] == "42"
