"""Marks of the page: what people say of cells, as the lines of `picks.jsonl`. Pure.

A line is one mark: a cell is picked, rejected, to be made again, or has a note. Each has an id, so
that a file that is read twice counts once, and two files can be put together.
Marks are never changed: a later one counts in place of an earlier one, and `off` takes it away.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from batchrun.base.json_text import decoded


class Kind(StrEnum):
    """What a mark says of its cell."""

    PICK = "pick"
    REJECT = "reject"
    REDO = "redo"
    NOTE = "note"


OPPOSITE: Final = {Kind.PICK: Kind.REJECT, Kind.REJECT: Kind.PICK}
"""Of these a cell has one: the later mark."""

LONGEST_NOTE: Final = 10_000
"""Characters of a note."""

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_CELL: Final = re.compile(r"[0-9a-z]{1,128}")


class Pick(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mark. *at* is when it was made, by the clock of the browser; *off* takes it away."""

    id: str
    sweep: str
    cell: str
    kind: Kind
    note: str = ""
    at: str
    off: bool = False

    @property
    def moment(self) -> tuple[datetime, str]:
        """What marks are ordered by: the later one counts."""
        return _moment(self.at), self.id


class Picks(Struct, frozen=True, kw_only=True):
    """What marks come to: the cells that are marked so, in the order of the marks."""

    picked: Mapping[str, Pick] = field(default_factory=dict)
    rejected: Mapping[str, Pick] = field(default_factory=dict)
    redo: Mapping[str, Pick] = field(default_factory=dict)
    notes: Mapping[str, Pick] = field(default_factory=dict)

    def of(self, kind: str) -> Mapping[str, Pick]:
        """Return the cells with a mark of that *kind*, and the mark."""
        every = {"pick": self.picked, "reject": self.rejected, "redo": self.redo}
        return every.get(kind, self.notes)


def parse_pick(line: bytes) -> Pick:
    """Return the mark of a line; ValueError where it is none, with what was expected."""
    try:
        pick = decoded(line, Pick)
    except UnicodeDecodeError:
        raise ValueError("expected text in UTF-8") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"expected a mark as the page writes it: {error}") from None
    if not _ID.fullmatch(pick.id):
        raise ValueError("`id` is none: expected letters, digits and dashes")
    if not _CELL.fullmatch(pick.cell):
        raise ValueError("`cell` is no key of a cell")
    if len(pick.note) > LONGEST_NOTE:
        raise ValueError(f"`note` has more than {LONGEST_NOTE:,} characters")
    try:
        _moment(pick.at)
    except ValueError:
        raise ValueError("`at` is no time such as 2026-11-29T03:00:00Z") from None
    return pick


def lines_of(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that have something in them, and their numbers from 1."""
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield number, line


def written(picks: Iterable[Pick]) -> bytes:
    """Return the lines of marks, the oldest first: the same marks are the same bytes."""
    rows = (json.dumps(_fields(each), ensure_ascii=False) for each in sorted(picks, key=_order))
    text = "".join(f"{row}\n" for row in rows)
    return text.encode("utf-8", "backslashreplace")


def merged(*parts: Iterable[Pick]) -> dict[str, Pick]:
    """Return the marks of all *parts* by their ids; of one id the first counts."""
    found: dict[str, Pick] = {}
    for part in parts:
        for pick in part:
            found.setdefault(pick.id, pick)
    return found


def last_of_kinds(picks: Iterable[Pick]) -> Collection[Pick]:
    """Return the last of each kind of each cell, in their order: they come to the same as all."""
    last: dict[tuple[str, Kind], Pick] = {}
    for pick in sorted(picks, key=_order):
        last.pop((pick.cell, pick.kind), None)  # the order is that of the marks that count
        last[pick.cell, pick.kind] = pick
    return last.values()


def folded(picks: Iterable[Pick]) -> Picks:
    """Return what *picks* come to, in whatever order they are."""
    by_kind: dict[Kind, dict[str, Pick]] = {kind: {} for kind in Kind}
    for pick in last_of_kinds(picks):
        if pick.off or (pick.kind is Kind.NOTE and not pick.note.strip()):
            continue
        by_kind[pick.kind][pick.cell] = pick
        if pick.kind in OPPOSITE:
            by_kind[OPPOSITE[pick.kind]].pop(pick.cell, None)
    return Picks(
        picked=by_kind[Kind.PICK],
        rejected=by_kind[Kind.REJECT],
        redo=by_kind[Kind.REDO],
        notes=by_kind[Kind.NOTE],
    )


def _order(pick: Pick) -> tuple[datetime, str]:
    return pick.moment


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _fields(pick: Pick) -> dict[str, Any]:
    values = {name: getattr(pick, name) for name in Pick.__struct_fields__}
    return values if pick.off else {name: each for name, each in values.items() if name != "off"}
