"""A column that `send` leaves out is noted where a model seems to want it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.catalogue.unsent_columns import unsent_columns
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.descriptions import Description, parse_description

SHEET = "prompt,seed,size,sku\na chair,1,big,007\n"
Load = Callable[..., Manifest]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(model: str = "a/b", rest: str = "", send: str = "prompt") -> Manifest:
        (tmp_path / "p.csv").write_text(SHEET)
        path = tmp_path / "m.yaml"
        path.write_text(f"models: [{model}]\nrows: {{file: p.csv, send: [{send}]}}\n{rest}")
        return load_manifest(path, {})

    return load


def described(*names: str) -> dict[str, Description]:
    return {"a/b": parse_description({"inputs": [{"name": name} for name in names]})}


def said(manifest: Manifest, *inputs: str) -> list[str]:
    return [each.message for each in unsent_columns(manifest, described(*inputs))]


def test_a_column_that_the_model_has_an_input_for_is_noted_with_the_ways_on(load: Load) -> None:
    (note,) = unsent_columns(load(), described("prompt", "seed"))

    assert (Path(note.place.source).name, note.place.line, note.place.column) == ("p.csv", 1, 8)
    assert note.message == (
        "the column `seed` is not sent, and a/b has an input of this name; "
        "name it in `send` to send it, or rename the column"
    )


def test_several_are_one_note(load: Load) -> None:
    (message,) = said(load(), "prompt", "seed", "size")

    assert message.startswith("the columns `seed`, `size` are not sent, and a/b has inputs of ")


@pytest.mark.parametrize(
    ("model", "rest", "send"),
    [
        ("a/b", "inputs: {prompt_2: 'a chair, ${seed}'}\n", "prompt"),
        ("a/b", "", "prompt, seed"),
        ("{id: a/b, omit: [seed]}", "", "prompt, seed"),
        ("{id: a/b, rename: {size: seed}}", "", "prompt, size"),
    ],
    ids=["used", "sent", "omitted", "renamed"],
)
def test_what_has_a_use_or_comes_from_elsewhere_is_none(
    load: Load, model: str, rest: str, send: str
) -> None:
    assert said(load(model, rest, send), "prompt", "seed") == []


def test_without_a_description_nothing_is_known(load: Load) -> None:
    assert list(unsent_columns(load(), {})) == []


def test_an_input_of_a_model_that_such_a_column_keeps_from_being_sent_is_noted(load: Load) -> None:
    manifest = load("{id: a/b, alias: b, inputs: {size: small}}")

    (note,) = manifest.notes
    assert note.message.startswith("`size` of b is not sent, for ")
    assert note.message.endswith(
        "p.csv has a column of this name that is not in `send`; "
        "name it there to send both, or rename the column to send this input"
    )
    assert said(manifest, "prompt", "size") == []


def test_such_an_input_that_serves_a_template_is_meant(load: Load) -> None:
    manifest = load("{id: a/b, inputs: {size: small}}", "inputs: {note: 'it is ${size}'}\n")

    assert manifest.notes == ()
