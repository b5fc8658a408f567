"""Media that stand in a body itself, and other texts too long for the ledger. Pure.

A picture as a data: URI, or as base64 under some name, is a file like others: it is saved, and in
the ledger a few words stand in its place. The run can be asked for it again by its id.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 64 * 1024
"""Characters of a text that a ledger's line may have."""

LONGEST_MESSAGE: Final = 4 * 1024
"""Characters of the service's words on what went wrong: they may repeat the input."""

SHORTEST: Final = 512
"""Characters from which on a data: URI or base64 is taken for media."""

_DATA: Final = re.compile(
    rf"(data:[^,;\s]{{0,80}}(?:;[^,\s]{{0,80}})?,)[^\s,;'\"<>]{{{SHORTEST},}}", re.IGNORECASE
)
_BASE64: Final = re.compile(rf"[A-Za-z0-9+/_=\s-]{{{SHORTEST},}}")
_SPACE: Final = re.compile(r"\s")


def weight(value: Any) -> int:
    """Return the characters of all texts in *value* that `shortened` would cut."""
    return sum(len(text) for text in _texts(value) if _short(text) is not text)


def shortened(value: Any) -> Any:
    """Return *value* with a few words in the place of media and of texts that are too long."""
    if not weight(value):
        return value
    whole = [value]
    todo: list[tuple[Any, Any]] = [(whole, 0)]  # a body nested deep must not end in an error
    while todo:
        holder, at = todo.pop()
        found = holder[at]
        if isinstance(found, str):
            holder[at] = _short(found)
        elif isinstance(found, Mapping):
            holder[at] = copy = dict(found)
            todo += [(copy, name) for name in copy]
        elif isinstance(found, list):
            holder[at] = items = list(found)
            todo += [(items, number) for number in range(len(items))]
    return whole[0]


def message(text: str) -> str:
    """Return the service's own words without media, and no longer than a message may be."""
    if len(text) < SHORTEST:
        return text
    text = _DATA.sub(lambda found: f"{found[1]}{_left_out(found[0], found[1])}", text)
    return _cut(text, LONGEST_MESSAGE)


def _short(text: str) -> str:
    if len(text) < SHORTEST:
        return text
    if (found := _DATA.fullmatch(text)) is not None:
        return f"{found[1]}{_left_out(text, found[1])}"
    if text[:5].lower() == "data:" and "," in text[:200]:
        head = text[: text.index(",") + 1]
        return f"{head}{_left_out(text, head)}"
    if _BASE64.fullmatch(text) is not None and len(_SPACE.findall(text)) * 50 < len(text):
        return _left_out(text, "")
    return _cut(text, LONGEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:200]} {_left_out(text, text[:200])}"


def _left_out(text: str, head: str) -> str:
    return f"[{len(text) - len(head)} characters left out]"


def _texts(value: Any) -> list[str]:
    found, todo = [], [value]
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, Mapping):
            todo += each.values()
        elif isinstance(each, list):
            todo += each
    return found
