"""Compiled values: what a piece of the manifest comes to once the names it uses have values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from msgspec import Struct

from batchrun.base.local_file import LocalFile
from batchrun.errors import Problem
from batchrun.manifest.cells import OMIT, Omit
from batchrun.manifest.expressions.scope import Scope, Values, texts_of
from batchrun.manifest.expressions.template import THE_TEXT, Reference, in_text, look_up
from batchrun.manifest.yaml.document import Node

NOTHING: Final[frozenset[str]] = frozenset()


class NoValueError(Exception):
    """A value that cannot be had; *names* are the references it came from.

    The problem is None where it has been reported already.
    """

    def __init__(self, problem: Problem | None, names: frozenset[str] = NOTHING) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.names = names


class Origin(Protocol):
    """A place something came from: a node of the manifest, or a field of a data file."""

    def problem(self, message: str) -> Problem: ...


class Expression(Protocol):
    """Something that has a value once the *names* it uses have one."""

    @property
    def names(self) -> frozenset[str]: ...

    def evaluate(self, scope: Scope) -> Any:
        """Return the value; raise NoValueError."""


class Files(Protocol):
    """Where local files come from; the grid itself opens nothing."""

    def local(self, path: str) -> LocalFile:
        """Return the file at *path*, relative to the manifest; raise ValueError."""


class Texts(Protocol):
    """Where the texts of local files come from."""

    def text(self, path: str) -> str:
        """Return the text of the file at *path*, relative to the manifest; raise ValueError."""


class Constant(Struct, frozen=True):
    value: Any

    @property
    def names(self) -> frozenset[str]:
        return NOTHING

    def evaluate(self, scope: Scope) -> Any:  # noqa: ARG002 the same wherever it stands
        return self.value


class Broken(Struct, frozen=True):
    """Stands where something is wrong that has been reported."""

    @property
    def names(self) -> frozenset[str]:
        return NOTHING

    def evaluate(self, scope: Scope) -> Any:  # noqa: ARG002 no scope helps
        raise NoValueError(None)


class Single(Struct, frozen=True):
    """Text that is one reference: the value keeps its type."""

    reference: Reference
    node: Origin

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.reference.name})

    def evaluate(self, scope: Scope) -> Any:
        if self.reference.attribute is None:
            return scope[self.reference.name]
        try:
            return look_up(self.reference, scope)
        except ValueError as error:
            raise NoValueError(pointed(self.node, self.reference, str(error)), self.names) from None


class Text(Struct, frozen=True):
    """Text with references in it."""

    parts: tuple[str | Reference, ...]
    node: Origin

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts if isinstance(part, Reference))

    def evaluate(self, scope: Scope) -> str:
        return "".join(
            [part if isinstance(part, str) else self._spell(part, scope) for part in self.parts]
        )

    def _spell(self, reference: Reference, scope: Scope) -> str:
        if reference.attribute is None:
            if type(value := scope[reference.name]) is str:
                return value
            if (written := texts_of(scope).get(reference.name)) is not None:
                return written
        try:
            return in_text(look_up(reference, scope))
        except ValueError as error:
            said = str(error).replace(THE_TEXT, f"`{''.join(map(str, self.parts))}`", 1)
            message = f"`{reference.name}` {said}" if said.startswith("is ") else said
            problem = pointed(self.node, reference, message)
            raise NoValueError(problem, frozenset({reference.name})) from None


class Items(Struct, frozen=True):
    """A list that holds something to compile; what is left out of it is gone.

    A list of which nothing is left is left out, too: that is no list of none, which would be sent.
    """

    items: tuple[Expression, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(item.names for item in self.items))

    def evaluate(self, scope: Scope) -> list[Any] | Omit:
        left = [value for item in self.items if not isinstance(value := item.evaluate(scope), Omit)]
        return left if left or not self.items else OMIT


class Fields(Struct, frozen=True):
    """A mapping that holds something to compile."""

    fields: tuple[tuple[str, Expression], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(value.names for _, value in self.fields))

    def evaluate(self, scope: Scope) -> dict[str, Any]:
        values = ((name, field.evaluate(scope)) for name, field in self.fields)
        return {name: value for name, value in values if not isinstance(value, Omit)}


class FileAt(Struct, frozen=True):
    """A local file whose path is known once its names have values."""

    path: Expression
    node: Origin
    files: Files

    @property
    def names(self) -> frozenset[str]:
        return self.path.names

    def evaluate(self, scope: Scope) -> Any:
        path = self.path.evaluate(scope)
        if isinstance(path, LocalFile | Omit):
            return path
        return _read(self, self.files.local, path)


class TextAt(Struct, frozen=True):
    """The text of a local file whose path is known once its names have values."""

    path: Expression
    node: Origin
    texts: Texts

    @property
    def names(self) -> frozenset[str]:
        return self.path.names

    def evaluate(self, scope: Scope) -> Any:
        path = self.path.evaluate(scope)
        if isinstance(path, Omit):
            return path
        return _read(self, self.texts.text, str(path) if isinstance(path, LocalFile) else path)


def _read(at: FileAt | TextAt, read: Callable[[str], Any], path: Any) -> Any:
    try:
        if type(path) is not str:
            raise ValueError("expected the path of a file")  # noqa: TRY301 one way out
        return read(path)
    except ValueError as error:
        raise NoValueError(at.node.problem(str(error)), at.names) from None


class Renamed(Struct, frozen=True):
    """An expression that sees another name's value under *name*: `${x}` under the key x."""

    inner: Expression
    name: str
    source: str

    @property
    def names(self) -> frozenset[str]:
        return (self.inner.names - {self.name}) | {self.source}

    def evaluate(self, scope: Scope) -> Any:
        return self.inner.evaluate(self.seen(scope))

    def seen(self, scope: Scope) -> Scope:
        """Return a scope as the expression sees it."""
        values, texts = {**scope, self.name: scope[self.source]}, texts_of(scope)
        if not texts:
            return values
        seen = {name: text for name, text in texts.items() if name != self.name}
        if self.source in texts:
            seen[self.name] = texts[self.source]
        return Values(values, seen)


