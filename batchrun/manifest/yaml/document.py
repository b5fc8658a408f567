"""A tree that knows line and column of everything in it, and how messages show it. Pure."""

import re
from typing import Any, Final

from msgspec import Struct

from batchrun.errors import ManifestError, Place, Problem

_BREAKS: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_USERINFO: Final = re.compile(r"(?<=://)[^\s'\"]+(?=@)")  # a password may hold / and @
# Characters that would move a terminal's cursor, or turn its text around; a tab stays one.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_LONGEST: Final = 500  # characters of a message, or of the line it shows


class Source(Struct, frozen=True):
    """A text file as messages show it. A password in a URL is never shown."""

    name: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, name: str, text: str) -> "Source":
        return cls(name, tuple(_BREAKS.split(text)))

    def problem(self, line: int, column: int, message: str, width: int = 1) -> Problem:
        excerpt = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Problem(Place(self.name, line, column), said(message), shown(excerpt), width)


def hide_userinfo(text: str) -> str:
    """Return *text* with the user and password of any URL starred out, at the same length."""
    return _USERINFO.sub(lambda match: "*" * len(match[0]), text)


def said(message: str) -> str:
    """Return a message fit for a terminal: no control characters, no passwords, not endless."""
    text = hide_userinfo(_CONTROLS.sub(lambda match: ascii(match[0])[1:-1], message))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 100]} … {text[-100:]}"


def shown(line: str) -> str | None:
    """Return a line as an excerpt, or None where it would not help."""
    if not line.strip() or len(line) > _LONGEST:
        return None
    return hide_userinfo(_CONTROLS.sub("\ufffd", line))


class Node(Struct, frozen=True):
    """A value and where it stands; *width* is what a caret line underlines."""

    source: Source
    line: int
    column: int
    width: int
    size: int  # values in it, each alias counted in full
    depth: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source.name}:{self.line}:{self.column}>"

    def problem(self, message: str) -> Problem:
        return self.source.problem(self.line, self.column, message, self.width)


class ScalarNode(Node, frozen=True):
    """A single value. *comment* is what follows plain text on its line, blanks and all."""

    value: Any
    text: str
    plain: bool
    comment: str = ""
    absent: bool = False  # nothing was written: its key stands alone, without a `:`


class ListNode(Node, frozen=True):
    items: tuple[Node, ...]


class MapNode(Node, frozen=True):
    entries: tuple[tuple[ScalarNode, Node], ...]
    flow: bool


def raise_if(problems: list[Problem]) -> None:
    """Raise ManifestError with *problems* in the order of file and line, each once."""
    if problems:
        unique = dict.fromkeys(sorted(problems, key=lambda problem: problem.place))
        raise ManifestError(tuple(unique))
