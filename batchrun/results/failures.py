"""Failures grouped, so that forty with one cause are read once. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from batchrun.ledger.records import Finished, Lost, Rejected, reason
from batchrun.results.shared_values import MOST_GROUPS, Shared, SharedValues

LONGEST: Final = 160
"""Characters of a failure's message that are shown."""

# Parts of a message that differ from run to run. The order matters: a URL holds ids and numbers.
_VARYING: Final = (
    (re.compile(r"https?://\S+"), "URL"),
    (re.compile(r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "ID"),
    (re.compile(r"\b[a-z]+_[0-9A-Za-z]*\d[0-9A-Za-z]*\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b"), "ID"),
    (re.compile(r"\d+(\.\d+)*"), "N"),
)


class Failure(Struct, frozen=True, kw_only=True):
    """*count* of a model's cells ended for the same reason; *example* is one of the messages.

    *shared* is what they have in common, and other cells have not.
    """

    alias: str
    code: str
    example: str
    count: int
    shared: Shared | None = None


class Grouping:
    """Groups failures as they come."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], str] = {}
        self._shared = SharedValues()

    def add(self, alias: str, record: Finished | Rejected | Lost) -> tuple[str, str, str]:
        """Take in the line that ended a cell of *alias* badly, or that a file of it is lost.

        Returns what stands for its group.
        """
        code, message = reason(record)
        key = (alias, code, normalise(message))
        self._counts[key] += 1
        self._examples.setdefault(key, message)
        return key

    def ended(
        self,
        alias: str,
        values: Mapping[str, Any],
        records: Iterable[Finished | Rejected | Lost],
    ) -> None:
        """Take in a cell that has ended: its values, and each reason why it did so badly."""
        keys = [self.add(alias, record) for record in records]
        self._shared.add(alias, values, keys[-1] if keys else None)

    def result(self) -> list[Failure]:
        """Return the groups, the most frequent first."""
        return [
            Failure(
                alias=key[0],
                code=key[1],
                example=self._examples[key],
                count=number,
                shared=self._shared.of(key[0], key) if place < MOST_GROUPS else None,
            )
            for place, (key, number) in enumerate(
                sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
            )
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
        if each.shared is not None:
            lines.append(f"    {_common(each, each.shared)}")
    return "\n".join(lines)


def as_dicts(groups: Iterable[Failure], cells: Mapping[str, int]) -> tuple[Mapping[str, Any], ...]:
    """Return the groups for JSON; *cells* counts the cells of each model."""
    return tuple(
        {
            "alias": each.alias,
            "code": each.code,
            "message": each.example,
            "count": each.count,
            "cells": cells.get(each.alias, 0),
            "shared": None if each.shared is None else asdict(each.shared),
        }
        for each in groups
    )


def _common(failure: Failure, shared: Shared) -> str:
    """Say what failures have in common, and for how many of them that holds."""
    values = ", ".join(f"{name} {_one_line(_said(value))}" for name, value in shared.values.items())
    others = failure.count - shared.failed
    left = f"; {others} of these failures have other values" if others else ""
    return f"{shared.failed} of {shared.cells}: model {failure.alias}, {values}{left}"


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def normalise(message: str) -> str:
    """Return *message* without what differs from run to run: numbers, ids, URLs, white space."""
    for pattern, word in _VARYING:
        message = pattern.sub(word, message)
    return " ".join(message.split()).lower()


def _one_line(message: str) -> str:
    """Return what of *message* a terminal can take: one line, no control characters, not all."""
    text = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
