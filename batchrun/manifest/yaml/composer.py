"""YAML 1.2 text -> nodes: events into a tree, without recursion. Pure.

PyYAML (libyaml where it is built in) only cuts the text into events; what they mean is decided
here: duplicate keys and aliases that multiply are errors, a merge key stands for the keys it
brings, and a scalar means what YAML 1.2's core schema says.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml
from msgspec import Struct, field

from batchrun.errors import Place, Problem
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode, Source
from batchrun.manifest.yaml.scalars import DEEPEST, resolve
from batchrun.manifest.yaml.slips import (
    Anchored,
    Slip,
    colon_follows,
    joined_lines,
    keys_alone,
    stands_alone,
    unknown_tag,
)
from batchrun.manifest.yaml.syntax import syntax_problem, unreadable

_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_LARGEST: Final = 200_000  # values that aliases may add to a document
_TAG: Final = "tag:yaml.org,2002:"


class _Open(Struct):
    """A collection whose end has not come yet."""

    event: Any
    children: list[Node] = field(default_factory=list)


class _Stop(Exception):  # noqa: N818 not an error: the way out of a document that makes no sense
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _TooDeep(Exception):  # noqa: N818 likewise
    """libyaml 0.2.6 looks ahead, and gives up at a depth of 1000 before it has reported the
    first sixty. PyYAML's own parser reports each as it comes, and finds the place of our limit.
    """


def parse_document(
    data: bytes, name: str, problems: list[Problem], notes: list[Problem] | None = None
) -> MapNode | None:
    """Return the document's mapping; None if there is none. Mistakes go to *problems*.

    What may be one goes to *notes*, where they are wanted.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(unreadable(data, error, name))
        return None
    if "\0" in text[:2]:
        problems.append(Problem(Place(name, 1, 1), "this is UTF-16; save the file as UTF-8"))
        return None
    source, slips = Source.of(name, text), list[Slip]()
    before = len(problems)
    try:
        root = _composed(source, text, problems, slips, _LOADER)
    except _TooDeep:
        del problems[before:]
        slips.clear()
        root = _composed(source, text, problems, slips, yaml.BaseLoader)
    problems += [slip.problem for slip in slips if slip.sure]
    if notes is not None:
        notes += [slip.problem for slip in slips if not slip.sure]
    return root


def _composed(
    source: Source, text: str, problems: list[Problem], slips: list[Slip], loader: Any
) -> MapNode | None:
    try:
        return _Composer(source, problems, slips).compose(text, loader)
    except _Stop as stop:
        problems.append(stop.problem)
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):
            raise _TooDeep from None
        place, message, width = syntax_problem(error, source.lines)
        problems.append(source.problem(*place, message, width))
    return None


