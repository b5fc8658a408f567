"""Inside text and in file names, a value of a CSV column is spelled as its field is written."""

import os
from pathlib import Path
from typing import Any, Final

import pytest

from batchrun.manifest.cells import Cell
from batchrun.manifest.file_names import file_name, user_metadata
from batchrun.manifest.grid.expand import expand, points
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.select import check_found, parse_only, selects

SHEET: Final = "price,ok,n\n9.90,TRUE,1.0\n10.00,False,2.5\n"


def loaded(folder: Path, text: str, **files: str) -> Manifest:
    for name, content in {"s_csv": SHEET, **files}.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    (folder / "m.yaml").write_text(f"models: {text}", encoding="utf-8")
    return load_manifest(folder / "m.yaml", os.environ)


def cells(folder: Path, text: str, **files: str) -> list[Cell]:
    return [*expand(loaded(folder, text, **files))]


WAYS: dict[str, tuple[str, list[Any]]] = {
    "numbers and booleans": (
        "[a/b]\nrows: {file: s.csv, send: []}\ninputs: {x: '${price} ${ok} ${n}'}",
        ["9.90 TRUE 1.0", "10.00 False 2.5"],
    ),
    "alone": (
        "[a/b]\nrows: {file: s.csv, send: []}\ninputs: {x: ['${price}', '${ok}', '${n}']}",
        [9.9, True, 1, 10, False, 2.5],
    ),
    "sent by itself": ("[a/b]\nrows: {file: x.csv}", [9.9, 10]),
    "by way of a name": (
        (
            "[a/b]\nrows: {file: s.csv, send: []}\nvars: {v: '${price}', w: '${v}'}\n"
            "inputs: {x: 'for ${w}'}"
        ),
        ["for 9.90", "for 10.00"],
    ),
    "by way of an axis": (
        (
            "[a/b]\nrows: {file: s.csv, send: []}\nvars: {v: ['${price}', 7.50]}\n"
            "inputs: {x: 'for ${v}'}"
        ),
        ["for 9.90", "for 7.5", "for 10.00", "for 7.5"],
    ),
    "below a model's own text": (
        "[{id: a/b, inputs: {x: 'for ${x}'}}]\nrows: x.csv",
        ["for 9.90", "for 10.00"],
    ),
    "below a model's own reference": (
        "[{id: a/b, inputs: {price: '${price}', x: 'for ${price}'}}]\nrows: s.csv",
        ["for 9.90", "for 10.00"],
    ),
    "a field that an input fills in for": (
        "[a/b]\nrows: {file: g.csv, send: [price, a]}\ninputs: {price: 5.50, x: 'for ${price}'}",
        ["for 9.90", "for 5.5", "for 10.00"],
    ),
    "an input that another column fills": (
        "[a/b]\nrows: {file: h.csv, send: [price]}\ninputs: {price: '${n}', x: 'for ${price}'}",
        ["for 9.90", "for 2.0"],
    ),
    "a template in a file": (
        "[a/b]\nrows: {file: t.csv, send: [x], template: [x]}",
        ["for 9.90", 10, "for 7.50"],
    ),
    "columns whose types are said": (
        (
            "[a/b]\nrows: {file: k.csv, send: [], number: [n], boolean: [b], text: [t]}\n"
            "inputs: {x: '${n} ${b} ${t}'}"
        ),
        ["007 TRUE 1.0", "+5 False 2.5"],
    ),
    "a JSONL file": (
        "[a/b]\nrows: {file: s.jsonl, send: []}\ninputs: {x: 'for ${price}'}",
        ["for 9.9"],
    ),
    "a JSONL file behind a CSV one": (
        (
            "[a/b]\nrows: {file: [s.csv, s.jsonl], send: []}\nvars: {v: '${price}'}\n"
            "inputs: {x: 'for ${price}, ${v}'}"
        ),
        ["for 9.90, 9.90", "for 10.00, 10.00", "for 9.9, 9.9"],
    ),
    "rows below other axes": (
        "[a/b]\nrows: {file: s.csv, send: []}\nvars: {v: [1.50, 2]}\ninputs: {x: '${v} ${price}'}",
        ["1.5 9.90", "2 9.90", "1.5 10.00", "2 10.00"],
    ),
    "replicates": (
        "[a/b]\nrows: {file: s.csv, send: []}\ninputs: {x: '${price} ${replicate}'}\nrepeat: 2",
        ["9.90 1", "9.90 2", "10.00 1", "10.00 2"],
    ),
}


