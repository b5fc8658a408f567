"""YAML text as a tree with places: the same from libyaml and from PyYAML's own parser."""

import string
from pathlib import Path

import pytest
import yaml
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.errors import Problem
from batchrun.manifest.yaml import composer
from batchrun.manifest.yaml.composer import parse_document
from batchrun.manifest.yaml.document import MapNode, ScalarNode
from batchrun.manifest.yaml.section import plain_value

PIECES = [
    "a: 1\n",
    "b: [x, y]\n",
    "- c\n",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    ": ",
    " #x",
    "'",
    '"',
    "\t",
]
MANIFESTS = Path(__file__).parent / "manifests"


def parse(text: str | bytes) -> tuple[MapNode | None, list[Problem]]:
    problems: list[Problem] = []
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return parse_document(data, "m.yaml", problems), problems


def test_every_value_knows_its_place() -> None:
    root, problems = parse("a: 1\nb:\n  - ü: [x, \U0001fa91, y]\n")

    assert root is not None
    assert not problems
    items = root.entries[1][1]
    assert plain_value(root) == {"a": 1, "b": [{"ü": ["x", "\U0001fa91", "y"]}]}
    last = items.items[0].entries[0][1].items[2]  # type: ignore[attr-defined] # its shape is above
    assert isinstance(last, ScalarNode)
    assert (last.line, last.column, last.width, last.value) == (3, 15, 1, "y")


@given(
    st.one_of(
        st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
        st.text(alphabet=string.ascii_letters + " :{}[]#&*!|>'\"%@`,-?\n\t$", max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    )
)
@settings(max_examples=examples(600), deadline=None)
def test_no_text_ends_in_a_traceback(text: str) -> None:
    root, problems = parse(text)

    assert (root is not None) or problems
    for problem in problems:
        assert problem.place.line >= 1
        assert problem.place.column >= 1
        assert str(problem).startswith("m.yaml:")


@given(st.binary(max_size=60))
def test_no_bytes_end_in_a_traceback(data: bytes) -> None:
    root, problems = parse(data)

    assert (root is not None) or problems


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_without_libyaml_the_answer_is_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_libyaml = parse(path.read_bytes())

    monkeypatch.setattr(composer, "_LOADER", yaml.BaseLoader)
    root, problems = parse(path.read_bytes())

    assert problems == with_libyaml[1]
    assert [p.message for p in problems] == [p.message for p in with_libyaml[1]]
    assert root == with_libyaml[0]


def test_a_merge_key_brings_what_is_not_given() -> None:
    root, problems = parse("x-a: &a {p: 1, q: 2}\nx-b: &b {q: 3, r: 4}\nc: {<<: [*a, *b], r: 5}\n")

    assert root is not None
    assert not problems
    assert plain_value(root)["c"] == {"p": 1, "q": 2, "r": 5}


def test_an_alias_stands_for_its_anchor_as_often_as_one_likes() -> None:
    root, problems = parse(f"x-a: &a [1, 2]\nb: [{', '.join(['*a'] * 500)}]\n")

    assert root is not None
    assert not problems
    assert plain_value(root)["b"] == [[1, 2]] * 500


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    root, problems = parse(b"\xef\xbb\xbfa: 1\r\nb: .nan\r\n")

    assert root is not None
    assert [str(problem.place) for problem in problems] == ["m.yaml:2:4"]
    assert problems[0].excerpt == "b: .nan"


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5"])
def test_equal_keys_are_duplicates_however_they_are_spelled(key: str) -> None:
    _, problems = parse(f"a: {{{key}: 1, {key}: 2}}\n")

    assert len(problems) == 1
    assert "given twice" in problems[0].message


def test_one_and_true_are_two_keys() -> None:
    assert parse("a: {1: x, true: y, '1': z}\n")[1] == []


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://user:hunter2@host/path", "hunter2"),
        ("https://hunter2@host", "hunter2"),
        ("https://user:hun@ter2@host", "ter2"),
        ("https://user:hun/ter2@host", "ter2"),
    ],
)
def test_a_password_in_a_url_is_never_shown(url: str, secret: str) -> None:
    _, problems = parse(f"a: {url}\na: '{url} .nan'\n")

    assert problems
    assert secret not in "".join(map(str, problems))
