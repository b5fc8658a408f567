"""A name that makes points, and that no cell is made of, has a note."""

from pathlib import Path

import pytest

from batchrun.manifest.load import read_manifest

MODELS = "models: [google/nano-banana-2]\n"


def noted(folder: Path, text: str) -> list[str]:
    (folder / "r.csv").write_text("id,color\n1,red\n2,blue\n")
    manifest = read_manifest((MODELS + text).encode(), folder / "m.yaml", {})
    return [f"{note.place.line}: {note.message.partition(',')[0]}" for note in manifest.notes]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vars: {color: [red, blue]}\ninputs: {prompt: 'a {color} chair'}\n", "2: nothing uses"),
        ("rows: {file: r.csv, send: []}\ninputs: {prompt: 'a {color} chair'}\n", "1: nothing uses"),
        ("vars:\n  a: [1, 2]\n  b: '${a}'\ninputs: {prompt: x}\n", "3: nothing uses"),
    ],
)
def test_a_list_or_table_that_nothing_uses_has_a_note(tmp_path: Path, text: str, said: str) -> None:
    [note] = noted(tmp_path, text)

    assert note.startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "vars: {color: [red, blue]}\ninputs: {prompt: 'a ${color} chair'}\n",
        "vars:\n  a: [1, 2]\n  b: '${a}'\ninputs: {prompt: '${b}'}\n",
        "vars: {a: [1, 2]}\ninputs: {prompt: x}\nexclude: [{a: 1}]\n",
        "vars: {a: [1, 2]}\ninputs: {prompt: x}\noutputs: {name: '${a}-${cell}'}\n",
        "vars: {a: [1, 2]}\ninputs: {prompt: x}\nmetadata: {project: '${a}'}\n",
        "vars: {a: 1}\ninputs: {prompt: x}\n",
        "rows: {file: r.csv, send: []}\ninputs: {prompt: 'a ${color} chair'}\n",
        "rows: {file: r.csv, send: [color]}\ninputs: {prompt: x}\n",
        "vars: {a: [1, 2]}\nmodels: [{id: a/b, inputs: {prompt: '${a}'}}]\n",
    ],
)
def test_a_name_that_is_used_has_none(tmp_path: Path, text: str) -> None:
    head = "" if "models:" in text else MODELS
    (tmp_path / "r.csv").write_text("id,color\n1,red\n2,blue\n")

    manifest = read_manifest((head + text).encode(), tmp_path / "m.yaml", {})

    assert manifest.notes == ()
