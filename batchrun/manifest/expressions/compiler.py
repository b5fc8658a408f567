"""Nodes -> expressions: templates, `$` operators, axes.

The place of a value decides what it may contain; the three ways in say so: `value` for something
that is one value, `entry` for the direct value of a key in `inputs`, `vars`, a model's `inputs` or
an `include` entry, `element` for what stands in a list there.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from msgspec import Struct, field

from batchrun.base.ceilings import MOST_HELD
from batchrun.base.local_file import LocalFile
from batchrun.errors import Problem
from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.doubts import (
    among_texts,
    cut_by_comment,
    mappings_for_text,
    notes_on,
    once,
    scalars,
)
from batchrun.manifest.expressions.expression import (
    Axis,
    Broken,
    Constant,
    Expression,
    Fields,
    FileAt,
    Items,
    Lines,
    NoValueError,
    Origin,
    Single,
    Text,
    TextAt,
    pointed,
)
from batchrun.manifest.expressions.misused import misuse
from batchrun.manifest.expressions.ranges import RangeError, Wrong, range_of
from batchrun.manifest.expressions.template import BadReferenceError, Reference, split, understand
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import Environment, plain_value, text_keys

AXES: Final = ("$range", "$glob", "$lines")
OPERATORS: Final = (*AXES, "$file", "$text", "$omit", "$value")
# The names that batchrun itself gives to a cell; the last three only name and describe it.
REPLICATE: Final = "replicate"
OF_THE_CELL: Final = ("alias", "model", "cell")


class Disk(Protocol):
    """The sources that a manifest may read beside itself; every method raises ValueError."""

    def local(self, path: str) -> LocalFile: ...

    def matches(self, pattern: str) -> Sequence[LocalFile]: ...

    def text_lines(self, path: str) -> Sequence[str]: ...

    def text(self, path: str) -> str: ...


class Compiler(Struct):
    """Turns nodes into expressions; what is wrong becomes a problem and a null."""

    problems: list[Problem]
    environment: Environment
    disk: Disk
    known: AbstractSet[str]  # every name the manifest gives a value
    own: Sequence[str] = (REPLICATE,)  # what batchrun itself gives one
    notes: list[Problem] = field(default_factory=list)  # no mistakes, but worth a look
    globs: list[tuple[Node, str]] = field(default_factory=list)  # the patterns of `$glob`

    def entry(self, node: Node, constants: Mapping[str, Any]) -> Expression | Axis:
        """Compile the direct value of a key: a list or an axis operator is an axis."""
        if isinstance(node, ListNode) or ((found := _operator(node)) and found[0] in AXES):
            return self.axis(node, constants)
        return self.value(node)

    def axis(self, node: Node, constants: Mapping[str, Any]) -> Axis:
        """Compile a list, or an operator that stands for one; *constants* do not vary."""
        count = len(self.problems)
        items = node.items if isinstance(node, ListNode) else (node,)
        axis = Axis(node, tuple(self._segments(items, constants, axis=True)))
        self.notes += among_texts(items)
        if not any(map(len, axis.segments)) and len(self.problems) == count:
            self.problems.append(node.problem("an axis needs at least one value"))
        return axis

    def value(self, node: Node) -> Expression:
        """Compile something that is one value; axis operators are spliced into lists only."""
        match node:
            case ScalarNode():
                return self._scalar(node)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._mapping(node)
            case _:
                raise AssertionError(node)

    def _report(self, error: NoValueError) -> None:
        if error.problem is not None:
            self.problems.append(error.problem)

    def _scalar(self, node: ScalarNode) -> Expression:
        self._look_at(node)
        if type(node.value) is not str or "$" not in node.value:
            return Constant(node.value)
        return self.text(node, node.value)

    def _look_at(self, node: Node) -> None:
        """Say where the values of *node* may not be what was typed."""
        for scalar in scalars(node):
            self.problems += filter(None, [cut_by_comment(scalar)])
            self.notes += notes_on(scalar)

    def text(self, node: Origin, text: str) -> Expression:
        """Compile text that may hold references."""
        count = len(self.problems)
        parts: list[str | Reference] = []
        try:
            parts = [self._part(node, part) for part in split(text)]
        except BadReferenceError as error:
            hint = ""
            if isinstance(node, ScalarNode) and "not closed" in str(error) and _comment(node):
                hint = "; ` #` begins a comment: quote the text"
            self.problems.append(pointed(node, error.text, str(error) + hint))
        if len(self.problems) > count:
            return Broken()
        if len(parts) == 1 and isinstance(parts[0], Reference):
            return Single(parts[0], node)
        if all(type(part) is str for part in parts):
            return Constant("".join(map(str, parts)))
        return Text(tuple(parts), node)

    def _part(self, node: Origin, part: str | Reference) -> str | Reference:
        """Return a part with its reference understood; if it cannot be, report it."""
        if not isinstance(part, Reference):
            return part
        try:
            return self._understood(part)
        except BadReferenceError as error:
            self.problems.append(pointed(node, error.text, str(error)))
            return ""

    def _understood(self, part: Reference) -> str | Reference:
        if part.name.startswith("env:"):
            try:
                return self.environment[part.name.removeprefix("env:")]
            except ValueError as error:
                raise BadReferenceError(str(part), f"`{part}`: {error}") from None
        if part.name in OF_THE_CELL and part.name not in self.own:
            raise BadReferenceError(
                str(part), f"`{part}` works only in `outputs.name` and `metadata`"
            )
        return understand(part, self.known | set(self.own))

    def _list(self, node: ListNode) -> Expression:
        segments = self._segments(node.items, {}, axis=False)
        if not self.holds(node, segments):
            return Broken()
        items = [item for segment in segments for item in segment]
        return self._folded(Items(tuple(items)))

    def holds(self, node: Node, segments: Sequence[Sequence[Expression]]) -> bool:
        """Say whether a list that is no axis is short enough to be held; if not, report it."""
        if (number := sum(map(len, segments))) > MOST_HELD:
            self.problems.append(
                node.problem(f"this list has {number:,} values; expected at most {MOST_HELD:,}")
            )
        return number <= MOST_HELD

    def _mapping(self, node: MapNode) -> Expression:
        operator = _operator(node)
        if operator is not None:
            return self._operate(node, *operator)
        fields = [(name, self.value(below)) for _, name, below in text_keys(node, self.problems)]
        return self._folded(Fields(tuple(fields)))

    def _operate(self, node: MapNode, key: str, below: Node) -> Expression:
        if key == "$value" and len(node.entries) == 1:
            self._look_at(below)
            return Constant(plain_value(below))
        if len(node.entries) > 1 or key not in OPERATORS:
            self.problems.append(misuse(node, key, OPERATORS))
        elif key == "$file":
            return self._folded(FileAt(self.value(below), below, self.disk))
        elif key == "$text":
            return self._folded(TextAt(self.value(below), below, self.disk))
        elif key == "$omit":
            if plain_value(below) is True:
                return Constant(OMIT)
            self.problems.append(below.problem("`$omit` expects true"))
        else:
            message = f"`{key}` gives several values; here it stands in a list: [{{{key}: …}}]"
            self.problems.append(node.problem(message))
        return Broken()

    def _folded(self, expression: Expression) -> Expression:
        """Evaluate at once what depends on no name."""
        if expression.names:
            return expression
        try:
            return Constant(expression.evaluate({}))
        except NoValueError as error:
            self._report(error)
            return Broken()

    def _segments(
        self, nodes: Sequence[Node], constants: Mapping[str, Any], *, axis: bool
    ) -> list[Sequence[Expression]]:
        """Return the values of a list, with the values of its axis operators in their place."""
        doubts = list(mappings_for_text(nodes, axis=axis))
        self.problems += [doubt.problem for doubt in doubts if doubt.sure]
        self.notes += once(doubts)
        mistaken = {id(doubt.item) for doubt in doubts if doubt.sure}
        segments: list[Sequence[Expression]] = []
        run: list[Expression] = []
        for node in nodes:
            operator = _operator(node)
            if operator is None or operator[0] not in AXES or len(_entries(node)) > 1:
                run.append(Broken() if id(node) in mistaken else self.value(node))
                continue
            segments += [tuple(run), self._spliced(operator[0], operator[1], constants)]
            run = []
        return [segment for segment in [*segments, tuple(run)] if segment]

    def _spliced(self, key: str, below: Node, constants: Mapping[str, Any]) -> Sequence[Expression]:
        make: Callable[[Any], Sequence[Expression]] = {
            "$range": range_of,
            "$glob": lambda text: self._glob(below, _path(key, text)),
            "$lines": lambda text: Lines(self.disk.text_lines(_path(key, text))),
        }[key]
        count = len(self.problems)
        expression = self.value(below)
        if len(self.problems) > count:
            return ()
        try:
            if varying := expression.names - constants.keys():
                raise ValueError(f"`${{{min(varying)}}}` varies; `{key}` needs single values")  # noqa: TRY301 one way out
            return make(expression.evaluate(constants))
        except NoValueError as error:
            self._report(error)
        except RangeError as error:
            self.problems += [_spot(below, one).problem(one.message) for one in error.found]
        except ValueError as error:
            self.problems.append(below.problem(str(error)))
        return ()

    def _glob(self, node: Node, pattern: str) -> Sequence[Expression]:
        self.globs.append((node, pattern))
        return [Constant(file) for file in self.disk.matches(pattern)]


def _operator(node: Node) -> tuple[str, Node] | None:
    for key, below in _entries(node):
        if key.text.startswith("$") and not key.text.startswith("${"):
            return key.text, below
    return None


def _spot(node: Node, wrong: Wrong) -> Node:
    """Return the place of a wrong word of a `$range`, or that of its value."""
    for key, value in _entries(node):
        if key.text == wrong.word:
            return key if wrong.unknown else value
    return node


def _entries(node: Node) -> Sequence[tuple[ScalarNode, Node]]:
    return node.entries if isinstance(node, MapNode) else ()


def _path(key: str, value: Any) -> str:
    if type(value) is not str or not value:
        raise ValueError(f"`{key}` expects a path")
    return value


def _comment(node: ScalarNode) -> bool:
    line = node.source.lines[node.line - 1]
    return node.plain and " #" in line[node.column - 1 :]
