"""Text that YAML would change in silence is a mistake, or a note where it may be meant so."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from batchrun.cli import main
from batchrun.errors import ManifestError
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import read_manifest
from batchrun.manifest.yaml import composer

HEAD: Final = "models: [google/nano-banana-2]\n"
MAPPING: Final = "this is a mapping"
TAG: Final = "is read as a tag; quote text that begins with `!`"
ANCHOR: Final = "is read as an anchor, which no alias uses; quote all of it if it is text, or take "
ALONE: Final = "has no value; "
COMMENT: Final = ", which YAML reads as a comment; quote all of it if that belongs to the text"


@pytest.fixture(params=["libyaml", "Python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(composer, "_LOADER", yaml.BaseLoader)


def listed(*items: str) -> str:
    return "".join(["inputs:\n  prompt:\n", *(f"    - {item}\n" for item in items)])


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a manifest, each with its line and column; none of them fatal."""
    try:
        read_manifest((HEAD + text).encode(), Path("m.yaml"), {})
    except ManifestError as error:
        return [str(problem).partition("\n")[0] for problem in error.problems]
    return []


def notes(text: str) -> list[str]:
    manifest = read_manifest((HEAD + text).encode(), Path("m.yaml"), {})
    return [str(note).partition("\n")[0] for note in manifest.notes]


def sent(text: str) -> list[Any]:
    """Return the inputs of all cells; those of one input as its values."""
    inputs = [
        cell.input for cell in expand(read_manifest((HEAD + text).encode(), Path("m.yaml"), {}))
    ]
    return [next(iter(one.values())) if len(one) == 1 else one for one in inputs]


@pytest.mark.parametrize(
    ("item", "column", "message"),
    [
        ("&amp sale", 7, f"`&amp` {ANCHOR}`&amp` away"),
        ("&amp", 7, f"`&amp` {ANCHOR}`&amp` away"),
        ("&b 42", 7, f"`&b` {ANCHOR}`&b` away"),
        ("! stop sign", 7, f"`!` {TAG}"),
        ("!", 7, f"`!` {TAG}"),
        ("!foo bar", 7, f"`!foo` {TAG}"),
        ("!<x> y", 7, f"`!<x>` {TAG}"),
        ("! [a, b]", 7, f"`!` {TAG}"),
        ("*star", 7, "no anchor `&star` above; quote text that begins with `*`"),
        ("{prompt: a red, shiny car}", 23, f"`shiny car` {ALONE}quote `a red, shiny car`"),
        ("{prompt: a, big, car}", 19, f"`big` {ALONE}quote `a, big, car`"),
        ("{a}", 8, f"`a` {ALONE}write `a: …`, or quote the whole text"),
        ("{prompt:a chair}", 8, f"`prompt:a chair` {ALONE}put a space behind the `:`"),
        ("{prompt: a red\n        big, car}", 14, f"`car` {ALONE}write `car: …`, or quote the"),
        ("? x", 9, "`?` begins a key; quote text that begins with `?`"),
        ("portrait: an old man", 7, f"{MAPPING} `{{portrait: an old man}}`; quote all of it if"),
        ("it's 5 o'clock: go", 7, f"{MAPPING} `{{it's 5 o'clock: go}}`"),
        ('the sign says: "open"', 7, f"{MAPPING} `{{the sign says: open}}`"),
        ('"a chair": red', 7, f"{MAPPING} `{{a chair: red}}`"),
        ("warning:", 7, f"{MAPPING} `{{warning:}}`"),
        ("chapter: 1", 7, f"{MAPPING} `{{chapter: 1}}`"),
        ("12: monkeys", 7, f"{MAPPING} `{{12: monkeys}}`"),
        ("$5: a bargain", 7, "unknown operator `$5`; quote the text if it is none"),
        ("best #1", 7, "a comment cuts this text; quote all of it, or put a space after the `#`"),
        ('"Hello", she said', 14, "text goes on behind a quote or bracket that closes; quote all"),
        ("[wide shot] a chair", 19, "text goes on behind a quote or bracket that closes; quote"),
        ("| literal", 9, "a text block needs `|` or `>` alone, and indented lines; else quote"),
        ("@home", 7, "text cannot begin with `@`; quote it"),
    ],
)
def test_an_item_that_is_not_sent_as_it_was_typed_is_a_mistake(
    item: str, column: int, message: str
) -> None:
    [found] = mistakes(listed("a stool", item))

    assert found.startswith(f"m.yaml:{5 + item.count(chr(10))}:{column}: {message}")


