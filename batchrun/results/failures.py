"""Failures grouped, so that forty with one cause are read once. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from batchrun.base.normalised import normalise
from batchrun.ledger.records import Finished, Lost, Rejected, reason

LONGEST: Final = 160
"""Characters of a failure's message that are shown."""


class Failure(Struct, frozen=True, kw_only=True):
    """*count* of a model's cells ended for the same reason; *example* is one of the messages."""

    alias: str
    code: str
    example: str
    count: int


class Grouping:
    """Groups failures as they come."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], str] = {}

    def add(self, alias: str, record: Finished | Rejected | Lost) -> None:
        """Take in the line that ended a cell of *alias* badly, or that a file of it is lost."""
        code, message = reason(record)
        key = (alias, code, normalise(message))
        self._counts[key] += 1
        self._examples.setdefault(key, message)

    def result(self) -> list[Failure]:
        """Return the groups, the most frequent first."""
        return [
            Failure(alias=key[0], code=key[1], example=self._examples[key], count=number)
            for key, number in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        ]


def failures(groups: Iterable[Failure], cells: Mapping[str, int]) -> str:
    """Return a line for each group: how many of the model's *cells*, and why."""
    lines = []
    for each in groups:
        of = max(cells.get(each.alias, 0), each.count)
        message = _one_line(each.example)
        code = _one_line(each.code)
        reason = f"{code}: {message}" if message else code
        lines.append(f"{each.count} of {of} {each.alias}: {reason}")
    return "\n".join(lines)


def _one_line(message: str) -> str:
    """Return what of *message* a terminal can take: one line, no control characters, not all."""
    text = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
