"""Failures grouped, so that forty with one cause are read once. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.normalised import normalise
from batchrun.ledger.failure_codes import FailureClass, failure_class
from batchrun.ledger.records import Finished, Lost, Rejected, reason

LONGEST: Final = 160
"""Characters of a failure's message that are shown."""

SHOWN: Final = 12
"""Characters of a cell's key that are shown."""


class Failure(Struct, frozen=True, kw_only=True):
    """*count* of a model's cells ended for the same reason; *example* is one of the messages, and
    *cell* the cell that it is of, "" where the message names it.
    """

    alias: str
    code: str
    example: str
    count: int = 1
    cell: str = ""
    moderated: bool = False


class Grouping:
    """Groups failures as they come."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], Failure] = {}

    def add(self, alias: str, record: Finished | Rejected | Lost) -> None:
        """Take in the line that ended a cell of *alias* badly, or that a file of it is lost."""
        code, message = reason(record)
        key = (alias, code, normalise(message))
        self._counts[key] += 1
        if key not in self._examples:
            self._examples[key] = Failure(
                alias=alias,
                code=code,
                example=message,
                cell="" if isinstance(record, Lost) else record.cell,
                moderated=_moderated(record),
            )

    def result(self) -> list[Failure]:
        """Return the groups, the most frequent first."""
        found = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [replace(self._examples[key], count=number) for key, number in found]


def _moderated(record: Finished | Rejected | Lost) -> bool:
    if isinstance(record, Lost):
        return False
    stage = record.failure_stage if isinstance(record, Finished) else None
    code, message = reason(record)
    return failure_class(code, stage, message) is FailureClass.MODERATED


def failures(groups: Iterable[Failure], cells: Mapping[str, int]) -> str:
    """Return a line for each group: how many of the model's *cells*, and why; one is named."""
    lines = []
    for each in groups:
        of = max(cells.get(each.alias, 0), each.count)
        message = _one_line(each.example)
        code = _one_line(each.code)
        reason = f"{code}: {message}" if message else code
        which = ", moderated" if each.moderated else ""
        cell = f" (cell {each.cell[:SHOWN]})" if each.count == 1 and each.cell else ""
        lines.append(f"{each.count} of {of} {each.alias}{which}: {reason}{cell}")
    return "\n".join(lines)


def _one_line(message: str) -> str:
    """Return what of *message* a terminal can take: one line, no control characters, not all."""
    text = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
