"""The files that people have: what Excel writes, several sheets, empty rows, lists in one field."""

import os
from pathlib import Path
from typing import Any

import pytest

from batchrun.base.local_file import LocalFile
from batchrun.errors import ManifestError
from batchrun.manifest.data.csv_rows import field_place, record_lines
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest

PNG = b"\x89PNG\r\n\x1a\n"
QUOTES = "put quotes round a field that has a `;` in it"
EMPTY = "write a `,` for each empty field at its end, too"
SAY = 'say which separates them, such as `delimiter: ";"`'
EXCEL = "SKU\tPrompt\r\n007\tgröße, rot\r\n"


def loaded(folder: Path, manifest: str, **files: str | bytes) -> Manifest:
    """Return the manifest; a file is called as its keyword, with a dot for `__`."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    path = folder / "m.yaml"
    path.write_text(manifest if "models:" in manifest else f"models: [a/b]\n{manifest}")
    return load_manifest(path, {})


def inputs(folder: Path, manifest: str, **files: str | bytes) -> list[dict[str, Any]]:
    return [cell.input for cell in expand(loaded(folder, manifest, **files))]


def said(folder: Path, manifest: str, **files: str | bytes) -> list[str]:
    """Return the first line of each problem."""
    with pytest.raises(ManifestError) as caught:
        loaded(folder, manifest, **files)
    texts = (str(problem) for problem in caught.value.problems)
    return [text.partition("\n")[0].replace(f"{folder}/", "") for text in texts]


# Rows with nothing in them, and products with nothing in them.


def test_a_row_of_commas_is_no_row_wherever_it_stands(tmp_path: Path) -> None:
    rows = ",,\np,q,\n,,\n1,x,\n , \t,\n,,\n2,,\n,,\n"

    assert inputs(tmp_path, "rows: p.csv\ninputs: {n: 1}", p__csv=rows) == [
        {"n": 1, "p": 1, "q": "x"},
        {"n": 1, "p": 2},
    ]


def test_an_empty_line_of_a_data_file_is_no_row_and_an_empty_mapping_is_one(tmp_path: Path) -> None:
    lines = '{"p": 1}\n{}\n{"p": null}\n{"p": ""}\n'

    assert inputs(tmp_path, "rows: p.jsonl", p__jsonl=lines) == [{"p": 1}, {"p": None}, {"p": ""}]
    assert inputs(tmp_path, "rows: [{p: 1}, {}]") == [{"p": 1}, {}]  # in the manifest it is meant
    assert said(tmp_path, "rows: p.csv", p__csv="p,q\n,\n") == ["m.yaml:2:7: p.csv has no rows"]


@pytest.mark.parametrize(
    ("manifest", "sent"),
    [
        ("include: [{p: 1}, {p: 2}]", [{"p": 1}, {"p": 2}]),
        ("vars: {c: red}\ninclude: [{p: '${c}'}]", [{"p": "red"}]),
        ("inputs: {p: 1}\ninclude: [{q: 2}]", [{"p": 1}, {"p": 1, "q": 2}]),
        ("inputs: {p: 1}", [{"p": 1}]),
        ("repeat: 1", [{}]),
        ("models: [{id: a/b, inputs: {p: 1}}]\ninclude: [{q: 2}]", [{"p": 1}, {"q": 2, "p": 1}]),
    ],
)
def test_a_product_that_sends_nothing_has_no_point_beside_its_includes(
    tmp_path: Path, manifest: str, sent: list[dict[str, Any]]
) -> None:
    assert inputs(tmp_path, manifest) == sent


# What separates columns, and what the bytes mean.


@pytest.mark.parametrize(
    "content",
    [
        EXCEL.replace("\t", ";"),
        EXCEL,
        b"\xff\xfe" + EXCEL.encode("utf-16-le"),
        b"\xfe\xff" + EXCEL.encode("utf-16-be"),
        "sep=;\r\n" + EXCEL.replace("\t", ";"),
        '"sep=|"\r\n' + EXCEL.replace("\t", "|"),
        "\ufeff" + EXCEL.replace("\t", ";").replace("\r\n", "\r"),
        EXCEL.replace("\t", ";").replace("\r\n", ";;\r\n"),
        '"SKU",Prompt\r\n007,"größe, rot"\r\n',
    ],
)
def test_the_ways_of_excel_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert inputs(tmp_path, "rows: {file: p.csv, text: [SKU]}", p__csv=content) == [
        {"SKU": "007", "Prompt": "größe, rot"}
    ]


@pytest.mark.parametrize("source", ["rows: p.csv", "inputs: {q: {$lines: p.csv}}"])
def test_a_pipe_is_said_to_be_one_and_not_waited_for(tmp_path: Path, source: str) -> None:
    os.mkfifo(tmp_path / "p.csv")

    [message] = said(tmp_path, source)

    assert message.endswith("`p.csv` is a pipe, not a file")


@pytest.mark.parametrize("word", ['";"', "semicolon"])
def test_the_manifest_says_what_separates_columns_where_the_file_does_not(
    tmp_path: Path, word: str
) -> None:
    unclear = "sku;size (w,h)\na;2,3\n"

    assert said(tmp_path, "rows: p.csv", p__csv=unclear) == [
        f"p.csv:1:1: the column names have `,` and `;`; {SAY}"
    ]
    [sent] = inputs(tmp_path, f"rows: {{file: p.csv, delimiter: {word}}}")
    assert sent == {"sku": "a", "size (w,h)": "2,3"}


@pytest.mark.parametrize(
    ("content", "option", "name"),
    [("p|q\na|1\n", "", "p|q"), ("p,q\na,1\n", ', delimiter: ";"', "p,q")],
)
def test_a_column_that_looks_like_several_is_noted(
    tmp_path: Path, content: str, option: str, name: str
) -> None:
    manifest = loaded(tmp_path, f"rows: {{file: p.csv{option}}}", p__csv=content)

    [note] = [str(note).replace(f"{tmp_path}/", "") for note in manifest.notes]
    assert note.startswith(f"p.csv:1:1: the only column is called `{name}`; ")
    assert f'has `delimiter: "{name[1]}"`' in note
    assert not loaded(tmp_path, "rows: p.csv", p__csv="p\na|1\n").notes


def test_empty_fields_beyond_the_header_are_none(tmp_path: Path) -> None:
    rows = "p,q\n1,x,\n2,y,, \n3\n"

    assert inputs(tmp_path, "rows: p.csv", p__csv=rows.removesuffix("3\n")) == [
        {"p": 1, "q": "x"},
        {"p": 2, "q": "y"},
    ]
    [message] = said(tmp_path, "rows: p.csv", p__csv=rows)  # it may be cut off
    assert message.startswith("p.csv:4:1: 1 field, but the header has 2 columns; write a `,` for ")


@pytest.mark.parametrize("word", ["tab", '"\\t"', "'\\t'"])
def test_a_tab_can_be_said(tmp_path: Path, word: str) -> None:
    manifest = f"rows: {{file: p.txt, delimiter: {word}}}"

    assert inputs(tmp_path, manifest, p__txt="a,b\tc\nx,y\tz\n") == [{"a,b": "x,y", "c": "z"}]


def test_one_column_holds_whatever_separates_others(tmp_path: Path) -> None:
    assert inputs(tmp_path, "rows: p.csv", p__csv="p\na; b\tc|d\n") == [{"p": "a; b\tc|d"}]
    assert inputs(tmp_path, "rows: p.tsv", p__tsv="p\na, b\n") == [{"p": "a, b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("p;q\n1;x;3\n", "p.csv:2:1: 3 fields, but the header has 2 columns; put quotes round a"),
        ("p,q\n1,“x, y”\n", 'but the header has 2 columns; only straight quotes (")'),
        ("p,q,,\n1,x,,\n2,y,,z\n", "p.csv:3:6: column 4 has no name in the header"),
        ("p,,q\n1,x,2\n", "p.csv:1:3: column 2 has no name; give it one, and leave it out of `s"),
        ("p, q\n1,2\n", "has spaces around its name; take them out, and of its fields"),
        ("p,q,r\n1\n", "1 field, but the header has 3 columns; write a `,` for each empty field"),
        (
            "\n\nStock\np,q\n",
            "p.csv:4:1: 2 fields, but the header has 1 column, `Stock` in line 3;",
        ),
        ("Stock\np,q\n", "a field that has a `,` in it, or take out a title above the header"),
        ("prompt\na chair,\n", "p.csv:2:1: 2 fields, but the header has 1 column, `prompt` in"),
        (b"p,q\n1,\xe4\n", "p.csv:2:3: byte 0xe4 is not UTF-8; save the file as UTF-8 (in Excel"),
        (b"\xff\xfep\0\n\0\x00\xd8\n\0", "p.csv:2:1: U+D800 is half of a surrogate pair"),
        (b"\xff\xfep\0\n\0x", "the last character of this UTF-16 file is cut off"),
        ("p,q\n".encode("utf-16-le"), "p.csv:1:2: this looks like UTF-16 without a mark"),
        ("p,q\n1,x\0y\n", "p.csv:2:4: a NUL byte is no text"),
        (b"PK\x03\x04xl", "p.csv:1:1: this is a workbook"),
        ('p;q\n1;"x"y\n', "p.csv:2:1: a quote closes in the middle of a field"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_place_and_alone(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    [problem] = said(tmp_path, "rows: p.csv", p__csv=content)

    assert message in problem


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "a;b,c\n"),
        ("gone.csv", ""),
        ("p.xlsx", ""),
        ("p.zip", ""),
        ("none/*.csv", ""),
        ("p.jsonl", "{"),
    ],
)
def test_names_of_a_sheet_that_is_not_known_are_no_mistakes(
    tmp_path: Path, name: str, content: str
) -> None:
    if content:
        (tmp_path / name).write_text(content)
    uses = (
        f"rows: {name}\ninputs: {{p: '${{SKU}}'}}\nexclude: [{{SKU: 1}}]\n"
        "models: [{id: a/b, map: {SKU: {1: 2}}, omit: [Photo]}]\ninclude: [{q: '${SKU}'}]\n"
        "outputs: {name: '${SKU}-${cell}'}\nmetadata: {sku: '${SKU}'}\n"
    )

    [_] = said(tmp_path, uses)
    assert len(said(tmp_path, f"{uses}repeat: x\n")) == 2  # what is wrong besides is said, too


def test_a_mistake_in_a_field_stands_in_its_own_line(tmp_path: Path) -> None:
    models = "models: [{id: a/b, map: {r: {1:1: x}}}]\nrows: p.csv"

    [problem] = said(tmp_path, models, p__csv='p;r\n"a\r\n\r\nb;";4:3\n')
    assert problem.startswith("p.csv:4:5: `map.r`")


@pytest.mark.parametrize(
    ("record", "index", "place"),
    [
        ("a,b,c\n", 2, (0, 4, 1)),
        ('"a,""\r\nb",,c\n', 0, (0, 0, 5)),
        ('"a,""\r\nb",,c\n', 1, (1, 3, 1)),
        ('"a\rb",c', 1, (1, 3, 1)),
        ("a,b", 7, (0, 0, 3)),
    ],
)
def test_the_place_of_a_field_is_found(
    record: str, index: int, place: tuple[int, int, int]
) -> None:
    assert field_place(record, index, ",") == place


def test_a_quote_that_stays_open_is_looked_for_once_in_each_line(tmp_path: Path) -> None:
    looked: list[int] = []

    class Line(str):
        __slots__ = ()

        def count(self, *of: Any) -> int:
            looked.append(len(self))
            return super().count(*of)

    lines = [Line('"chair,1\n'), *(Line("a,1\n") for _ in range(3000))]

    assert list(record_lines(lines)) == lines
    assert sum(looked) == sum(map(len, lines))
    [message] = said(tmp_path, "rows: p.csv", p__csv="prompt,x\n" + "".join(lines))
    assert message == "p.csv:2:1: the quote of a field is not closed"


def test_numbers_with_decimal_commas_are_text_and_said(tmp_path: Path) -> None:
    rows = "sku;s;price;p\n1;0,5;1,00;0,5\n2;3;2,00;x\n"
    manifest = "rows: {file: p.csv, send: [s, p]}"

    [note] = loaded(tmp_path, manifest, p__csv=rows).notes
    assert str(note.place).endswith("p.csv:2:3")
    assert note.message.startswith("`0,5` has a decimal comma: the column `s` is text; for numbers")
    assert inputs(tmp_path, manifest)[0] == {"s": "0,5", "p": "0,5"}
    assert not loaded(tmp_path, "rows: {file: p.csv, send: [s, p], text: [s]}").notes


def test_a_comma_before_three_digits_may_stand_for_thousands(tmp_path: Path) -> None:
    rows = 's,p\n"1,250",1\n999,2\n'

    [note] = loaded(tmp_path, "rows: p.csv", p__csv=rows).notes

    assert note.message.startswith("`1,250` has a comma: the column `s` is text; for numbers write")
    assert "write 1250 or 1.250, for text `text: [s]`" in note.message


USES: dict[str, tuple[str, list[str]]] = {
    "sent": ("rows: p.csv", ["p.csv:2:1", "p.csv:2:5"]),
    "alone": ("inputs: {x: '${a}'}", ["p.csv:2:1"]),
    "by way of a name": ("vars: {v: '${a}'}\ninputs: {x: '${v}'}", ["p.csv:2:1"]),
    "an element of an axis": ("inputs: {x: [5, '${b}']}", ["p.csv:2:5"]),
    "an item of a list": ("inputs: {x: {$value: [1]}, y: {z: [['${b}', 1]]}}", ["p.csv:2:5"]),
    "a model's own": ("MODEL: {inputs: {x: '${b}'}}", ["p.csv:2:5"]),
    "alone in a sheet's template": ("rows: {file: p.csv, send: [t], template: [t]}", ["p.csv:2:1"]),
    "in exclude": ("inputs: {x: '<${a}>'}\nexclude: [{a: '1,5'}]", ["p.csv:2:1"]),
    "inside text": ("inputs: {x: '${a} of ${b}'}", []),
    "a name inside text": ("vars: {v: '${a}'}\ninputs: {x: '<${v}>'}", []),
    "in a file's name": ("inputs: {x: '<${a}>'}\noutputs: {name: '${b}-${cell}'}", []),
    "nowhere": ("inputs: {x: 1}\noutputs: {name: '${p}-${cell}'}", []),
    "said to be text": ("rows: {file: p.csv, text: [a, b]}", []),
}


@pytest.mark.parametrize(("text", "expected"), USES.values(), ids=USES)
def test_decimal_commas_are_said_where_a_column_stands_alone(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    rows = "a;b;p;t\n0,5;0,50;x;${a}\n1,5;2,00;y;<${b}>\n"
    rest, _, own = text.partition("MODEL: {")
    model = f"{{id: a/b, {own}" if own else "a/b"
    given = rest if "rows:" in rest else f"{rest}\nrows: {{file: p.csv, send: []}}"

    found = loaded(tmp_path, f"models: [{model}]\n{given}\n", p__csv=rows)

    assert [str(note.place).rpartition("/")[2] for note in found.notes] == expected


# Several sheets, lists in one field, defaults.


@pytest.mark.parametrize("files", ["[feb.csv, jan.jsonl, mar.tsv]", '["*.csv", "jan.*", "mar*"]'])
def test_sheets_stand_end_to_end_with_the_columns_of_all(tmp_path: Path, files: str) -> None:
    assert inputs(
        tmp_path,
        f"rows: {{file: {files}}}\ninputs: {{n: 7}}",
        feb__csv="p,n\na,1\n",
        jan__jsonl='{"q": 1}\n',
        mar__tsv="p\tq\nb\t2\n",
    ) == [{"n": 1, "p": "a"}, {"n": 7, "q": 1}, {"n": 7, "p": "b", "q": 2}]


def test_a_pattern_takes_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n}__csv": f"p\n{n}\n" for n in ("b", "c", "a")}
    manifest = loaded(tmp_path, 'rows: "?.csv"', **files)

    assert [cell.input["p"] for cell in expand(manifest)] == ["a", "b", "c"]
    assert manifest.sources.listings == {"?.csv": ("a.csv", "b.csv", "c.csv")}


def test_a_name_with_a_bracket_that_is_a_files_own_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "p[1].csv").write_text("p\n1\n")
    assert inputs(tmp_path, 'rows: "p[1].csv"', p1__csv="p\n2\n") == [{"p": 1}]


def test_each_problem_of_several_sheets_has_its_own_file(tmp_path: Path) -> None:
    files = {"a__csv": "p,q\n1\n", "b__csv": "p;q\n1;2\n3;4;5\n", "c__csv": "P,q\n1,2\n"}

    assert said(tmp_path, "rows: {file: [a.csv, b.csv, c.csv], send: [r]}", **files) == [
        f"a.csv:2:1: 1 field, but the header has 2 columns; {EMPTY}",
        f"b.csv:3:1: 3 fields, but the header has 2 columns; {QUOTES}",
        "c.csv:1:1: the column `P` is called `p` in a.csv",
        "m.yaml:2:14: `rows.send`: no column `r` in a.csv and 2 more",
    ]
    assert "{file: [jan.csv, feb.csv]}" in said(tmp_path, "rows: [a.csv, b.csv]")[0]
    assert "{file: [jan.csv, feb.csv]}" in said(tmp_path, "rows: {file: []}")[0]


def test_an_empty_sheet_among_others_is_a_note(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, "rows: {file: [a.csv, b.csv]}", a__csv="p\n1\n", b__csv="p\n")

    assert [note.message for note in manifest.notes] == [f"{tmp_path}/b.csv has no rows"]
    assert len(list(expand(manifest))) == 1


def test_a_list_in_one_field_is_a_list_of_texts(tmp_path: Path) -> None:
    rows = "p;urls\n1; a | b|\n2;\n3;|\n4;7\n"

    assert inputs(tmp_path, "rows: {file: p.csv, lists: {urls: '|'}}", p__csv=rows) == [
        {"p": 1, "urls": ["a", "b"]},
        {"p": 2},
        {"p": 3},
        {"p": 4, "urls": ["7"]},
    ]


def test_the_elements_of_a_list_are_local_files_or_addresses(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.png").write_bytes(PNG)
    (tmp_path / "d" / "p.csv").write_text("u\na.png|https://host/b.png\nno.png|a.png\n")
    manifest = "rows: {file: d/p.csv, lists: {u: '|'}, files: [u]}"

    [problem] = said(tmp_path, manifest)
    assert problem.startswith("d/p.csv:3:1: no file `d/no.png`")
    (tmp_path / "d" / "no.png").write_bytes(PNG + b"2")
    [sent, _] = inputs(tmp_path, manifest)
    assert isinstance(sent["u"][0], LocalFile)
    assert (sent["u"][0].written, sent["u"][1]) == ("d/a.png", "https://host/b.png")


@pytest.mark.parametrize(
    ("field", "said_of_it"),
    [
        ("photos/lamp.png ", "it has a blank at an end: did you mean `photos/lamp.png`?"),
        ("photos/lamb.png", "did you mean `photos/lamp.png`?"),
        ("photos\\lamp.png", "folders are parted by `/`: did you mean `photos/lamp.png`?"),
    ],
)
def test_a_photo_that_is_not_there_names_the_one_with_its_folder(
    tmp_path: Path, field: str, said_of_it: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "lamp.png").write_bytes(PNG)

    [message] = said(tmp_path, "rows: {file: p.csv, files: [p]}", p__csv=f"p,q\n{field},1\n")

    assert message == f"p.csv:2:1: no file `{field}`; {said_of_it}"


def test_a_var_fills_the_empty_fields_of_a_column_that_is_not_sent(tmp_path: Path) -> None:
    rows = "color,p\n,a\nblue,b\n"
    var = "inputs: {q: 'a ${color} ${p}'}\nvars: {color: red}"

    cells = list(expand(loaded(tmp_path, f"rows: {{file: p.csv, send: [p]}}\n{var}", p__csv=rows)))
    assert [cell.input["q"] for cell in cells] == ["a red a", "a blue b"]
    assert [cell.values["color"] for cell in cells] == ["red", "blue"]
    message = "p.csv:1:1: `color` is also in `vars`; keep one of them"
    assert said(tmp_path, f"rows: p.csv\n{var}") == [message]
    axis = var.replace("red", "[red, blue]")
    assert said(tmp_path, f"rows: {{file: p.csv, send: [p]}}\n{axis}") == [message]


@pytest.mark.parametrize("send", ["[]", "[n]"])
def test_a_column_that_is_not_sent_takes_no_inputs_place(tmp_path: Path, send: str) -> None:
    rows = "n;prompt;q\n1;old;a\n2;;b\n"
    source = "rows: {file: p.csv, send: %s}\ninputs: {prompt: 'a chair, ${n}'}"

    [message] = said(tmp_path, source % send, p__csv=rows)
    assert message.startswith("p.csv:1:3: `prompt` is not in `send`, and also in `inputs`; name it")
    sent = [cell.input for cell in expand(loaded(tmp_path, source % "[prompt]", p__csv=rows))]
    assert sent == [{"prompt": "old"}, {"prompt": "a chair, 2"}]


def test_several_sheets_have_one_type_a_column(tmp_path: Path) -> None:
    files = {"a__csv": "n;m\n1;1\n", "b__csv": "n,m\nx,2\n"}

    assert inputs(tmp_path, "rows: {file: [a.csv, b.csv]}", **files) == [
        {"n": "1", "m": 1},
        {"n": "x", "m": 2},
    ]


def test_a_decimal_comma_is_no_number_and_a_list_has_no_other_type(tmp_path: Path) -> None:
    rows = "n;m\n0,5;1|2\n"

    assert said(tmp_path, "rows: {file: p.csv, number: [n]}", p__csv=rows) == [
        "p.csv:2:1: this is not a number, as `number: [n]` says; write its decimals behind a point"
    ]
    [both, _] = said(tmp_path, "rows: {file: p.csv, number: [m], lists: {m: '|'}}")
    assert both == "m.yaml:2:14: `rows.number`: `m` is also in `lists`; keep one of them"


def test_a_file_that_a_pattern_leaves_out_is_noted(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, 'rows: "*.csv"', a__csv="p\n1\n", B__CSV="p\n2\n")

    assert ["`B.CSV` (case counts" in note.message for note in manifest.notes] == [True]
