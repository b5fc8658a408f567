"""The manifest's language: what cells a text comes to, and what is said of its mistakes."""

from pathlib import Path
from typing import Any

import pytest

from batchrun.errors import ManifestError
from batchrun.manifest.cells import Cell
from batchrun.manifest.file_names import file_name
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.load import load_manifest

MANIFESTS = Path(__file__).parent.parent / "manifests"


def cells_of(folder: Path, text: str) -> list[Cell]:
    path = folder / "m.yaml"
    path.write_text(text)
    return list(expand(load_manifest(path, {"WHO": "me"})))


def inputs_of(folder: Path, text: str) -> list[dict[str, Any]]:
    return [cell.input for cell in cells_of(folder, text)]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("16:9", "16:9"),
        ("no", "no"),
        ("on", "on"),
        ("010", 10),
        ("1e3", 1000),
        ("1.0", 1),
        ("'1'", "1"),
        ("true", True),
        ("2026-01-02", "2026-01-02"),
        ("0x1F", 31),
        ("{a: [1, 2]}", {"a": [1, 2]}),
        ("[[1, 2]]", [1, 2]),
    ],
)
def test_a_value_means_what_yaml_1_2_says(tmp_path: Path, written: str, sent: Any) -> None:
    [found] = inputs_of(tmp_path, f"models: [a/b]\ninputs: {{x: {written}}}\n")

    assert found == {"x": sent}
    assert type(found["x"]) is type(sent)


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        ("{a: [1, 2, 3], b: [1, 2]}", 6),
        ("{a: {$range: [1, 4]}, b: x}", 4),
        ("{a: {$range: [0, 1, 0.25]}}", 5),
        ("{a: [{$range: [1, 3]}, 9]}", 4),
        ("{a: {b: [1, 2]}}", 1),
    ],
)
def test_a_list_is_an_axis_where_it_is_a_keys_direct_value(
    tmp_path: Path, inputs: str, count: int
) -> None:
    assert len(inputs_of(tmp_path, f"models: [a/b]\ninputs: {inputs}\n")) == count


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ("[1, 4]", [1, 2, 3, 4]),
        ("[1, 4, 2]", [1, 3]),
        ("[4, 1, -1]", [4, 3, 2, 1]),
        ("[0.1, 0.5, 0.1]", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("[1.0, 2.0, 0.5]", [1, 1.5, 2]),
        ("[-1, 1]", [-1, 0, 1]),
        ("[5, 5]", [5]),
        (f"[{10**40}, {10**40 + 2}]", [10**40, 10**40 + 1, 10**40 + 2]),
        ("[0, 1e300, 1e300]", [0, 10**300]),
        ("[1e-30, 1, 1]", [1e-30]),
        ("['${one}', '${n}']", [1, 2, 3]),
    ],
)
def test_a_range_is_exact_and_includes_both_ends(
    tmp_path: Path, bounds: str, values: list[float]
) -> None:
    text = f"models: [a/b]\nvars: {{one: 1, n: 3}}\ninputs: {{x: {{$range: {bounds}}}}}\n"

    found = [sent["x"] for sent in inputs_of(tmp_path, text)]

    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_models_are_innermost_and_the_first_axis_is_slowest(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "models: [a/b, c/d]\ninputs: {x: [1, 2], y: [3, 4]}\n")

    order = [(cell.input["x"], cell.input["y"], cell.alias) for cell in cells]
    assert order[:3] == [(1, 3, "a-b"), (1, 3, "c-d"), (1, 4, "a-b")]
    assert [cell.ordinal for cell in cells] == sorted({cell.ordinal for cell in cells})


def test_the_streams_of_models_merge_into_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("models: [a/b, {id: c/d, omit: [y]}]\ninputs: {x: [1, 2], y: [3, 4]}\n")
    manifest = load_manifest(path, {})

    streams = [cell for model in manifest.models for cell in expand(manifest, model)]

    whole = [(cell.ordinal, cell.key) for cell in expand(manifest)]
    assert sorted((cell.ordinal, cell.key) for cell in streams) == whole
    assert upper_bound(manifest) >= len(whole)


def test_a_model_has_its_own_inputs_names_and_values(tmp_path: Path) -> None:
    text = """\
models:
  - id: a/b
    inputs: {duration: "5"}
    omit: [seed]
    rename: {ratio: shape}
    map: {ratio: {1:1: square, 16:9: wide}}
inputs: {seed: 1, duration: 7, ratio: [1:1, 16:9]}
"""
    assert inputs_of(tmp_path, text) == [
        {"duration": "5", "shape": "square"},
        {"duration": "5", "shape": "wide"},
    ]


def test_templates_take_vars_inputs_and_the_environment(tmp_path: Path) -> None:
    text = """\
models: [a/b]
inputs: {prompt: "${n} ${color} $${x} ${env:WHO}", count: "${n}"}
vars: {color: [red, blue], n: 3}
"""
    assert inputs_of(tmp_path, text) == [
        {"prompt": "3 red ${x} me", "count": 3},
        {"prompt": "3 blue ${x} me", "count": 3},
    ]