BRACKET: Final = "quote text that holds a bracket inside `{ }` or `[ ]`"
REFERENCE: Final = "quote a `${...}` inside `{ }` or `[ ]`"


@pytest.mark.parametrize(
    ("value", "column", "message"),
    [
        ('[a {farbe} chair, "a ${farbe} lamp"]', 14, BRACKET),
        ("[a {farbe} chair]", 14, BRACKET),
        ("[a [wide] chair]", 14, BRACKET),
        ("{text: a chair {red}}", 26, BRACKET),
        ("['a ${farbe} lamp', ${farbe}]", 31, REFERENCE),
        ("[a chair # see {x}", 20, "` #` begins a comment; quote text that holds one"),
        ("- a chair", 11, "a list cannot begin behind a key; put its first `-` on the next line"),
    ],
)
def test_what_breaks_a_list_is_named_where_it_stands(value: str, column: int, message: str) -> None:
    [found] = mistakes(f"inputs:\n  prompt: {value}\n")

    assert found.startswith(f"m.yaml:3:{column}: {message}")


def test_an_anchor_that_another_one_took_the_name_of_is_unused() -> None:
    [found] = mistakes(listed("&amp sale", "&amp cheap", "*amp"))

    assert found == f"m.yaml:4:7: `&amp` {ANCHOR}`&amp` away"


def test_all_mistakes_of_a_list_are_said_at_once() -> None:
    found = mistakes(listed("*star", "&amp sale", "! stop", "{a, b}", "a chair: red", "a #b"))

    assert [one.split(":")[1] for one in found] == ["4", "5", "6", "7", "8", "9"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (listed("a chair\n     - a stool", "a lamp"), 5, "this line goes on the text above it"),
        ("inputs:\n  prompt: menu\n    - soup\n", 4, "this line goes on the text above it"),
        (listed("'tis the season\n    - the carolers'"), 5, "it stands inside the quote of line 4"),
        ('inputs:\n  prompt:\n    - "a\n    - b"\n', 5, "it stands inside the quote of line 4"),
        ("inputs:\n  prompt:\n    -a chair\n    -a stool\n", 4, "these lines are one text"),
        ("inputs:\n  prompt:\n    \u2013 a\n    \u2013 b\n", 4, "these lines are one text"),
        ("inputs:\n  prompt:\n    -\u00a0a chair\n", 4, "U+00A0 stands behind the `-`"),
    ],
)
def test_a_list_that_yaml_reads_as_one_text_is_a_mistake(
    text: str, line: int, message: str
) -> None:
    [found] = mistakes(text)

    assert found.startswith(f"m.yaml:{line}:")
    assert message in found


@pytest.mark.parametrize(
    "text",
    [
        "x-a: &a a chair\nx-b: &never used\ninputs: {prompt: *a}\n",
        "inputs:\n  prompt: &a a chair\n  caption: *a\n",
        "inputs: &all\n  prompt: a chair\n",
        "inputs: {prompt: !!str 42, n: !!int 4, c: !!map {a: b}}\n",
        "inputs: {a: , b: ~, c: {d: }}\n",
        "inputs: {? a\n  : 1}\n",
        "inputs: {? a # why\n  # indeed\n  : , b: 1}\n",
        "inputs:\n  ? prompt\n  : a chair\n",
        "inputs:\n  prompt: a red chair\n    on a lawn -\n    with dogs\n",
        "inputs:\n  prompt: |\n    a list\n    - soup\n  caption: >\n    - fish\n    - meat\n",
        "inputs:\n  prompt:\n  - a\n  - - b\n    - c\n",
    ],
)
def test_yaml_that_is_meant_is_no_mistake(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        ("inputs:\n  prompt: &p a chair\n", True),
        ("inputs:\n  prompt: [&p chair, stool]\n", True),
        ("inputs:\n  prompt: [stool, &p 42]\n", True),
        ("inputs:\n  prompt: &p 'a chair'\n", False),
        ("inputs:\n  prompt: ['a chair', &p 'a stool']\n", False),
        ("inputs:\n  color: &p red\n", False),
        ("inputs:\n  seed: [&p 1, 2]\n", False),
        ("inputs: {a: b}\nmetadata: {a: &p 1}\n", False),
        ("inputs:\n  prompt: &p |\n    a chair\n", False),
    ],
)
def test_an_unused_anchor_is_a_mistake_only_where_it_may_be_a_part_of_a_text(
    text: str, *, sure: bool
) -> None:
    found = mistakes(text) if sure else notes(text)

    assert [one.partition(": ")[2] for one in found] == [f"`&p` {ANCHOR}`&p` away"]


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ('inputs:\n  prompt: "a chair,\n    - red"\n', "a chair, - red"),
        ("inputs:\n  prompt:\n    - 'a chair\n      - red'\n", "a chair - red"),
    ],
)
def test_a_hyphen_within_the_quotes_of_a_text_has_a_note_and_is_sent(
    text: str, joined: str
) -> None:
    [note] = notes(text)

    assert "begins no item: it stands inside the quote of line" in note
    assert note.endswith("close that, or write the text in one line")
    assert sent(text) == [joined]


