"""`${...}` in text: what it refers to, and how a value is spelled inside text. Pure."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.base.local_file import LocalFile
from batchrun.base.text import did_you_mean
from batchrun.manifest.cells import Omit

ATTRIBUTES: Final = ("stem", "name", "path")
_PIECE: Final = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")


class Reference(Struct, frozen=True):
    """One `${...}`; *text* is what stands between the braces."""

    text: str
    name: str
    attribute: str | None = None

    def __str__(self) -> str:
        return f"${{{self.text}}}"


class BadReferenceError(ValueError):
    """A `${...}` that cannot be understood; *text* is what the caret belongs under."""

    def __init__(self, text: str, message: str) -> None:
        super().__init__(message)
        self.text = text


def split(text: str) -> list[str | Reference]:
    """Return literal text and references in turn; raise BadReferenceError."""
    parts: list[str | Reference] = []
    end = 0
    for match in _PIECE.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[1] is None:
            parts.append("${")
            continue
        inner = match[1].strip()
        if not match[2]:
            raise BadReferenceError("${", "`${` is not closed; `$${` stands for a literal `${`")
        if not inner:
            raise BadReferenceError("${", "`${}` names nothing")
        parts.append(Reference(match[1], inner))
    return [part for part in [*parts, text[end:]] if part]


def understand(reference: Reference, known: Collection[str]) -> Reference:
    """Separate `${a.stem}` of a file from a name that holds a dot; raise BadReferenceError."""
    if reference.name in known:
        return reference
    name, dot, attribute = reference.name.rpartition(".")
    if dot and name in known:
        if attribute in ATTRIBUTES:
            return Reference(reference.text, name, attribute)
        hint = did_you_mean(attribute, ATTRIBUTES)
        expected = "expected `.stem`, `.name` or `.path`"
        raise BadReferenceError(str(reference), f"`{reference}`: {expected}{hint}")
    hint = did_you_mean(name if attribute in ATTRIBUTES and dot else reference.name, known)
    raise BadReferenceError(str(reference), f"unknown reference `{reference}`{hint}")


def look_up(reference: Reference, scope: Mapping[str, Any]) -> Any:
    """Return the value that is referred to; raise ValueError where it has no such attribute."""
    value = scope[reference.name]
    if reference.attribute is None:
        return value
    if not isinstance(value, LocalFile):
        raise ValueError(f"`{reference.name}` is {kind(value)}, not a file")  # noqa: TRY004
    return value.written if reference.attribute == "path" else getattr(value, reference.attribute)


THE_TEXT: Final = "the text"
EMPTY: Final = "empty here"
EMPTY_IN_ROW: Final = "empty in this row"
"""The same of a value that a data file's row should have."""


def in_text(value: Any) -> str:
    """Spell a value inside text, as JSON spells it; raise ValueError for what has no spelling."""
    if type(value) is str:
        return value
    if isinstance(value, LocalFile):
        return value.stem
    if isinstance(value, Omit):
        raise ValueError(f"is {EMPTY}, but {THE_TEXT} needs it")  # noqa: TRY004 as all of them
    if value is None or isinstance(value, list | dict):
        raise ValueError(f"is {kind(value)}, but {THE_TEXT} needs text or a number")
    return json.dumps(value)


def kind(value: Any) -> str:
    """Name a value's kind, for messages."""
    if isinstance(value, Omit):
        return "left out"
    if value is None:
        return "null"
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return "a file" if isinstance(value, LocalFile) else names.get(type(value), "a mapping")