class Fallback(Struct, frozen=True):
    """A row's field, or the single-valued input of that name where the field is empty."""

    field: str
    default: Expression

    @property
    def names(self) -> frozenset[str]:
        return self.default.names | {self.field}

    def evaluate(self, scope: Scope) -> Any:
        value = scope[self.field]
        return self.default.evaluate(scope) if isinstance(value, Omit) else value


class Fixed(Sequence[Expression]):
    """Values that use no name, each made when it is asked for."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)  # a struct can't be a Sequence as well
class Lines(Fixed):
    """The lines of a text file."""

    lines: Sequence[str]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        return Constant(self.lines[index])


class Axis(Struct, frozen=True):
    """The values of one name: a list of them, a range, lines, files."""

    node: Node
    segments: tuple[Sequence[Expression], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(
            *(
                element.names
                for segment in self.segments
                if not isinstance(segment, Fixed)
                for element in segment
            )
        )

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    def __iter__(self) -> Iterator[Expression]:
        for segment in self.segments:
            yield from segment

    def element(self, index: int) -> Expression:
        for segment in self.segments:
            if index < len(segment):
                return segment[index]
            index -= len(segment)
        raise IndexError(index)


def field_of(expression: Expression, scope: Scope) -> str | None:
    """Return the field of a CSV file that the value is, as it is written; None where it is none.

    It is one that stands alone, `${price}`, by way of other names too.
    """
    match expression:
        case Single(reference=reference) if reference.attribute is None:
            return texts_of(scope).get(reference.name)
        case Fallback(field=field) if not isinstance(scope[field], Omit):
            return texts_of(scope).get(field)
        case Fallback(default=default):
            return field_of(default, scope)
        case Renamed(inner=inner):
            return field_of(inner, expression.seen(scope))
        case _:
            return None


def names_alone(expression: Expression) -> frozenset[str]:
    """Return the names whose values stand in its value as they are, not only inside text."""
    match expression:
        case Single(reference=reference) if reference.attribute is None:
            return expression.names
        case Items(items=below):
            return NOTHING.union(*map(names_alone, below))
        case Fields(fields=fields):
            return NOTHING.union(*(names_alone(below) for _, below in fields))
        case _:
            return NOTHING


def pointed(node: Origin, reference: Reference | str, message: str) -> Problem:
    """Return a problem whose caret stands under the reference, if its line can be found."""
    if not isinstance(node, Node):
        return node.problem(message)
    text = str(reference)
    lines = node.source.lines
    for number in range(node.line, min(node.line + 50, len(lines)) + 1):
        start = node.column - 1 if number == node.line else 0
        column = lines[number - 1].find(text, start)
        if column >= 0:
            return node.source.problem(number, column + 1, message, len(text))
    return node.problem(message)
