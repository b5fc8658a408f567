"""What a cell is: keys that must never change, and what may change without changing them."""

import ast
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchrun.base.local_file import LocalFile
from batchrun.manifest.cell_key import IDENTITY, cell_key
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.settings import SETTINGS

ROOM = Path(__file__).parent.parent / "batchrun" / "manifest"
PHOTO = LocalFile(
    path=Path("/x/a.png"), written="a.png", sha256="5a" * 32, size=1, mime="image/png"
)

# A key that changes is paid for again: none of these lines is ever edited.
GOLDEN: list[tuple[str, int, dict[str, Any], str]] = [
    ("a/b", 1, {}, "ee61cf10e50b6d4853aca4ff3956dba3"),
    ("a/b", 1, {"prompt": "x", "seed": 1}, "d238c137dbc7d10e466e296c6f0bc4b0"),
    ("a/b", 2, {"prompt": "x", "seed": 1}, "c189e3b56583ac7591e4775e8fcb37d0"),
    ("c/d/e", 1, {"list": [1, None, {"k": "ü"}]}, "95233c19b15c246dee81f066a03b50d4"),
    (
        "a/b",
        1,
        {"prompt": 'a "quoted" \\ line\nand \u2028 🪑 \x7f\x00'},
        "b46f6b78d3c6b9e3d2f59662286ac80d",
    ),
    ("a/b", 1, {"é": 1, "z": 2, "a": 3, "Z": 4, "": 5}, "882db841bb348805e3b4c9f0783fc077"),
    ("a/b", 1, {"x": "1"}, "94d6546717caffb7a3a6c6d7fe1c0a62"),
    ("a/b", 1, {"x": 1}, "9af52c321c5902e573b15e84d45dd732"),
    ("a/b", 1, {"x": True}, "1dec4a270c9ddfa32214d614731c1f15"),
    ("a/b", 1, {"x": None}, "e588a64fb2f78c47c02496e225106e82"),
    ("a/b", 1, {"x": 0.1}, "234f4bdf3ad0149924c5c27613e9c3cf"),
    ("a/b", 1, {"x": 1e-07}, "7a217a0305007335c94faf6d8a2745fe"),
    ("a/b", 1, {"x": 123456789.125}, "c6f6d222bbecc3060df758197ab62014"),
    ("a/b", 1, {"x": -1.5, "y": [0.5]}, "1b3edb2bc4e8e08cc9596ee9577086f2"),
    ("a/b", 1, {"x": 2**70}, "03b22f1ca0589a2e17add36ccc917204"),
    ("a/b", 1, {"x": 10**23}, "33fdbfbc7a0dc4963af325d7aba62ca7"),
    ("a/b", 1, {"x": []}, "35847045ce5a91d2ce29dfd3fb05e239"),
    ("a/b", 1, {"x": {}}, "52fcd030efbd8497d34cf84dee27983a"),
    ("a/b", 1, {"image": PHOTO}, "3fcdd298bc4716191a695142429b44bc"),
    ("a/b", 1, {"image": {"$file": PHOTO.sha256}}, "b97ef22fe1ee66c80bf4d07a219ce22d"),
    (
        "a/b",
        1,
        {"images": [PHOTO, "https://host/b.png"], "deep": {"mask": PHOTO}},
        "191f84ba3e66056ed10c855cbcb289f7",
    ),
    ("a/b", 1, {"$x": 1, "$$x": 2, "deep": {"$y": "$z"}}, "06b9bfeadcec2c6c52c53881b8e23eb7"),
    (
        "google/nano-banana-2",
        1,
        {"prompt": "a red chair", "aspect_ratio": "16:9", "seed": 4},
        "dcb556a2246c7440bb19e34b2905307e",
    ),
]


@pytest.mark.parametrize(("model", "replicate", "sent", "key"), GOLDEN)
def test_a_cells_key_never_changes(
    model: str, replicate: int, sent: dict[str, Any], key: str
) -> None:
    assert cell_key(model, sent, replicate) == key
    assert cell_key(model, dict(reversed(sent.items())), replicate) == key


def test_the_rule_is_the_one_that_is_written_down() -> None:
    text = f'["batchrun cell",1,"a/b",{{"$$x":"é","image":{{"$file":"{PHOTO.sha256}"}}}},2]'

    assert (
        cell_key("a/b", {"image": PHOTO, "$x": "é"}, 2)
        == blake2b(text.encode(), digest_size=16).hexdigest()
    )