@pytest.mark.parametrize(
    ("items", "sure", "maybe"),
    [
        (["portrait: an old man"], [4], []),
        (["portrait: an old man", "landscape: the sea at night"], [4, 5], []),
        (["Portrait: an old man", "Portrait: an old woman"], [4, 5], []),
        (["a chair: red", "{a: b}"], [4], []),
        (["a chair", "preset: oil\n      strength: 3"], [], [5]),
        (["prompt: an old man", "prompt: an old woman"], [], [4]),
        (["mood: happy", "light: dim"], [], [4]),
        (["[portrait: an old man]"], [], [4]),
        (["preset: oil", "preset: ink"], [], []),
        (["strength: 1", "strength: 2"], [], []),
        (["Strength: 1", "Strength: 2"], [], []),
        (["preset: oil\n      strength: 3", "preset: ink\n      strength: 2"], [], []),
        (["a chair", "{preset: oil}"], [], []),
        (["a chair", "\n      preset: oil"], [], []),
        (["a chair", "$omit: true"], [], []),
    ],
)
def test_what_a_colon_makes_a_mapping_is_judged_by_its_list(
    items: list[str], sure: list[int], maybe: list[int]
) -> None:
    text = listed(*items)

    found = mistakes(text)
    said = [] if found else notes(text)

    assert [int(one.split(":")[1]) for one in found] == sure
    assert [int(one.split(":")[1]) for one in said] == maybe
    assert all(MAPPING in one for one in [*found, *said])


def test_the_items_of_one_list_that_may_be_mappings_have_one_note() -> None:
    [note] = notes(listed("type: simple zoom", "type: pan left", "type: pan right"))

    assert note.startswith("m.yaml:4:7: this is a mapping `{type: simple zoom}`")
    assert note.endswith("or write the braces; 2 more items are such")