@pytest.mark.parametrize(("text", "sent"), WAYS.values(), ids=WAYS)
def test_inside_text_a_field_is_as_it_is_written(
    tmp_path: Path, text: str, sent: list[Any]
) -> None:
    found = cells(
        tmp_path,
        f"{text}\n",
        x_csv="x\n9.90\n10.00\n",
        g_csv="price,a\n9.90,1\n,2\n10.00,3\n",
        h_csv="price,n\n9.90,1.0\n,2.0\n",
        t_csv="x,price\nfor ${price},9.90\n${price},10.00\nfor ${price},7.50\n",
        k_csv="n,b,t\n007,TRUE,1.0\n+5,False,2.5\n",
        s_jsonl='{"price": 9.90}\n',
    )

    assert [cell.input["x"] for cell in found] == sent


def test_another_replicate_has_the_same_text(tmp_path: Path) -> None:
    text = "[a/b]\nrows: {file: s.csv, send: []}\ninputs: {x: '${price} ${replicate}'}\n"

    found = [each.beyond(3) for each in points(loaded(tmp_path, text))]

    assert [cell and cell.input["x"] for cell in found] == ["9.90 3", "10.00 3"]


def test_file_names_and_metadata_have_the_field_as_it_is_written(tmp_path: Path) -> None:
    manifest = loaded(
        tmp_path,
        "[a/b]\nrows: {file: s.csv, send: [n]}\nvars: {v: '${price}'}\ninputs: {x: 5}\n"
        "outputs: {name: '${price}-${ok}-${v}-${x}-${cell}'}\n"
        "metadata: {text: 'for ${price}', alone: '${price}'}\n",
    )

    found = [*expand(manifest)]

    assert [file_name(manifest, cell) for cell in found] == [
        f"9.90-TRUE-9.90-5-{found[0].short}",
        f"10.00-False-10.00-5-{found[1].short}",
    ]
    assert [user_metadata(manifest, cell) for cell in found] == [
        {"text": "for 9.90", "alone": 9.9},
        {"text": "for 10.00", "alone": 10},
    ]


@pytest.mark.parametrize("typed", ["price=9.90", "price=9.9", "ok=TRUE", "ok=true", "n=1.0"])
def test_a_choice_takes_the_field_as_it_is_written_and_the_value(
    tmp_path: Path, typed: str
) -> None:
    manifest = loaded(tmp_path, "[a/b]\nrows: s.csv\n")
    only = parse_only(manifest, [typed])

    check_found(only, expand(manifest))

    assert [selects(only, cell) for cell in expand(manifest)] == [True, False]


def test_exclude_compares_values(tmp_path: Path) -> None:
    kept = cells(tmp_path, "[a/b]\nrows: s.csv\nexclude: [{price: 9.900}]\n")

    assert [cell.input["price"] for cell in kept] == [10]


def test_a_draw_stays_as_it_is_where_a_column_becomes_text(tmp_path: Path) -> None:
    text = "[a/b]\nrows: {file: p.csv, send: [x], text: [y]}\nsample: {n: 5}\n"
    fields = [f"{number}.50" for number in range(20)]

    def drawn(*more: str) -> list[str]:
        rows = "".join(f"{field},{field},a\n" for field in [*fields, *more])
        sent = cells(tmp_path, text, p_csv=f"x,y,z\n{rows}")
        return [cell.values["y"] for cell in sent if cell.values["y"] in fields]

    assert set(drawn("N/A")) <= set(drawn())
