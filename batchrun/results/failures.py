"""Failures grouped, so that forty with one cause are read once. Pure."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from batchrun.base.normalised import normalise
from batchrun.base.text import listed
from batchrun.ledger.failure_codes import FailureClass, failure_class
from batchrun.ledger.records import LOST, Finished, Lost, Rejected, reason
from batchrun.results.shared_values import MOST_GROUPS, Shared, SharedValues

LONGEST: Final = 160
"""Characters of a failure's message that are shown."""

SHOWN: Final = 12
"""Characters of a cell's key that are shown."""

MOST_CELLS: Final = 20
"""Cells of a group that are named in JSON, the first of the grid."""

WORDS: Final[Mapping[str, str]] = {
    "cancelled": "the run was cancelled; it may have been billed",
}
"""What a code means whose failures have no message."""

NO_WORDS: Final = "the service gave no reason"


_Key = tuple[str, str, str]


class Failure(Struct, frozen=True, kw_only=True):
    """*count* of a model's cells ended for the same reason; *example* is one of the messages.

    *cells* are the keys of the first MOST_CELLS among them. *moderated* and *invalid* say that the
    same input would end so again: it was refused for its content, or for anything else of it.
    *shared* is what they have in common, and other cells have not.
    """

    alias: str
    code: str
    example: str
    count: int = 1
    cells: tuple[str, ...] = ()
    moderated: bool = False
    invalid: bool = False
    shared: Shared | None = None

    @property
    def message(self) -> str:
        """The message, or what the code means where there is none."""
        return self.example or WORDS.get(self.code, NO_WORDS)

    @property
    def reason(self) -> str:
        """The code and the message on one line."""
        code, message = _one_line(self.code), _one_line(self.example)
        return f"{code}: {message}" if message else code


class Grouping:
    """Groups failures as they come."""

    def __init__(self) -> None:
        self._counts: Counter[_Key] = Counter()
        self._examples: dict[_Key, Failure] = {}
        self._cells: dict[_Key, dict[str, None]] = {}  # a cell with two lost files is one
        self._shared = SharedValues()

    def add(self, alias: str, record: Finished | Rejected | Lost) -> _Key:
        """Take in the line that ended a cell of *alias* badly, or that a file of it is lost.

        Returns what stands for its group.
        """
        code, message = reason(record)
        key = (alias, code, normalise(message))
        self._counts[key] += 1
        if key not in self._examples:
            why = _class_of(record)
            self._examples[key] = Failure(
                alias=alias,
                code=code,
                example=message,
                moderated=why is FailureClass.MODERATED,
                invalid=why is FailureClass.INPUT,
            )
        cells = self._cells.setdefault(key, {})
        if len(cells) < MOST_CELLS:
            cells[record.cell] = None
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
        found = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [
            replace(
                self._examples[key],
                count=number,
                cells=tuple(self._cells[key]),
                shared=self._shared.of(key[0], key) if place < MOST_GROUPS else None,
            )
            for place, (key, number) in enumerate(found)
        ]


def _class_of(record: Finished | Rejected | Lost) -> FailureClass | None:
    """Return why the same input would end so again; None where another run may help."""
    if isinstance(record, Lost):
        return None
    stage = record.failure_stage if isinstance(record, Finished) else None
    code, message = reason(record)
    why = failure_class(code, stage, message)
    refused = isinstance(record, Rejected) and why is not FailureClass.MODERATED
    return FailureClass.INPUT if refused else why


def failures(groups: Iterable[Failure], cells: Mapping[str, int]) -> str:
    """Return a line for each group: how many of the model's *cells*, and why; one is named."""
    lines = []
    for each in groups:
        of = max(cells.get(each.alias, 0), each.count)
        which = ", moderated" if each.moderated else ""
        named = each.count == 1 and each.cells and each.code != LOST  # its message names it
        cell = f" (cell {each.cells[0][:SHOWN]})" if named else ""
        lines.append(f"{each.count:,} of {of:,} {each.alias}{which}: {each.reason}{cell}")
        if each.shared is not None:
            lines.append(f"    {_common(each, each.shared)}")
    return "\n".join(lines)


def which_cells(groups: Sequence[Failure], folder: str | None) -> str:
    """Return where the cells of the failures stand, and the command that shows one of them."""
    key = next((each.cells[0] for each in groups if each.cells), None)
    if key is None or folder is None:
        return "which cells: see results.csv"
    why = shlex.join(["batchrun", "why", folder, key[:SHOWN]])
    return f"which cells: see results.csv; one of them: `{why}`"


def as_dicts(groups: Iterable[Failure], cells: Mapping[str, int]) -> tuple[Mapping[str, Any], ...]:
    """Return the groups for JSON; *cells* counts the cells of each model."""
    return tuple(
        {
            "alias": each.alias,
            "code": each.code,
            "message": each.message,
            "count": each.count,
            "cells": list(each.cells),
            "of": cells.get(each.alias, 0),
            "moderated": each.moderated,
            "shared": None if each.shared is None else asdict(each.shared),
        }
        for each in groups
    )


def _common(failure: Failure, shared: Shared) -> str:
    """Say what failures have in common, and for how many of them that holds."""
    values = listed(f"{name} {_one_line(_said(value))}" for name, value in shared.values.items())
    others = failure.count - shared.failed
    left = f"; {others:,} of these failures have other values" if others else ""
    return f"{shared.failed:,} of {shared.cells:,}: model {failure.alias}, {values}{left}"


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _one_line(message: str) -> str:
    """Return what of *message* a terminal can take: one line, no control characters, not all."""
    text = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
