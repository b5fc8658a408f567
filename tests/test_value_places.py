"""Where each input of a cell comes from: rows, axes, a model, `include`, and texts of others."""

from pathlib import Path

from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.value_places import sources_of

TEXT = """\
models:
  - {id: a/b, alias: one, rename: {size: format}}
  - {id: c/d, alias: two, inputs: {size: 9, seed: [7, 8]}}
inputs:
  size: 5
  seed: [1,
         2]
  prompt: "${shot} in ${color}"
vars: {color: [red, blue]}
rows: {file: p.csv, send: [size]}
zip:
  style: [oil, ink]
  strength: [1, 2]
include:
  - {model: a/b, prompt: x, seed: [4, 5], style: u, strength: 8, shot: z, color: k}
"""


def sources(folder: Path) -> list[tuple[str, dict[str, str]]]:
    (folder / "p.csv").write_text("shot,size\nchair,1\nsofa,\n")
    (folder / "m.yaml").write_text(TEXT)
    manifest = load_manifest(folder / "m.yaml", {})
    return [
        (cell.alias, {name: str(each) for name, each in sources_of(manifest, cell).items()})
        for cell in expand(manifest)
    ]


def test_each_kind_of_source_has_its_line(tmp_path: Path) -> None:
    found = sources(tmp_path)

    assert found[0] == (
        "one",
        {
            "format": "p.csv:2",
            "seed": "line 6, value 1 of 2",
            "prompt": "line 8; color: line 9, value 1 of 2; shot: p.csv:2",
            "style": "line 12, value 1 of 2",
            "strength": "line 12, value 1 of 2",
        },
    )


def test_a_models_own_input_is_named_before_any_other(tmp_path: Path) -> None:
    _, of_two = next(pair for pair in sources(tmp_path) if pair[0] == "two")

    assert of_two["size"] == "line 3, the model's own"
    assert of_two["seed"] == "line 3, the model's own, value 1 of 2"


def test_a_field_that_is_empty_leaves_the_word_to_the_input(tmp_path: Path) -> None:
    places = {each["format"] for alias, each in sources(tmp_path) if alias == "one"}

    assert places == {"p.csv:2", "line 5", "line 5, include 1"}


def test_an_include_names_itself(tmp_path: Path) -> None:
    _, last = sources(tmp_path)[-1]

    assert last["seed"] == "line 15, value 2 of 2, include 1"
    assert last["prompt"] == "line 15, include 1"
