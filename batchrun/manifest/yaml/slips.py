"""Text that YAML took for something else: what can be seen before any value is known. Pure.

`- &amp sale` was sent as "sale", `{prompt: a red, shiny car}` as a red and a key without a value,
and a list item that stood one column too deep went on the text above. Each was paid for. No
manifest means such a thing, so each is a mistake, with the way to write the text. Two may be meant,
and are notes there: an anchor whose last alias was taken out, and a `- ` within quotes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeGuard

from msgspec import Struct

from batchrun.base.values import spell
from batchrun.errors import Problem
from batchrun.manifest.yaml.document import Node, ScalarNode, Source

Pair = tuple[Node, Node]
Spot = tuple[int, int]
"""Line and column, both from 0, as YAML's events have them."""

_ITEM: Final = re.compile(r"\s*-(?:\s|$)")
_BULLETS: Final = "-\u2013\u2014\u2022\u00b7"  # hyphen, dashes, bullet, dot
_QUOTED: Final = "'\""


class Slip(Struct, frozen=True):
    """What may have been typed for something else; *sure* makes it a mistake."""

    problem: Problem
    sure: bool


class Anchored(Struct, frozen=True):
    """A scalar with an anchor: YAML's *event*, and the nodes of the list it stands in, if any."""

    event: Any
    listed: Sequence[Node] | None

    def unused(self, source: Source) -> Slip:
        """Say that no alias uses it; a mistake where the anchor looks like a part of a text."""
        name, start, end = self.event.anchor, self.event.start_mark, self.event.end_mark
        message = (
            f"`&{name}` is read as an anchor, which no alias uses; "
            f"quote all of it if it is text, or take `&{name}` away"
        )
        width = end.column - start.column if end.line == start.line else 1 + len(name)
        problem = source.problem(start.line + 1, start.column + 1, message, width)
        return Slip(problem, sure=not self.event.style and self._is_text())

    def _is_text(self) -> bool:
        return len(self.event.value.split()) > 1 or any(map(_is_text, self.listed or ()))


def unknown_tag(short: str) -> str:
    return f"`{short}` is read as a tag; quote text that begins with `!`"


def colon_follows(lines: Sequence[str], spot: Spot) -> bool:
    """Say whether a `:` is what stands next after *spot*, behind blanks and comments."""
    number, column = spot
    for line in lines[number:]:
        rest, column = line[column:].lstrip(), 0
        if rest and not rest.startswith("#"):
            return rest.startswith(":")
    return False


def keys_alone(pairs: Iterable[Pair]) -> Iterator[Problem]:
    """Yield a problem for each run of keys without a `:`, which YAML gives the value null."""
    run: list[Node] = []
    before: Node | None = None
    for key, value in pairs:
        if stands_alone(value):
            run.append(key)
            continue
        if run:
            yield _alone(run, before)
        run, before = [], value
    if run:
        yield _alone(run, before)


def stands_alone(value: Node) -> bool:
    return isinstance(value, ScalarNode) and value.absent


def _alone(run: Sequence[Node], before: Node | None) -> Problem:
    key, last = run[0], run[-1]
    line = key.source.lines[key.line - 1]
    if not isinstance(key, ScalarNode):
        return key.problem("a key must be text, not a list or a mapping; quote the whole text")
    name = spell(key.text)
    if re.search(r"(?:^|[\s\[{,-])\?\s*$", line[: key.column - 1]):
        return key.problem("`?` begins a key; quote text that begins with `?`")
    if _is_text(before) and last.line == key.line == before.line:
        whole = spell(line[before.column - 1 : last.column + last.width - 1])
        return key.problem(f"`{name}` has no value; quote `{whole}`")
    if re.match(r"[\w-]+:\S", name):
        return key.problem(f"`{name}` has no value; put a space behind the `:`")
    return key.problem(f"`{name}` has no value; write `{name}: …`, or quote the whole text")


def _is_text(node: Node | None) -> TypeGuard[ScalarNode]:
    return isinstance(node, ScalarNode) and node.plain and type(node.value) is str


def joined_lines(source: Source, start: Spot, last: int) -> Slip | None:
    """Return a slip where the lines of one text look like items of a list; None elsewhere.

    *start* is where the text begins, *last* its last line, from 0.
    """
    above = source.lines[start[0]]
    first = above[start[1] :]
    quoted = first[:1] in _QUOTED
    if not quoted and first[:1] == "-" and first[1:2].isspace() and first[1:2] not in " \t":
        message = f"U+{ord(first[1]):04X} stands behind the `-`; a list item needs a plain space"
        return Slip(source.problem(start[0] + 1, start[1] + 1, message, 2), sure=True)
    for number in range(start[0] + 1, last + 1):
        line = source.lines[number]
        column = len(line) - len(line.lstrip())
        if _ITEM.match(line):
            message = _within(start[0] + 1) if quoted else _DEEPER
            # A text that goes on stands deeper than its own `-`; an item stands below it.
            sure = not quoted or column <= len(above) - len(above.lstrip())
            return Slip(source.problem(number + 1, column + 1, message), sure)
        if first[:1] in _BULLETS and line.lstrip()[:1] == first[:1] and not quoted:
            message = "these lines are one text; begin items with `- `, or write a block with `|`"
            problem = source.problem(start[0] + 1, start[1] + 1, message, len(first.rstrip()))
            return Slip(problem, sure=True)
    return None


_DEEPER: Final = (
    "this line goes on the text above it; indent it as the items above, or quote the whole text"
)


def _within(line: int) -> str:
    return (
        f"this `-` begins no item: it stands inside the quote of line {line}; "
        "close that, or write the text in one line"
    )