def test_no_two_of_these_cells_are_one() -> None:
    assert len({key for *_, key in GOLDEN}) == len(GOLDEN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": 1}, {"x": 1.0}),
        ({"x": -0.0}, {"x": 0}),
        ({"x": 1e23}, {"x": 10**23}),
        ({"x": [1e300, {"y": 2.0}]}, {"x": [10**300, {"y": 2}]}),
    ],
)
def test_equal_numbers_are_one_value(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert cell_key("a/b", one, 1) == cell_key("a/b", other, 1)


def test_a_file_is_its_content_wherever_it_lies() -> None:
    moved = LocalFile(
        path=Path("/y/b.jpg"), written="../b.jpg", sha256=PHOTO.sha256, size=1, mime="image/jpeg"
    )

    assert cell_key("a/b", {"image": moved}, 1) == cell_key("a/b", {"image": PHOTO}, 1)


BASE: dict[str, Any] = {
    "models": ["a/b", {"id": "c/d", "alias": "cd"}],
    "inputs": {"prompt": "a ${color} chair", "seed": [1, 2]},
    "vars": {"color": ["red", "blue"]},
}
# A change of each field that isn't identity, and of some of their words.
HARMLESS: dict[str, Any] = {
    "name": "other",
    "models.alias": [{"id": "a/b", "alias": "one"}, {"id": "c/d", "alias": "two"}],
    "models.concurrency": ["a/b", {"id": "c/d", "concurrency": 3}],
    "models.price": ["a/b", {"id": "c/d", "price": 0.2}],
    "models.budget": ["a/b", {"id": "c/d", "budget": 2}],
    "exclude": [{"seed": 1, "color": "red"}],
    "sample": {"n": 2},
    "sample.n": {"n": 3},
    "sample.seed": {"n": 2, "seed": 5},
    "limits": {"concurrency": 2},
    "limits.concurrency": 1,
    "limits.rate": "600/min",
    "limits.attempts": 5,
    "limits.timeout": "1h",
    "limits.settle": "0s",
    "limits.budget": 5,
    "limits.budget_per_day": 9,
    "limits.give_up": "5m",
    "limits.batch": 1,
    "limits.downloads": 1,
    "limits.input_errors": "warn",
    "limits.confirm_above": "2.50",
    "poll": {"interval": "5s"},
    "poll.interval": "7s",
    "callbacks": {"url": "https://me.example/batchrun"},
    "callbacks.url": "https://me.example/other",
    "callbacks.listen": None,
    "outputs": {"download": False},
    "outputs.dir": "elsewhere",
    "outputs.download": False,
    "outputs.logs": "all",
    "outputs.name": "${color}/${cell}",
    "metadata": {"project": "spring", "color": "${color}"},
    "endpoint": "https://example.com/v2",
}


def keys_of(folder: Path, manifest: dict[str, Any] | str) -> list[str]:
    path = folder / "m.yaml"
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    path.write_text(text, encoding="utf-8")
    return [cell.key for cell in expand(load_manifest(path, {}))]


def test_every_field_that_is_not_identity_is_tried() -> None:
    assert HARMLESS.keys() == {name for name, identity in IDENTITY.items() if not identity}


@pytest.mark.parametrize("field", HARMLESS)
def test_a_field_that_is_not_identity_changes_no_key(tmp_path: Path, field: str) -> None:
    top, _, below = field.partition(".")
    value = HARMLESS[field]
    changed = {**BASE, top: {below: value} if below and top not in {"models", "sample"} else value}
    if field == "callbacks.listen":  # it goes with a URL alone
        changed["callbacks"] = {**HARMLESS["callbacks"], "listen": "[::1]:9000"}

    keys = keys_of(tmp_path, changed)

    assert keys
    assert set(keys) <= set(keys_of(tmp_path, BASE))
    assert len(keys) == 8 or top in {"exclude", "sample"}


def test_every_field_the_reader_asks_for_is_said_to_be_identity_or_not() -> None:
    asked = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"take", "find", "section", "items", "groups"} and node.args:
                key = node.args[0]
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    asked.add(key.value)

    assert asked <= {name.rpartition(".")[2] for name in IDENTITY}
    assert {"models", "id", "dir", "name", "n"} <= asked


def test_no_setting_is_a_part_of_identity() -> None:
    keys = {each.key for each in SETTINGS if each.key is not None}

    assert {key for key in keys if IDENTITY[key]} == set()
    assert {name for name in IDENTITY if name.startswith("limits.")} <= keys


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8).map(
        lambda text: text.replace("$", "S")
    ),
)
values = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(["k", "l", "Ü", "16:9", "1"]), below, max_size=3),
    ),
    max_leaves=6,
)


def block(value: Any, indent: str = "") -> str:
    """Spell a value as YAML in blocks, with comments and what quotes it needs."""
    if isinstance(value, dict) and value:
        pairs = reversed(value.items())
        below = indent + "   "
        return "".join(
            f"\n{indent}? {json.dumps(k)} # c\n{indent}: {block(v, below)}" for k, v in pairs
        )
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}- {block(item, indent + '  ')}" for item in value)
    if isinstance(value, float) and value == int(value):
        return f"{value:.1f}" if abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(st.sampled_from("abcd"), st.one_of(values, st.lists(values, min_size=1))))
@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_spelling_of_the_yaml_changes_a_key(
    tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    inputs = {name: value for name, value in inputs.items() if value != []}
    manifest = {"models": ["a/b", "c/d"], "inputs": inputs}

    flow = keys_of(folder, json.dumps(manifest, ensure_ascii=False))
    blocks = keys_of(folder, f"# {'x' * 30}\n{block(manifest)}\n")

    assert sorted(flow) == sorted(blocks)
