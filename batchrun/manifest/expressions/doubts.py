"""Values that may not be what was typed: mistakes where it is sure, notes where it is not. Pure.

YAML cuts text at ` #`, makes a mapping of `portrait: an old man`, and a number of `007`; some
characters can't be seen. A value that came about so was sent, and paid for. The rules:

* A comment directly behind `#` cuts the text: a mistake. One behind a single blank that begins
  with a number or a sign, or is empty, may have been text: a note. Other comments are comments,
  and so is `# 2nd try`.
* A list item `key: value` without braces is a mistake where other items are text, or where the key
  holds a blank or begins with a capital letter. Where all items are such mappings, it is a mistake
  if their keys differ and their values are text of several words; a note if only one of the two
  holds, once for the list. An axis of one item counts as keys that differ. `- {key: value}` is what
  it is.
* A number, a boolean, null or a list among texts is a note, where one of the texts has several
  words or most of the items are text. So is an item that is empty.
* Text that looks like another item, that holds characters which are not seen, or that stands in
  typographic quotes is a note; so is a number whose digits are not those that were typed.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.values import spell
from batchrun.errors import Problem
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode

_CUT: Final = re.compile(r"\s+#\S")
_MAY_CUT: Final = re.compile(r"""\s#(?:\s*$|\s+(?:\d+(?!\w)|[^\w\s(\[{<>"'-]))""")
_REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
_RESPELLED: Final = re.compile(r"-?0[0-9].*|\+.*|0[ox].*")
_HIDDEN: Final = re.compile("[\u00ad\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
_MARKS: Final = re.compile("[\u200e\u200f]")  # they belong into text that runs from right to left
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})
_OPENING: Final = "\u201c\u201e\u00ab\u2018\u201a\u2039"
_CLOSING: Final = "\u201d\u201c\u00bb\u2019\u2018\u203a"
_NAMES_OF_NULL: Final = {"Null", "NULL"}  # people are called so
_KINDS: Final = {bool: "a boolean", int: "a number", float: "a number", type(None): "null"}


def scalars(node: Node) -> Iterator[ScalarNode]:
    """Yield the single values in *node*, at any depth."""
    match node:
        case ScalarNode():
            yield node
        case ListNode(items=items):
            for item in items:
                yield from scalars(item)
        case MapNode(entries=entries):
            for _, below in entries:
                yield from scalars(below)
        case _:
            raise AssertionError(node)


def cut_by_comment(node: ScalarNode) -> Problem | None:
    """Return what is wrong where a comment surely is the rest of a text."""
    if not _CUT.match(node.comment) or not _may_be_text(node):
        return None
    message = "a comment cuts this text; quote all of it, or put a space after the `#`"
    return node.problem(message)


def notes_on(node: ScalarNode) -> Iterator[Problem]:
    """Yield notes on a single value."""
    if _may_be_text(node) and _MAY_CUT.match(node.comment):
        comment = spell(node.comment.strip())
        begin = "this is null" if node.value is None else "the text ends"
        yield node.problem(
            f"{begin} before `{comment}`, which YAML reads as a comment; "
            "quote all of it if that belongs to the text"
        )
    if type(node.value) in {int, float} and node.plain and _is_respelled(node):
        value = spell(node.value)
        yield node.problem(f"`{node.text}` is sent as the number {value}; quote it if it is text")
    if node.plain and node.text in _NAMES_OF_NULL:
        yield node.problem(f"`{node.text}` is sent as null; quote it if it is text")
    if type(node.value) is str:
        yield from _odd_characters(node)


def _may_be_text(node: ScalarNode) -> bool:
    return type(node.value) is str or node.value is None


def _is_respelled(node: ScalarNode) -> bool:
    if _RESPELLED.fullmatch(node.text):
        return True
    return Decimal(node.text) != Decimal(repr(node.value))


def _odd_characters(node: ScalarNode) -> Iterator[Problem]:
    text = node.value
    if text.isascii():
        return
    for found in (_HIDDEN.search(text), _MARKS.search(text)):
        if found and _is_written(node, found[0]) and not _is_needed(found[0], text):
            yield node.problem(f"{_named(found[0])} is in this text, and can't be seen; it is sent")
            break
    for end, place in ((text[:1], "begins"), (text[-1:], "ends")):
        if end.isspace() and not end.isascii() and _is_written(node, end):
            yield node.problem(f"this text {place} with {_named(end)}, which is sent")
    if node.plain and len(text) > 2 and text[0] in _OPENING:
        inner, closing = text[1:-1], _CLOSING[_OPENING.index(text[0])]
        if text[-1] == closing and text[0] not in inner and closing not in inner:
            message = f"the quotes {text[0]}{closing} are sent with the text; YAML's are \" and '"
            yield node.problem(message)


def _named(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X} ({name})" if name else f"U+{ord(character):04X}"


def _is_written(node: ScalarNode, character: str) -> bool:
    """Say whether a character stands there itself; an escape was meant."""
    lines = node.source.lines[node.line - 1 : node.line + node.text.count("\n") + 50]
    return any(character in line for line in lines)


