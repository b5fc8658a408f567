"""An entry of `exclude` that matches nothing is a mistake, with the near miss named."""

from pathlib import Path

import pytest

from batchrun.errors import ManifestError
from batchrun.manifest.grid import unmatched
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest

MODELS = """\
models:
  - {id: google/nano-banana-2, alias: banana}
  - {id: openai/gpt-image-1.5, alias: gpt, inputs: {size: [1K, 2K]}}
"""
COLORS = '; it has values such as "red", "blue"'
SHEET = "sku,color\n007,red\n008,blue\n009,red\n"


def manifest(folder: Path, text: str) -> Manifest:
    (folder / "p.csv").write_text(SHEET)
    return read_manifest((MODELS + text).encode(), folder / "m.yaml", {})


def mistake(folder: Path, exclude: str, more: str = "rows: p.csv") -> str:
    with pytest.raises(ManifestError) as caught:
        manifest(folder, f"{more}\nexclude: [{exclude}]\n")
    [problem] = caught.value.problems
    return problem.message.removeprefix("this entry of `exclude` matches no point: ")


def notes(folder: Path, text: str) -> list[str]:
    return [note.message for note in manifest(folder, text).notes]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{sku: 007}", 'no cell has `sku` 7; did you mean "007"?'),
        ("{sku: [007, 8]}", 'no cell has `sku` 7, 8; did you mean "007"?'),
        ("{sku: '010'}", 'no cell has `sku` "010"; did you mean `009`?'),
        ("{color: rde}", 'no cell has `color` "rde"; did you mean `red`?'),
        ("{color: true}", f"no cell has `color` true{COLORS}"),
        ("{color: [{a: 1}]}", f"no cell has `color` these values{COLORS}"),
        ("{color: RED}", 'no cell has `color` "RED"; did you mean "red"?'),
        ("{size: 3K, model: banana}", 'no cell of `banana` has `size` "3K"'),
        ("{size: 1K, model: banana}", 'no cell of `banana` has `size` "1K"'),
        (
            "{size: 3, model: gpt}",
            'no cell of `gpt` has `size` 3; it has values such as "1K", "2K"',
        ),
        (
            "{size: 1K, model: openai/gpt-image-1.5, sku: 7}",
            'no cell of `gpt` has `sku` 7; did you mean "007"?',
        ),
        ("{sku: '007', color: blue}", "`sku` and `color` have these values, but never together"),
    ],
)
def test_an_entry_that_matches_nothing_is_a_mistake(tmp_path: Path, entry: str, said: str) -> None:
    assert mistake(tmp_path, entry) == said


@pytest.mark.parametrize(
    ("values", "typed", "hint"),
    [
        ("[true, false]", "'FALSE'", "; did you mean false?"),
        ("[9.9, 12]", "'9.90'", "; did you mean 9.9?"),
        ("['yes', 'si']", "no", '; it has values such as "yes", "si"'),
    ],
)
def test_a_value_that_is_of_another_kind_has_its_near_miss_named(
    tmp_path: Path, values: str, typed: str, hint: str
) -> None:
    inputs = f"inputs: {{keep: {values}}}"

    assert mistake(tmp_path, f"{{keep: {typed}}}", inputs).endswith(hint)


def test_the_mistake_stands_at_the_value(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest(tmp_path, "rows: p.csv\nexclude:\n  - {color: red, sku: 007}\n")

    assert [(each.place.line, each.place.column) for each in caught.value.problems] == [(6, 23)]


@pytest.mark.parametrize(
    "entry",
    [
        "{sku: '007'}",
        "{sku: ['007', '999']}",
        "{size: 1K}",
        "{size: 1K, sku: '007', color: red, model: gpt}",
        "{model: banana}",
        "{model: google/nano-banana-2, color: red}",
        "{color: red}, {color: red, sku: '009'}",
    ],
)
def test_an_entry_that_matches_a_point_is_none(tmp_path: Path, entry: str) -> None:
    assert notes(tmp_path, f"rows: p.csv\nexclude: [{entry}]\n") == []


def test_an_entry_may_match_points_that_are_not_drawn(tmp_path: Path) -> None:
    inputs = "inputs: {seed: {$range: [1, 1000]}}\nsample: {n: 1}\n"

    for seed in (1, 500, 1000):
        manifest(tmp_path, f"{inputs}exclude: [{{seed: {seed}}}]\n")
    assert mistake(tmp_path, "{seed: 1001}", inputs).startswith("no cell has `seed` 1001; it has")


def test_computed_values_are_looked_at_over_their_axes_alone(tmp_path: Path) -> None:
    axes = "".join(f"  a{number}: {{$range: [1, 10]}}\n" for number in range(7))
    text = f'inputs:\n{axes}  t: "${{a1}} ${{a2}}"'

    assert mistake(tmp_path, "{t: 3 11}", text) == 'no cell has `t` "3 11"; did you mean `3 1`?'
    assert mistake(tmp_path, "{t: 3 1, a1: 4}", text) == (
        "`t` and `a1` have these values, but never together"
    )
    assert notes(tmp_path, f"{text}\nexclude: [{{t: 3 1, a1: 3, a5: 7}}]\n") == []


def test_of_more_combinations_than_are_looked_at_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmatched, "MOST", 5)
    inputs = 'inputs: {a: {$range: [1, 3]}, b: {$range: [1, 3]}, t: "${a} ${b}"}'

    [note] = notes(tmp_path, f"{inputs}\nexclude: [{{t: 9 9}}]\n")

    assert note.startswith("whether this entry of `exclude` matches a point is not known")
    assert "more than 5 combinations" in note
    assert mistake(tmp_path, "{a: 4, t: 9 9}", inputs).startswith("no cell has `a` 4")


def test_a_value_among_others_that_is_of_another_kind_is_said(tmp_path: Path) -> None:
    said = 'no point of the product has `sku` 8; did you mean "008"?'

    assert notes(tmp_path, "rows: p.csv\nexclude: [{sku: ['007', 008, 3]}]\n") == [said]


def test_an_include_of_another_kind_than_the_sheet_is_said(tmp_path: Path) -> None:
    said = 'no point of the product has `sku` 7; did you mean "007"?'
    text = "rows: p.csv\ninclude:\n  - {color: green, sku: SKU}\n"

    assert notes(tmp_path, text.replace("SKU", "007")) == [said]
    assert notes(tmp_path, text.replace("SKU", "[007, '010']")) == [said]
    assert notes(tmp_path, text.replace("SKU", "'007'")) == []
    assert notes(tmp_path, text.replace("SKU", "12")) == []


def test_where_a_value_is_lacking_no_entry_is_blamed(tmp_path: Path) -> None:
    text = "inputs: {a: [1, {$file: gone.png}]}\nexclude: [{a: 2}]\n"

    with pytest.raises(ManifestError) as caught:
        manifest(tmp_path, text)

    assert "gone.png" in str(caught.value)
    assert "exclude" not in caught.value.problems[0].message
    assert len(list(expand(manifest(tmp_path, "inputs: {a: [1, 2]}\nexclude: [{a: 2}]\n")))) == 3


def test_a_manifest_that_a_sweep_was_started_with_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(SHEET)
    text = f"{MODELS}rows: p.csv\nexclude: [{{sku: 007}}]\n".encode()

    kept = read_manifest(text, tmp_path / "m.yaml", {}, kept=True)

    assert len(list(expand(kept))) == 9
    with pytest.raises(ManifestError):
        read_manifest(text, tmp_path / "m.yaml", {})
