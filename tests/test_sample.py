"""`sample`: the draw is that of the rule, however it is made, and it can be watched."""

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from batchrun.errors import ManifestError
from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.expression import Axis, Constant
from batchrun.manifest.grid import expand as expand_module
from batchrun.manifest.grid import sample
from batchrun.manifest.grid.dimensions import Dimension, raws
from batchrun.manifest.grid.expand import draw, expand, layouts
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Grid, Manifest, Row

HEAD = "models: [google/nano-banana-2]\n"
ROWS = "p,q\n" + "".join(f"text {number % 7},{number}\n" for number in range(40))


def read(text: str, folder: Path = Path()) -> Manifest:
    return read_manifest(text.encode(), folder / "m.yaml", {})


def spelled(dimension: Dimension, raw: Any) -> str:
    """Spell a value of the test's manifests as the rule says."""
    if isinstance(raw, Row):
        values = {name: {"$omit": True} if v is OMIT else v for name, v in raw.values.items()}
        values |= {name: sample._shape(below) for name, below in raw.dynamic.items()}
        return "row=" + json.dumps(values, sort_keys=True, ensure_ascii=False)
    value = raw.value if isinstance(raw, Constant) else sample._shape(raw)
    assert isinstance(dimension.source, Axis)
    name = dimension.dimension_key[1]
    return f"{name}={json.dumps(value, sort_keys=True, ensure_ascii=False)}"


def number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


def by_rule(grid: Grid, dimensions: list[Dimension]) -> list[tuple[int, ...]]:
    """Return the points that the rule draws: each one is ranked, and looked at."""
    assert grid.sample is not None
    ranked = []
    for chosen in product(*(list(raws(dimension.source)) for dimension in dimensions)):
        pairs = list(zip(dimensions, chosen, strict=True))
        pinned = {dimension.dimension_key: one for dimension, one in pairs}
        if any(left(layout, pinned) for layout in layouts(grid)):
            total = sum(number(spelled(dimension, raw)) for dimension, (_, raw) in pairs)
            point = tuple(index for index, _ in chosen)
            ranked.append((number(f"{grid.sample.seed}:{total % (1 << 128)}"), point))
    return sorted(point for _, point in sorted(ranked)[: grid.sample.n])


def left(layout: Any, pinned: Any) -> bool:
    walk, shape = Traversal(layout, pinned=pinned), expand_module.Shape(layout)
    return any(
        not shape.excluded({n: v for n in shape.names if (v := walk.values[n]) is not OMIT})
        for _ in walk.points()
    )


RULES = st.lists(
    st.sampled_from(
        [
            "{a: [1, 2, 3]}",
            "{a: 4, b: x}",
            "{a: [5, 6], model: one}",
            "{t: x 2}",
            "{model: two, own: 7}",
            "{q: [0, 1, 2, 3, 4, 5]}",
            "{p: text 3, b: [x, y]}",
            "{k: c}",
            "{p: text 1, q: 8}",
            "{seed: 5}",
        ]
    ),
    max_size=4,
)
PARTS = st.fixed_dictionaries(
    {
        "b": st.sampled_from(["[x, y, x]", "[y]", "[x, {$omit: true}]", "[[1, 2], {c: 1.5}]"]),
        "t": st.sampled_from(["'${b} ${a}'", "'x ${a}'", "[u, v]", "k"]),
        "rows": st.booleans(),
        "n": st.integers(1, 60),
        "seed": st.integers(-3, 3),
        "rules": RULES,
        "block": st.sampled_from([1, 4, 50]),
    }
)


@settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=PARTS)
def test_the_draw_is_that_of_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any]
) -> None:
    (tmp_path / "r.csv").write_text(ROWS)
    monkeypatch.setattr(sample, "BLOCK", parts["block"])
    monkeypatch.setattr(sample, "_PENDING", parts["block"])
    rows = "rows: r.csv" if parts["rows"] else "zip: {p: [text 1, text 3], q: [8, 9]}"
    b = "[x, w]" if "$omit" in parts["b"] or "[[" in parts["b"] else parts["b"]
    text = (
        "models: [{id: m/one, alias: one, inputs: {seed: 5}},"
        " {id: m/two, alias: two, inputs: {own: [7, 8]}}]\n"
        f"inputs: {{a: {{$range: [1, 7]}}, b: {b}, t: {parts['t']}, seed: 1, own: 1}}\n"
        f"vars: {{k: c}}\n{rows}\nexclude: [{', '.join(parts['rules'])}]\n"
        f"sample: {{n: {parts['n']}, seed: {parts['seed']}}}\n"
    )
    try:
        manifest = read(text, tmp_path)
    except ManifestError:  # a rule that matches nothing here
        reject()
    [grid] = manifest.grids
    drawing = expand_module._Drawing(grid)

    assert drawing.points() == by_rule(grid, drawing.shared)


def test_a_sample_of_all_points_draws_nothing_and_takes_all() -> None:
    text = "inputs: {a: [1, 2], b: [1, 2, 3]}\n"
    heard: list[int] = []

    drawn = read(f"{HEAD}{text}sample: {{n: 6}}\n")
    draw(drawn, lambda done, total: heard.append(done))

    assert [cell.key for cell in expand(drawn)] == [cell.key for cell in expand(read(HEAD + text))]
    assert heard == []


def test_a_draw_is_watched_to_its_end_and_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "BLOCK", 10)
    manifest = read(f"{HEAD}inputs: {{a: {{$range: [1, 25]}}, b: [1, 2]}}\nsample: {{n: 3}}\n")
    heard: list[tuple[int, int]] = []

    draw(manifest, lambda done, total: heard.append((done, total)))
    draw(manifest, lambda _done, _total: pytest.fail("it is drawn again"))

    assert heard == [(done, 50) for done in (10, 20, 30, 40, 45, 50)]
    assert len(list(expand(manifest))) == 3


def test_an_old_draw_stays() -> None:
    manifest = read(
        f"{HEAD}inputs: {{a: {{$range: [1, 100]}}, b: {{$range: [0, 1, 0.01]}}}}\n"
        "exclude: [{a: [{$range: [1, 60]}]}]\nsample: {n: 4, seed: 7}\n"
    )

    drawn = [tuple(cell.input.values()) for cell in expand(manifest)]
    assert drawn == [(61, 0.86), (83, 0.9), (87, 0.89), (99, 0.21)]