def _is_needed(character: str, text: str) -> bool:
    return bool(_MARKS.match(character)) and any(
        unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in text if each != character
    )


class Doubt(Struct, frozen=True):
    """A list item that may be a mapping by accident; *sure* makes it a mistake."""

    item: Node
    problem: Problem
    sure: bool


def mappings_for_text(nodes: Sequence[Node], *, axis: bool) -> Iterator[Doubt]:
    """Yield a doubt for each item of a list, or of an *axis*, that a `: ` may have made a mapping.

    An axis of one mapping has no use; a list of one may be what a model takes.
    """
    found = [node for node in nodes if isinstance(node, MapNode) and _is_bare(node)]
    beside = bool(found and _texts(nodes))
    differ = len({node.entries[0][0].text for node in found}) > 1 or (axis and len(nodes) == 1)
    for node in found:
        key, value = node.entries[0]
        sure, maybe = False, beside
        if len(node.entries) == 1 and isinstance(value, ScalarNode):
            like_text = _may_be_text(value)
            prose = like_text and " " in value.text
            phrase = key.plain and (" " in key.text or (like_text and key.text[:1].isupper()))
            sure = beside or phrase or (differ and prose)
            maybe = like_text and (differ or prose)
        if sure or maybe:
            yield Doubt(node, key.problem(_mapping(key, value)), sure)


def once(doubts: Sequence[Doubt]) -> Iterator[Problem]:
    """Yield one note for all the doubts of a list that aren't sure."""
    notes = [each.problem for each in doubts if not each.sure]
    if notes:
        more = len(notes) - 1
        are = "item is" if more == 1 else "items are"
        alike = f"; {more:,} more {are} such" if more else ""
        yield replace(notes[0], message=f"{notes[0].message}{alike}")


def _is_bare(node: MapNode) -> bool:
    """Say whether a mapping begins behind a `-`, or in a list without braces; no operator does."""
    if not node.entries or node.entries[0][0].text.startswith("$"):
        return False
    line, start = node.source.lines[node.line - 1], node.column - 1
    return line[start] not in "{&!" if node.flow else line[:start].rstrip().endswith("-")


def _texts(nodes: Sequence[Node]) -> list[ScalarNode]:
    """Return the items that surely are texts: the value of a bare `${x}` has its own kind."""
    scalars = [node for node in nodes if isinstance(node, ScalarNode) and type(node.value) is str]
    return [node for node in scalars if not _REFERENCE.fullmatch(node.value)]


def _mapping(key: ScalarNode, value: Node) -> str:
    written = value.text if isinstance(value, ScalarNode) else "…"
    pair = spell(f"{key.text}: {written}".rstrip())
    return (
        f"this is a mapping `{{{pair}}}`; quote all of it if the `:` belongs to the text, "
        "or write the braces"
    )


def among_texts(nodes: Sequence[Node]) -> Iterator[Problem]:
    """Yield a note on each item of another kind in a list of texts, and on texts that look alike.

    *nodes* are the values of one name, in their order.
    """
    texts = _texts(nodes)
    yield from _alike(texts)
    empty = [node for node in nodes if _is_empty(node)]
    for node in empty:
        yield node.problem("this item is empty, and null is sent; write its text, or take it out")
    others = [node for node in nodes if _is_other(node)]
    if texts and (len(texts) > len(others) or any(" " in node.value for node in texts)):
        for node in others:
            kind = _KINDS[type(node.value)] if isinstance(node, ScalarNode) else "a list"
            yield node.problem(f"this is {kind} among texts; quote it if it is text")


def _is_empty(node: Node) -> bool:
    """Say whether nothing stands where an item is, and no note on a comment says so."""
    return isinstance(node, ScalarNode) and node.plain and not (node.text or node.comment)


def _is_other(node: Node) -> bool:
    """Say whether a node is a list, or a plain number, boolean or null, without another note."""
    if not isinstance(node, ScalarNode):
        return isinstance(node, ListNode)
    if not node.plain or node.text in {"", *_NAMES_OF_NULL} or type(node.value) is str:
        return False
    return type(node.value) not in {int, float} or not _is_respelled(node)


def _alike(texts: Sequence[ScalarNode]) -> Iterator[Problem]:
    known: dict[str, ScalarNode] = {}
    for node in texts:
        first = known.setdefault(_looks(node.value), node)
        if first.value != node.value and not (_is_escaped(first) or _is_escaped(node)):
            yield node.problem(
                f"this looks like the text in line {first.line}, and is another: both are sent"
            )


def _is_escaped(node: ScalarNode) -> bool:
    """Say whether a text is written with an escape: it was meant to be another."""
    start = node.column - 1
    return not node.plain and "\\" in node.source.lines[node.line - 1][start : start + node.width]


def _looks(text: str) -> str:
    if not text.isascii():
        text = _HIDDEN.sub("", _MARKS.sub("", unicodedata.normalize("NFC", text)))
    return " ".join(text.split())