class _Composer:
    """Builds nodes from events, without recursion: a hostile text cannot exhaust the stack."""

    def __init__(self, source: Source, problems: list[Problem], slips: list[Slip]) -> None:
        self.source = source
        self._problems, self._slips = problems, slips
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._unused: dict[str, Anchored] = {}  # scalars with an anchor, until an alias comes
        self._hidden: list[Anchored] = []  # by another anchor of the same name, before any alias
        self._end = (0, 0)  # where the event before this one ended
        self._nodes = 0
        self._root: Node | None = None
        self._documents = 0

    def compose(self, text: str, loader: Any) -> MapNode | None:
        events: Iterator[Any] = yaml.parse(text, Loader=loader)
        for event in events:
            self._take(event)
            self._end = event.end_mark.line, event.end_mark.column
        for anchored in (*self._hidden, *self._unused.values()):
            self._slips.append(anchored.unused(self.source))
        if self._root is None or (
            isinstance(self._root, ScalarNode) and self._root.value is None and not self._root.text
        ):
            raise _Stop(Problem(Place(self.source.name, 1, 1), "the manifest is empty"))
        if not isinstance(self._root, MapNode):
            raise _Stop(self._root.problem("expected keys and values such as `models:`"))
        return self._root

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    message = "a second document begins here; a manifest is one document"
                    raise self._stop(event, message)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                opened = self._stack.pop()
                self._put(self._collection(opened, event), opened.event.anchor)
            case yaml.ScalarEvent():
                self._put(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._put(self._alias(event), None)
            case _:
                pass

    def _begin(self, event: Any) -> None:
        if len(self._stack) >= DEEPEST:
            raise self._stop(event, f"nested more than {DEEPEST} deep")
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in {None, _TAG + kind}:
            self._problems.append(self._at(event, unknown_tag(_short(event.tag))))
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(event))

    def _put(self, node: Node, anchor: str | None) -> None:
        self._nodes += 1
        if node.size > self._nodes + _LARGEST:
            raise _Stop(node.problem("aliases make this too large; write it without them"))
        if node.depth > DEEPEST:
            raise _Stop(node.problem(f"nested more than {DEEPEST} deep"))
        if anchor:
            self._anchors[anchor] = node
        if self._stack:
            self._stack[-1].children.append(node)
        else:
            self._root = node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            message = f"no anchor `&{event.anchor}` above; quote text that begins with `*`"
            self._problems.append(self._at(event, message))
            text = f"*{event.anchor}"
            return ScalarNode(self.source, *self._mark(event), 1, 1, text, text, plain=True)
        self._unused.pop(event.anchor, None)
        node = self._anchors[event.anchor]
        if node is None:
            raise self._stop(event, f"`*{event.anchor}` stands inside its own anchor")
        return node

    def _scalar(self, event: Any) -> ScalarNode:
        text, value, plain = event.value, event.value, not event.style and event.implicit[0]
        line, column, width = self._mark(event)
        try:
            text.encode()
            value = _tagged(text, event.tag, plain=plain)
        except UnicodeEncodeError:  # PyYAML's own parser takes half a surrogate pair for text
            message = "an escape here is half a character; write the character itself"
            self._problems.append(self.source.problem(line, column, message, width))
        except ValueError as error:
            self._problems.append(self.source.problem(line, column, str(error), width))
        self._look_at(event)
        comment, absent = self._comment(event) if plain else "", plain and self._absent(event)
        return ScalarNode(
            self.source, line, column, width, 1, 1, value, text, plain, comment, absent
        )

    def _look_at(self, event: Any) -> None:
        """Report a scalar that is not what was typed, and remember its anchor."""
        start = event.start_mark
        if event.style not in {"|", ">"} and event.value:
            joined = joined_lines(self.source, (start.line, start.column), event.end_mark.line)
            self._slips.extend([joined] if joined else [])
        if event.anchor and not self._is_ignored():
            if known := self._unused.pop(event.anchor, None):
                self._hidden.append(known)
            self._unused[event.anchor] = Anchored(event, self._listed())

    def _listed(self) -> list[Node] | None:
        """Return the nodes of the list that is open; None where it is no list."""
        opened = self._stack[-1] if self._stack else None
        is_list = opened and isinstance(opened.event, yaml.SequenceStartEvent)
        return opened.children if opened and is_list else None

    def _is_ignored(self) -> bool:
        """Say whether this stands under a top-level key that is a place for anchors."""
        above = self._stack[0].children if self._stack else []
        key = above[-1] if len(above) % 2 else None
        return isinstance(key, ScalarNode) and key.text.startswith("x-")

    def _comment(self, event: Any) -> str:
        end = event.end_mark
        after = self.source.lines[end.line : end.line + 1]
        return after[0][end.column :] if after and "#" in after[0][end.column :] else ""

    def _absent(self, event: Any) -> bool:
        """Say whether this is the value of a key that no `:` follows."""
        if event.value or event.anchor or event.tag or not self._stack:
            return False
        opened = self._stack[-1]
        is_value = isinstance(opened.event, yaml.MappingStartEvent) and len(opened.children) % 2
        return bool(is_value) and not colon_follows(self.source.lines, self._end)

    def _collection(self, opened: _Open, end: Any) -> Node:
        children = opened.children
        line, column, width = self._mark(opened.event, end)
        size = 1 + sum(child.size for child in children)
        depth = 1 + max((child.depth for child in children), default=0)
        if isinstance(opened.event, yaml.SequenceStartEvent):
            return ListNode(self.source, line, column, width, size, depth, tuple(children))
        entries = tuple(self._entries(children))
        flow = bool(opened.event.flow_style)
        return MapNode(self.source, line, column, width, size, depth, entries, flow)

    def _entries(self, children: list[Node]) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield keys and values; what a merge key brings stands where the merge key stands."""
        pairs = list(zip(children[::2], children[1::2], strict=True))
        self._problems.extend(keys_alone(pairs))
        pairs = [(key, value) for key, value in pairs if not stands_alone(value)]
        first: dict[tuple[type, Any], ScalarNode] = {}
        merges = []
        for key, _ in pairs:
            if not isinstance(key, ScalarNode):
                self._problems.append(key.problem("a key must be text, not a list or a mapping"))
            elif key.plain and key.text == "<<":
                merges.append(key)
            elif (known := first.setdefault((type(key.value), key.value), key)) is not key:
                message = f"`{key.text}` is given twice; the first is in line {known.line}"
                self._problems.append(key.problem(message))
        for key, value in pairs:
            if key in merges and isinstance(key, ScalarNode):
                yield from self._merged(key, value, first)
            elif isinstance(key, ScalarNode) and first[type(key.value), key.value] is key:
                yield key, value

    def _merged(
        self, merge: ScalarNode, value: Node, first: dict[tuple[type, Any], ScalarNode]
    ) -> Iterator[tuple[ScalarNode, Node]]:
        for node in value.items if isinstance(value, ListNode) else (value,):
            if not isinstance(node, MapNode):
                self._problems.append(merge.problem("`<<` expects a mapping or a list of them"))
                continue
            for key, below in node.entries:
                if first.setdefault((type(key.value), key.value), key) is key:
                    yield key, below

    def _mark(self, event: Any, end: Any = None) -> tuple[int, int, int]:
        start, stop = event.start_mark, (end or event).end_mark
        width = stop.column - start.column if stop.line == start.line else 0
        if width < 1:
            line = self.source.lines[start.line] if start.line < len(self.source.lines) else ""
            width = len(line.rstrip()) - start.column
        return start.line + 1, start.column + 1, max(1, width)

    def _at(self, event: Any, message: str) -> Problem:
        line, column, width = self._mark(event)
        return self.source.problem(line, column, message, width)

    def _stop(self, event: Any, message: str) -> _Stop:
        return _Stop(self._at(event, message))


def _tagged(text: str, tag: str | None, *, plain: bool) -> Any:
    if tag is None:
        return resolve(text) if plain else text
    kind = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}.get(
        tag.removeprefix(_TAG)
    )
    if kind is None:
        raise ValueError(unknown_tag(_short(tag)))
    value = text if kind is str else resolve(text)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"`{text}` does not fit its tag `{_short(tag)}`")
    return value


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!") if tag.startswith((_TAG, "!")) else f"!<{tag}>"
