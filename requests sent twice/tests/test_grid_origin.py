"""Where a cell comes from, by its ordinal: compared with the values that it has."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from test_grid_property import manifests, yaml_of

from batchrun.manifest.grid.expand import expand
from batchrun.manifest.grid.origin import origin_of, places_of
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest

ROWS = "prompt,size\na chair,1\na sofa,2\na stool,3\n"
TEXT = """\
models:
  - {id: a/b, alias: one}
  - {id: c/d, alias: two, repeat: 2}
inputs: {seed: {$range: [10, 13]}, style: "${size} of it"}
vars: {color: [red, blue]}
rows: prompts.csv
exclude: [{color: blue, seed: 11}]
include:
  - {prompt: [a bench, a bed], size: 9, seed: [5, 6, 7], color: green}
"""


def loaded(folder: Path, text: str) -> Manifest:
    (folder / "prompts.csv").write_text(ROWS)
    path = folder / "m.yaml"
    path.write_text(text)
    return load_manifest(path, {})


def test_a_cells_rows_and_elements_are_those_that_its_values_come_from(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, TEXT)
    seeds = [10, 11, 12, 13], [5, 6, 7]
    seen = 0

    for cell in expand(manifest):
        origin, values = origin_of(manifest, cell.ordinal), cell.values

        assert (origin.model.alias, origin.replicate) == (cell.alias, cell.replicate)
        assert seeds[origin.include is not None][origin.elements["seed"]] == values["seed"]
        if origin.include is None:
            assert ["a chair", "a sofa", "a stool"][origin.rows[0]] == values["prompt"]
            assert ["red", "blue"][origin.elements["color"]] == values["color"]
        else:
            assert (origin.include, origin.rows) == (0, {})
            assert ["a bench", "a bed"][origin.elements["prompt"]] == values["prompt"]
        seen += 1

    assert seen == 3 * 7 * 3 + 2 * 3 * 3  # two replicates of one model, one of the other


def test_a_row_is_named_by_its_line(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, TEXT)
    lines = {"a chair": ["2"], "a sofa": ["3"], "a stool": ["4"]}

    for cell in expand(manifest):
        places = places_of(origin_of(manifest, cell.ordinal))
        expected = [
            f"{tmp_path}/prompts.csv:{line}" for line in lines.get(cell.values["prompt"], [])
        ]
        assert [str(place) for place in places] == expected


@pytest.mark.parametrize("ordinal", [-1, 10_000])
def test_a_point_that_there_is_not_is_said(tmp_path: Path, ordinal: int) -> None:
    manifest = loaded(tmp_path, TEXT)

    with pytest.raises(ValueError, match=f"no point {ordinal}"):
        origin_of(manifest, ordinal)


@given(manifests())
@settings(max_examples=examples(100))
def test_whatever_the_manifest_each_cell_has_an_origin_of_its_own(manifest: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.yaml")
        path.write_text(yaml_of(manifest))
        read = load_manifest(path, {})
        seen = set()
        for cell in expand(read):
            origin = origin_of(read, cell.ordinal)
            assert (origin.model.alias, origin.replicate) == (cell.alias, cell.replicate)
            key = (origin.include, origin.model.alias, origin.replicate)
            places = (origin.elements, origin.own, origin.rows)
            seen.add((*key, *(tuple(each.items()) for each in places)))
        assert len(seen) == sum(1 for _ in expand(read))