def test_exclude_zip_and_repeat(tmp_path: Path) -> None:
    text = """\
models: [a/b]
inputs: {x: [1, 2]}
zip: {y: [a, b], z: [c, d]}
exclude: [{x: 1, y: a}]
repeat: 2
"""
    cells = cells_of(tmp_path, text)

    assert len(cells) == len({cell.key for cell in cells}) == 6
    assert {(c.input["x"], c.input["y"], c.input["z"]) for c in cells} == {
        (1, "b", "d"),
        (2, "a", "c"),
        (2, "b", "d"),
    }


def test_a_sample_is_contained_in_a_larger_one(tmp_path: Path) -> None:
    text = "models: [a/b]\ninputs: {{x: {{$range: [1, 100]}}}}\nsample: {{n: {n}, seed: 7}}\n"
    small = {cell.key for cell in cells_of(tmp_path, text.format(n=10))}
    large = {cell.key for cell in cells_of(tmp_path, text.format(n=20))}

    assert (len(small), len(large)) == (10, 20)
    assert small < large


@pytest.mark.parametrize(
    "other",
    [
        "inputs: {y: 2, x: 1.0}\nmodels: [{id: a/b, alias: other, concurrency: 1}]\n",
        "models: [a/b]\nname: other\ninputs: {x: 1e0, y: 2}\nlimits: {concurrency: 2}\n",
        "# a comment\nmodels: ['a/b']\ninputs:\n  x: 1\n  y: 2\nmetadata: {a: b}\n",
    ],
)
def test_spelling_order_and_knobs_are_not_identity(tmp_path: Path, other: str) -> None:
    [one] = cells_of(tmp_path, "models: [a/b]\ninputs: {x: 1, y: 2}\n")
    [two] = cells_of(tmp_path, other)

    assert one.key == two.key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "m.yaml:1:1: the manifest is empty"),
        ("models: [a/b]\nmodels: [c/d]\n", "m.yaml:2:1:"),
        ("models: [a/b]\ninputs: {x: []}\n", "m.yaml:2:13: an axis needs at least one value"),
        ("models: [a/b]\ninputs: {x: '${y}'}\n", "m.yaml:2:14: unknown reference `${y}`"),
        ("models: [a/b]\nlimits: {concurency: 2}\n", "did you mean `concurrency`"),
        ("models: [a/b]\nzip: {x: [1], y: [1, 2]}\n", "m.yaml:2:"),
        ("models: [a/b]\ninputs: {x: .nan}\n", "m.yaml:2:13:"),
        ("models: [a/b]\ninputs:\n\tx: 1\n", "m.yaml:3:"),
        ("models: [a]\n", "m.yaml:1:10:"),
        ("models: [a/b]\npoll: {interval: 2}\n", "2s"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        cells_of(tmp_path, text)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("{seed: 2}", [1, 3, 4, 5]),
        ("{seed: [1, 3]}", [2, 4, 5]),
        ("{seed: [{$range: [2, 4]}, 1]}", [5]),
        ("{seed: '${no}'}", [1, 2, 4, 5]),
        ("{seed: ['${no}', 1], color: red}", [2, 4, 5]),
    ],
)
def test_exclude_takes_values_lists_and_what_does_not_vary(
    tmp_path: Path, exclude: str, left: list[int]
) -> None:
    text = f"""\
models: [a/b]
vars: {{no: 3, color: red}}
inputs: {{seed: {{$range: [1, 5]}}}}
exclude: [{exclude}]
"""
    assert [sent["seed"] for sent in inputs_of(tmp_path, text)] == left


@pytest.mark.parametrize("text", ["prompt\n\na\n\n", "\n\nprompt\na\n", "prompt\r\na\r\n\r\n"])
def test_a_line_with_nothing_in_it_is_no_row(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())

    assert inputs_of(tmp_path, "models: [a/b]\nrows: p.csv\n") == [{"prompt": "a"}]


def test_a_field_of_a_csv_may_be_long_but_not_endless(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"p,q\n1,{'x' * 131072}\n")
    [sent] = inputs_of(tmp_path, "models: [a/b]\nrows: p.csv\n")
    assert len(sent["q"]) == 131072

    (tmp_path / "p.csv").write_text(f"p,q\n1,{'x' * 131073}\n")
    with pytest.raises(ManifestError, match=r"p\.csv:2:1: a field is longer than 131072"):
        inputs_of(tmp_path, "models: [a/b]\nrows: p.csv\n")


def chain(length: int, end: str) -> str:
    names = ", ".join(f'v{n}: "${{v{n + 1}}}"' for n in range(length))
    return f"models: [a/b]\nvars: {{{names}, v{length}: {end}}}\ninputs: {{p: '${{v0}}'}}\n"


def test_a_chain_of_names_may_be_longer_than_the_stack_is_deep(tmp_path: Path) -> None:
    assert inputs_of(tmp_path, chain(1000, "[x, y]")) == [{"p": "x"}, {"p": "y"}]


def test_a_long_circle_is_named_in_short(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"follow in a circle: v0 → v1 → .* … .*→ v0"):
        cells_of(tmp_path, chain(100, "'${v0}'"))


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_manifest_of_the_repository_is_right(path: Path) -> None:
    manifest = load_manifest(path, {})
    cells = list(expand(manifest))

    assert 10 <= len({cell.key for cell in cells}) <= 60
    names = {file_name(manifest, cell) for cell in cells}
    assert not any(name.startswith("/") or ".." in name for name in names)