def test_a_mapping_that_an_alias_brings_is_one() -> None:
    text = "x-oil: &oil\n  preset: oil paint\ninputs:\n  style:\n    - plain text\n    - *oil\n"

    assert mistakes(text) == []
    assert sent(text) == ["plain text", {"preset": "oil paint"}]
    assert notes(text) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("best # 1", f"the text ends before `# 1`{COMMENT}"),
        ("best # 1 of all", f"the text ends before `# 1 of all`{COMMENT}"),
        ("in C #", f"the text ends before `#`{COMMENT}"),
        ("a sign @ # $ %", f"the text ends before `# $ %`{COMMENT}"),
        ("# 1 seller", f"this is null before `# 1 seller`{COMMENT}"),
        ("best  # 1", None),
        ("best # the first", None),
        ("best # 2nd try", None),
        ("best # (see above)", None),
        ("'best' # 1", None),
        ("7 # 1", None),
        ("{$value: x} # 1", None),
        ("007", "`007` is sent as the number 7; quote it if it is text"),
        ("+49", "`+49` is sent as the number 49; quote it if it is text"),
        ("0x1F", "`0x1F` is sent as the number 31; quote it if it is text"),
        ("3.14159265358979323846", "`3.14159265358979323846` is sent as the number 3.14"),
        ("Null", "`Null` is sent as null; quote it if it is text"),
        ("null", None),
        ("True", None),
        ("1e3", None),
        ("1.10", None),
        ("0.5", None),
        ("0", None),
        ("'007'", None),
        ("a\u200bb", "U+200B (zero width space) is in this text, and can't be seen; it is sent"),
        ("\u202eab", "U+202E (right-to-left override) is in this text, and can't be seen"),
        ("a\u200f b", "U+200F (right-to-left mark) is in this text, and can't be seen"),
        ("\u05d0\u200f b", None),
        (r'"a\u200bb"', None),
        ("\U0001f468\u200d\U0001f469", None),
        ("chair\u00a0", "this text ends with U+00A0 (no-break space), which is sent"),
        ("'caf\u00e9 '", None),
        ("un caf\u00e9\u00a0!", None),
        ("\u201ca red chair\u201d", "the quotes \u201c\u201d are sent with the text; YAML's are"),
        ("\u201eHallo\u201c", "the quotes \u201e\u201c are sent with the text; YAML's are"),
        ("\u201cHello\u201d in \u201cneon\u201d", None),
    ],
)
def test_a_value_that_may_not_be_what_was_typed_has_a_note(value: str, message: str | None) -> None:
    found = notes(f"inputs:\n  prompt: {value}\n")

    assert len(found) == (message is not None)
    assert all(one.startswith("m.yaml:3:1") for one in found)
    assert message is None or message in found[0]


@pytest.mark.parametrize(
    ("items", "lines"),
    [
        (["a red chair", "42"], [5]),
        (["a red chair", "true", "null", "[wide shot]", "- x"], [5, 6, 7, 8]),
        (["chair", "stool", "42"], [6]),
        (["auto", "5", "10"], []),
        (["auto", "0.5"], []),
        (["a red chair", "'42'", "!!int 42", "{a: b}", "2026-05-01"], []),
        (["${prompt}", "${prompt}", "42"], []),
        (["a red chair", "# 1 seller"], [5]),
        (["1", "", "2"], [5]),
        (["a red chair", "007"], [5]),
        (["a red chair", "NULL"], [5]),
        (["cafe\u0301", "caf\u00e9"], [5]),
        (['"cafe\\u0301"', "caf\u00e9"], []),
        (['"a chair "', "a chair"], [5]),
        (["a chair", "a\u00a0chair", "a  chair", "A chair", "a chair"], [5, 6]),
    ],
)
def test_a_list_of_texts_has_a_note_on_what_is_none_and_on_what_looks_alike(
    items: list[str], lines: list[int]
) -> None:
    found = notes(f"vars: {{x: 1}}\n{listed(*items)}".replace("${prompt}", "${x}"))

    assert [int(one.split(":")[1]) - 1 for one in found] == lines


@pytest.mark.parametrize(
    "text",
    [
        "vars: {a: 1}\ninputs:\n  p: best # 1\n",
        "rows:\n  - {p: a chair}\n  - p: best # 1\n",
        "rows: [{p: a red chair}, {p: 42}]\n",
        "zip:\n  p: [a red chair, 42]\n  q: [x, y]\n",
        "include:\n  - p: [a red chair, 42]\n",
        "inputs:\n  p:\n    $value: best # 1\n",
        "inputs:\n  p:\n    deep:\n      down: best # 1\n",
    ],
)
def test_every_place_that_is_sent_is_looked_at(text: str) -> None:
    assert len(notes(text)) == 1


def test_a_model_of_its_own_inputs_is_looked_at_and_metadata_are_not() -> None:
    text = "metadata:\n  team: best # 1\ninputs: {q: 1}\n"
    models = "models:\n  - id: google/nano-banana-2\n    inputs:\n      p: best # 1\n"

    manifest = read_manifest((models + text).encode(), Path("m.yaml"), {})

    assert [note.place.line for note in manifest.notes] == [4]


@pytest.mark.parametrize("words", [["plan"], ["run", "--dry-run"]])
def test_a_command_says_a_note_once_with_its_place(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"{HEAD}endpoint: simulator\ninputs:\n  prompt: best # 1\n")

    assert main([*words, str(path)]) == 0

    said = capsys.readouterr().err
    assert said.count(f"note: {path}:4:11: the text ends before `# 1`") == 1
