"""The expansion against a naive one: product, then templates, exclude, map, omit, rename."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_schema import complaints, value_of

from batchrun.errors import ManifestError
from batchrun.manifest.cell_key import cell_key
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.load import load_manifest

Manifest = dict[str, Any]

scalars = st.one_of(
    st.integers(-3, 3), st.sampled_from(["a", "b", "16:9", "1"]), st.booleans(), st.just(0.5)
)
axes = st.lists(scalars, min_size=1, max_size=3)
entries = st.one_of(scalars, axes)
NAMES = ("x", "y", "z")
OMIT = {"$omit": True}
fields = st.one_of(scalars, st.just(OMIT))
# Every scalar there can be, and what a map makes of it; pairs, because 1 and true are one key here.
MAP: list[tuple[Any, Any]] = [
    *((n, f"number {n}") for n in range(-3, 4)),
    *((text, [text]) for text in ("a", "b", "16:9")),
    ("1", OMIT),
    (True, "yes"),
    (False, None),
    (0.5, 1),
]


class Pairs(list[tuple[Any, Any]]):
    """A mapping whose keys need not be text."""


@st.composite
def own_inputs(draw: st.DrawFn) -> Manifest:
    inputs: Manifest = {}
    for name in NAMES:
        kind = draw(st.sampled_from(["common", "common", "own", "wraps"]))
        if kind == "own":
            inputs[name] = draw(entries)
        elif kind == "wraps":
            inputs[name] = draw(
                st.sampled_from([f"<${{{name}}}>", [f"<${{{name}}}>", f"${{{name}}}"]])
            )
    return inputs


@st.composite
def models(draw: st.DrawFn, alias: str) -> Manifest:
    model: Manifest = {"id": f"m/{alias}", "alias": alias}
    if inputs := draw(own_inputs()):
        model["inputs"] = inputs
    if draw(st.booleans()):
        model["omit"] = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    if draw(st.booleans()):
        kept = [name for name in NAMES if name not in model.get("omit", ())]
        if kept:
            model["rename"] = {kept[0]: "renamed"}
    if draw(st.booleans()) and "z" not in {*model.get("omit", ()), *model.get("inputs", ())}:
        model["map"] = {"z": Pairs(MAP)}
    if draw(st.booleans()):
        model["repeat"] = draw(st.integers(1, 3))
    return model


@st.composite
def tables(draw: st.DrawFn, columns: tuple[str, str], kind: str) -> Any:
    """Draw a `zip` or `rows` of two columns: together, or as two independent axes."""
    groups = [columns] if draw(st.booleans()) else [(name,) for name in columns]
    made: list[Any] = []
    for names in groups:
        row = st.tuples(*(fields for _ in names))
        rows = draw(st.lists(row, min_size=1, max_size=3))
        made.append(
            [dict(zip(names, row, strict=True)) for row in rows]
            if kind == "rows"
            else {name: [row[i] for row in rows] for i, name in enumerate(names)}
        )
    return made[0] if len(made) == 1 else {"all": made}


@st.composite
def with_tables(draw: st.DrawFn, manifest: Manifest) -> None:
    for key, columns in (("zip", ("p", "q")), ("rows", ("r", "s"))):
        if draw(st.booleans()):
            manifest[key] = draw(tables(columns, key))
    if "rows" in manifest and draw(st.booleans()):
        manifest["inputs"]["r"] = draw(st.one_of(scalars, st.just("default ${x}")))
    if "rows" in manifest and draw(st.booleans()):
        manifest["models"][0].setdefault("inputs", {})["s"] = "own"


@st.composite
def with_choices(draw: st.DrawFn, manifest: Manifest, aliases: list[str]) -> None:
    if draw(st.booleans()):
        manifest["repeat"] = draw(st.integers(1, 2))
    names = st.sampled_from(NAMES)
    rules = st.dictionaries(names, entries, min_size=1, max_size=2)
    if draw(st.booleans()):
        manifest["exclude"] = draw(st.lists(rules, min_size=1, max_size=2))
        if draw(st.booleans()):
            manifest["exclude"][0]["model"] = draw(st.sampled_from(aliases))
    if draw(st.booleans()):
        entry = draw(st.dictionaries(names, entries, min_size=1))
        given_names = [*manifest["inputs"], *manifest.get("vars", ())]
        manifest["include"] = [{**dict.fromkeys(given_names, 0), **entry}]


@st.composite
def any_manifests(draw: st.DrawFn) -> Manifest:
    """Draw a manifest whose `exclude` may match nothing, which is a mistake."""
    aliases = draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]]))
    manifest: Manifest = {"models": [draw(models(alias)) for alias in aliases]}
    manifest["inputs"] = {name: draw(entries) for name in NAMES}
    if draw(st.booleans()):
        manifest["vars"] = {"v": draw(entries), "w": draw(entries)}
        manifest["inputs"]["t"] = draw(st.sampled_from(["${v}-${w}", "${v}", ["${v}", "k ${x}"]]))
    draw(with_tables(manifest))
    draw(with_choices(manifest, aliases))
    return manifest


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    manifest = draw(any_manifests())
    rules = manifest.pop("exclude", [])
    if kept := [rule for rule in rules if matches(manifest, rule)]:
        manifest["exclude"] = kept
    return manifest


def matches(manifest: Manifest, rule: Manifest) -> bool:
    """Say whether a rule matches a point of the product, by brute force."""
    bare = {key: value for key, value in manifest.items() if key != "exclude"}
    return len(list(naive({**bare, "exclude": [rule]}))) < len(list(naive(bare)))


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def rendered(value: Any, scope: Manifest) -> Any:
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\$\{(\w+)\}", value):
        return scope[whole[1]]

    def spelled(match: re.Match[str]) -> str:
        found = scope[match[1]]
        return found if isinstance(found, str) else json.dumps(found)

    return re.sub(r"\$\{(\w+)\}", spelled, value)


def naive(manifest: Manifest) -> Iterator[tuple[str, int, Manifest]]:
    """Yield model, replicate and input of every point, by brute force."""
    common = {**manifest["inputs"], **manifest.get("vars", {})}
    dims: list[list[Manifest]] = groups(manifest, "rows")
    dims += [
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for columns in groups(manifest, "zip")
    ]
    for model in manifest["models"]:
        yield from one_model(manifest, model, common, dims)
    for entry in manifest.get("include", ()):
        single = {n: v for n, v in common.items() if not isinstance(v, list)}
        for model in manifest["models"]:
            own = {
                n: v
                for n, v in model.get("inputs", {}).items()
                if not isinstance(v, list) and ("${" in str(v) or n not in {**single, **entry})
            }
            bare = {k: v for k, v in manifest.items() if k != "exclude"}
            yield from one_model(bare, {**model, "inputs": own}, {**single, **entry}, [])


def groups(manifest: Manifest, key: str) -> list[Any]:
    if key not in manifest:
        return []
    table = manifest[key]
    return list(table["all"]) if "all" in table else [table]


def one_model(
    manifest: Manifest, model: Manifest, common: Manifest, dims: list[list[Manifest]]
) -> Iterator[tuple[str, int, Manifest]]:
    own = model.get("inputs", {})
    columns = {name for dim in dims for name in dim[0]}
    wraps = {name for name, value in own.items() if f"${{{name}}}" in json.dumps(value)}
    layers = [
        *(
            {f"below {n}" if n in own else n: v}
            for n, v in common.items()
            if n not in own or n in wraps
        ),
        *({name: value} for name, value in own.items()),
    ]
    choices = [
        [{name: element} for element in (value if isinstance(value, list) else [value])]
        for layer in layers
        for name, value in layer.items()
        if not (name in columns and name in common and name not in own)
    ]
    for combination in itertools.product(*dims, *choices):
        raw: Manifest = {}
        for part in combination:
            raw.update(part)
        raw.update({n: common[n] for n in columns if raw[n] == OMIT and n in common})
        values = {n: v for n, v in raw.items() if not (isinstance(v, str) and "${" in v)}
        for name in [n for n in raw if n not in values and n in own]:
            scope = {**values, name: raw[f"below {name}"]}
            values[name] = rendered(raw[name], scope)
        for name in [n for n in raw if n not in values]:
            values[name] = rendered(raw[name], values)
        if excluded(manifest, model, values):
            continue
        sent = {
            model.get("rename", {}).get(name, name): value
            for name, common_value in values.items()
            if name not in (*model.get("omit", ()), "v", "w") and not name.startswith("below ")
            if (value := mapped(model, name, common_value)) != OMIT
        }
        repeat: int = model.get("repeat") or manifest.get("repeat") or 1
        for replicate in range(1, repeat + 1):
            yield model["alias"], replicate, sent


def mapped(model: Manifest, name: str, value: Any) -> Any:
    if value == OMIT or name not in model.get("map", {}):
        return value
    return next(to for given_value, to in model["map"][name] if same(given_value, value))


def excluded(manifest: Manifest, model: Manifest, values: Manifest) -> bool:
    for rule in manifest.get("exclude", ()):
        if rule.get("model", model["alias"]) != model["alias"]:
            continue
        wanted = {n: v if isinstance(v, list) else [v] for n, v in rule.items() if n != "model"}
        if all(any(same(values[n], v) for v in vs) for n, vs in wanted.items()):
            return True
    return False


def spelled(alias: str, replicate: int, sent: Manifest) -> str:
    return json.dumps([alias, replicate, sent], sort_keys=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("property") / "m.yaml"


def yaml_of(value: Any) -> str:
    """Spell a value as YAML; keys may be numbers."""
    if isinstance(value, dict | Pairs):
        pairs = value.items() if isinstance(value, dict) else value
        return f"{{{', '.join(f'{json.dumps(key)}: {yaml_of(below)}' for key, below in pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(yaml_of, value))}]"
    return json.dumps(value)


def cells_of(path: Path, manifest: Manifest) -> list[Cell]:
    path.write_text(yaml_of(manifest))
    return list(expand(load_manifest(path, {})))


@given(any_manifests())
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_rule_that_matches_nothing_is_a_mistake_and_no_other_is(
    path: Path, manifest: Manifest
) -> None:
    wrong = [rule for rule in manifest.get("exclude", ()) if not matches(manifest, rule)]

    if not wrong:
        cells_of(path, manifest)
        return
    with pytest.raises(ManifestError) as caught:
        cells_of(path, manifest)
    said = [each.message for each in caught.value.problems]
    assert len(said) == len(wrong)
    assert all("this entry of `exclude` matches no point" in each for each in said)


@given(manifests())
@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_expansion_is_the_naive_one(path: Path, manifest: Manifest) -> None:
    cells = cells_of(path, manifest)

    found = Counter(spelled(cell.alias, cell.replicate, cell.input) for cell in cells)
    assert found == Counter(spelled(*point) for point in naive(manifest))
    for cell in cells:
        assert cell.key == cell_key(cell.model, cell.input, cell.replicate)
    ordinals = [cell.ordinal for cell in cells]
    assert ordinals == sorted(set(ordinals))


@given(manifests())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_schema_takes_what_the_loader_takes(path: Path, manifest: Manifest) -> None:
    assert cells_of(path, manifest) or "exclude" in manifest
    assert complaints(value_of(path)) == []


@given(manifests())
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_models_streams_and_the_bound_agree_with_the_whole(
    path: Path, manifest: Manifest
) -> None:
    path.write_text(yaml_of(manifest))
    loaded = load_manifest(path, {})
    whole = [(cell.ordinal, cell.key) for cell in expand(loaded)]

    streams = [
        [(cell.ordinal, cell.key) for cell in expand(loaded, model)] for model in loaded.models
    ]

    assert sorted(itertools.chain(*streams)) == whole
    assert all(stream == sorted(stream) for stream in streams)
    bound = upper_bound(loaded)
    assert len(whole) <= bound
    assert len(whole) == bound or "exclude" in manifest


@given(manifests(), st.randoms(use_true_random=False))
@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_order_in_the_manifest_changes_a_key(
    path: Path, manifest: Manifest, random: Any
) -> None:
    def shuffled(value: Any, *, axis: bool) -> Any:
        if isinstance(value, dict):
            pairs = list(value.items())
            random.shuffle(pairs)
            return {name: shuffled(below, axis=axis) for name, below in pairs}
        if isinstance(value, list) and axis:
            return type(value)(random.sample(value, len(value)))
        return value

    other = {
        name: shuffled(value, axis=name in {"inputs", "vars", "models", "rows", "exclude"})
        for name, value in random.sample(list(manifest.items()), len(manifest))
    }

    keys = Counter(cell.key for cell in cells_of(path, manifest))
    assert Counter(cell.key for cell in cells_of(path, other)) == keys


@given(manifests(), st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_sample_is_part_of_the_whole_and_of_a_larger_sample(
    path: Path, manifest: Manifest, n: int, more: int, seed: int
) -> None:
    manifest.pop("include", None)
    whole = {cell.ordinal: cell.key for cell in cells_of(path, manifest)}

    small = cells_of(path, {**manifest, "sample": {"n": n, "seed": seed}})
    large = cells_of(path, {**manifest, "sample": {"n": n + more, "seed": seed}})

    chosen = {cell.ordinal: cell.key for cell in small}
    assert chosen.items() <= {cell.ordinal: cell.key for cell in large}.items() <= whole.items()
    assert bool(chosen) == bool(whole)


@st.composite
def plain_manifests(draw: st.DrawFn) -> Manifest:
    """Draw a manifest whose models have no inputs of their own: a point is its values."""
    unique = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda v: (type(v), v))
    ids = draw(st.sampled_from([["m/a"], ["m/a", "m/b"]]))
    manifest: Manifest = {
        "models": [{"id": name, "repeat": draw(st.integers(1, 2))} for name in ids],
        "inputs": {name: draw(unique) for name in NAMES},
        "vars": {"v": draw(unique)},
    }
    if draw(st.booleans()):
        x, y = (draw(st.sampled_from(manifest["inputs"][name])) for name in ("x", "y"))
        manifest["exclude"] = [{"x": x}, {"y": y, "model": "m/a"}]
    return manifest


@given(plain_manifests(), st.integers(1, 30), st.integers(-2, 2))
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_sample_has_as_many_points_and_each_with_all_its_cells(
    path: Path, manifest: Manifest, n: int, seed: int
) -> None:
    def points(cells: list[Cell]) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for cell in cells:
            of_point = found.setdefault(json.dumps(cell.values, sort_keys=True), [])
            of_point.append((cell.alias, cell.replicate))
        return found

    whole = points(cells_of(path, manifest))
    chosen = points(cells_of(path, {**manifest, "sample": {"n": n, "seed": seed}}))

    assert len(chosen) == min(n, len(whole))
    assert chosen.items() <= whole.items()
