"""A cell is found by what it was sent with, without a walk of the grid, and never a wrong one."""

from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from test_grid_property import manifests, yaml_of

from batchrun.manifest.cells import plain
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.grid.find import Left, Sent, TooManyError, candidates, find
from batchrun.manifest.load import load_manifest, read_manifest
from batchrun.manifest.manifest import Manifest

LARGE = """\
models: [a/b, c/d]
inputs:
  seed: {$range: [1, 1000]}
  strength: {$range: [0.1, 100, 0.1]}
  prompt: "a ${color} chair"
  ratio: ["1:1", "16:9"]
vars: {color: [red, green, blue]}
"""


def loaded(text: str) -> Manifest:
    return read_manifest(text.encode(), Path("m.yaml"), {})


def sent_of(cell: Any, **fields: Any) -> Sent:
    return Sent(**{"key": cell.key, "model": cell.model, "input": plain(cell.input)} | fields)


@settings(max_examples=examples(60), deadline=None)
@given(manifests())
def test_each_cell_of_any_manifest_is_found_as_it_is(drawn: Any) -> None:
    manifest = loaded(yaml_of(drawn))

    for cell in list(expand(manifest))[:20]:
        sent = sent_of(cell)
        assert find(manifest, sent).key == cell.key  # type: ignore[union-attr]  # found
        assert cell.key in {each.key for each in candidates(manifest, sent, Left(None))}


def test_twelve_million_cells_are_not_walked() -> None:
    manifest = loaded(LARGE)
    want = loaded(
        LARGE.replace("$range: [1, 1000]", "$range: [777, 777]").replace(
            "$range: [0.1, 100, 0.1]", "$range: [99.9, 99.9, 0.1]"
        )
    )

    found = [find(manifest, sent_of(cell)) for cell in expand(want)]

    assert [cell and cell.input for cell in found] == [cell.input for cell in expand(want)]


def test_a_cell_that_the_manifest_no_longer_has_is_not_found() -> None:
    manifest = loaded("models: [a/b]\ninputs: {prompt: [x, y]}\n")
    [other] = expand(loaded("models: [a/b]\ninputs: {prompt: z}\n"))

    assert find(manifest, sent_of(other)) is None


def test_where_too_much_is_left_nothing_is_claimed() -> None:
    manifest = loaded(LARGE)
    [other] = expand(loaded("models: [a/b]\ninputs: {prompt: z}\n"))

    with pytest.raises(TooManyError):
        find(manifest, sent_of(other))


def test_a_value_that_was_sent_as_another_type_is_found() -> None:
    manifest = loaded('models: [a/b]\ninputs: {duration: ["5", "10"], seed: [1, 2]}\n')
    cell = list(expand(manifest))[-1]

    found = find(manifest, sent_of(cell, input={"duration": 10, "seed": "2"}), most=5)

    assert found is not None
    assert found.key == cell.key


def test_a_local_file_is_found_although_an_address_was_sent(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    path = tmp_path / "m.yaml"
    path.write_text("models: [a/b]\ninputs: {image_url: {$glob: '*.png'}, seed: [1, 2]}\n")
    manifest = load_manifest(path, {})
    cell = list(expand(manifest))[2]

    sent = sent_of(cell, input={"image_url": "https://assets.test/1", "seed": cell.input["seed"]})
    found = find(manifest, sent)

    assert found is not None
    assert found.ordinal == cell.ordinal


def test_a_sampled_cell_and_one_of_an_include_are_found() -> None:
    text = (
        "models: [{id: a/b, map: {size: {s: small, l: large}}, rename: {size: format}}]\n"
        "inputs: {prompt: [x, y, z], seed: {$range: [1, 9]}, size: [s, l]}\nsample: {n: 7}\n"
        "include: [{prompt: only, size: l}]\n"
    )
    manifest = loaded(text)

    for cell in expand(manifest):
        assert find(manifest, sent_of(cell)) == cell
