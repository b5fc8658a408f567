"""Columns of CSV files whose type has changed, and what that does to paid cells.

A row `N/A` in a column of numbers makes all of the column text. Each cell of it has another key
then, and would be paid for again. So the ledger remembers the types that each start had. All of
them are compared with those of now: a start between may have had other rows, and so other types,
and cells of any start may be paid. Where a start remembers none, they are guessed:
`former_types.py`. Only paid cells that come of a guess count, so none is a false alarm.
`dropped_cells.py` says which of them drop out.

No start knows the type of a column that is new or renamed, or that a JSONL file or a start of
batchrun 0.1 had: the paid cells show what values they have of it. So nothing is said of what such a
column was.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import few, money, number_of, usd
from batchrun.base.values import spell
from batchrun.ledger.reader import Readable
from batchrun.manifest.data.column_types import (
    BY_FIELD,
    Column,
    ColumnType,
    Field,
    has_comma,
)
from batchrun.manifest.data.field_types import as_boolean, as_number
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import columns_in_cells, tables_of
from batchrun.planning.dropped_cells import Compared, Standing, number_of_made, standing
from batchrun.planning.former_types import Reading, guessed, has_guesses, remembered, starts_of
from batchrun.results.orphans import Lost, lost_cells

MOST_WAYS: Final = 5
"""Columns whose way on is said; the last line of a call has all of these."""

_WORDS: Final[Mapping[str, str]] = {
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "of numbers",
    ColumnType.BOOLEAN: "of booleans",
}

_VALUES: Final[Mapping[str, str]] = {
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "numbers",
    ColumnType.BOOLEAN: "booleans",
}
"""What paid cells have of a column whose type no start knows."""


class TypeChange(Struct, frozen=True, kw_only=True):
    """A column that *was* of one type and *now* is of another; *seen* are its fields.

    *said*: the manifest says so. *remembered*: a start of the sweep had the former type.
    """

    column: str
    was: str
    now: ColumnType
    said: bool
    remembered: bool
    seen: Column

    @property
    def field(self) -> Field | None:
        """The field that makes it so; None where no single one does."""
        return None if self.said else self._other

    @property
    def _other(self) -> Field | None:
        """The first field that is not as all were."""
        if self.was == BY_FIELD:
            is_text = self.now is ColumnType.TEXT
            return self.seen.read_alone if is_text else self.seen.kept_alone
        if self.was == ColumnType.NUMBER:
            return self.seen.no_number
        return self.seen.not_boolean if self.was == ColumnType.BOOLEAN else None

    @property
    def rewritten(self) -> bool:
        """Whether its fields show by themselves that they were edited along with their type."""
        if self.was == ColumnType.NUMBER and self.now is ColumnType.TEXT:
            first = self.seen.not_number
            return not self.seen.has_number or (first is not None and has_comma(first.text))
        if self.was == ColumnType.BOOLEAN and self.now is ColumnType.TEXT:
            return not self.seen.reads_boolean
        return self.was not in {ColumnType.TEXT, BY_FIELD} and self.now is not ColumnType.TEXT

    @property
    def can_be_said(self) -> bool:
        """Whether the field in its way reads as the former type once the manifest says that."""
        read = as_number if self.was == ColumnType.NUMBER else as_boolean
        other = self._other
        return other is None or not isinstance(read(other.text), str)


class TypeChanges(Struct, frozen=True, kw_only=True):
    """What changes of types do: so many cells are *new*, and these paid ones are *lost*.

    *edited*: fields were edited along with their type, and another type brings no cell back.
    """

    changes: tuple[TypeChange, ...]
    new: int
    lost: Lost
    edited: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {
            "columns": [
                {"column": each.column, "was": str(each.was), "now": str(each.now)}
                for each in self.changes
            ],
            "new_cells": self.new,
            "paid_cells": self.lost.cells,
            "cost": money(self.lost.cost),
        }


def type_changes(manifest: Manifest, ledger: Readable) -> TypeChanges | None:
    """Return what has changed since the starts by whose types paid cells drop out.

    None where that makes no difference. *manifest* knows the replicates that marks of the ledger
    made. A column without a remembered type counts only where a paid cell drops out. Where none
    does, the newest start counts, unless a start had the types of now before.
    """
    if not len(ledger.book.histories):
        return None
    starts = starts_of(ledger.book)
    sure = [remembered(manifest, types) for types in starts if types]
    changed = [each for each in sure if each.former]
    if not changed and not has_guesses(manifest, starts):
        return None
    against = standing(manifest, ledger)
    newest = sure[0] if starts[0] else None
    readings = chain(changed, guessed(manifest, starts, against)) if against.orphans else ()
    found = _dropping(manifest, readings, against, newest)
    if not found and changed and len(changed) == len(sure):
        found = [(changed[0], _compared(manifest, changed[0], against, newest))]
    if not (new := number_of_made(compared for _, compared in found)):
        return None
    changes = (each for reading, _ in found for each in _changes(manifest, reading))
    return TypeChanges(
        changes=tuple({(each.column, each.was): each for each in changes}.values()),
        new=new,
        lost=lost_cells(ledger, dict.fromkeys(key for _, each in found for key in each.gone)),
        edited=any(compared.edited for _, compared in found),
    )


def _dropping(
    manifest: Manifest, readings: Iterable[Reading], against: Standing, newest: Reading | None
) -> list[tuple[Reading, Compared]]:
    """Return the *readings* by which paid cells drop out, each with some that none before has."""
    found: list[tuple[Reading, Compared]] = []
    gone: set[str] = set()
    tried: list[Mapping[str, str]] = []
    for reading in readings:
        if reading.former in tried:
            continue
        tried.append(reading.former)
        compared = _compared(manifest, reading, against, newest)
        if not gone.issuperset(compared.gone):
            found.append((reading, compared))
            gone.update(compared.gone)
        if len(gone) == against.orphans:
            break
    return found


def _compared(
    manifest: Manifest, reading: Reading, against: Standing, newest: Reading | None
) -> Compared:
    """Return what becomes of cells for a former *reading*.

    Edits count only since the *newest* start, and so does what can't be made by its types any more.
    Edits of a file count as such where its fields show them, or nothing else was edited.
    """
    rewritten: bool | None = False
    if reading is newest and (start := against.ledger.book.sweep) is not None:
        in_cells = columns_in_cells(manifest)
        changes = [each for each in _changes(manifest, reading) if each.column in in_cells]
        rewritten = any(each.rewritten for each in changes)
        if not rewritten and changes and start.manifest_sha256 == manifest.sha256:
            rewritten = None
    return against.compare(reading.former, newest=reading is newest, rewritten=rewritten)


def _changes(manifest: Manifest, reading: Reading) -> Iterator[TypeChange]:
    for types in tables_of(manifest):
        for name, column in types.columns.items():
            now = types.of(name)
            if now is not None and name in reading.former:
                yield TypeChange(
                    column=name,
                    was=reading.former[name],
                    now=now,
                    said=name in types.said,
                    remembered=name in reading.remembered,
                    seen=column,
                )


# What people read.


def lines(found: TypeChanges) -> Iterator[str]:
    """Yield what has changed, and what that does."""
    yield from few(map(_change, found.changes))
    new = number_of(found.new, "new cell")
    if found.lost.cells:
        paid = number_of(found.lost.cells, "paid cell")
        drop = "drops" if found.lost.cells == 1 else "drop"
        yield f"that makes {new}, and {paid} ({usd(found.lost.cost)} USD) {drop} out"
    else:
        yield f"that makes {new}; no paid cell drops out"


def _change(change: TypeChange) -> str:
    if change.remembered:
        return f"the column `{change.column}` was {_WORDS[change.was]}, and {_now(change)}"
    return f"{_paid(change)}; it {_now(change)}"


def _paid(change: TypeChange) -> str:
    column = f"the column `{change.column}`"
    if change.was != BY_FIELD:
        return f"paid cells have {column} as {_VALUES[change.was]}"
    kind = "numbers or booleans" if change.now is ColumnType.TEXT else "text"
    return f"paid cells have some fields of {column} as {kind}"


def _now(change: TypeChange) -> str:
    now = f"is {_WORDS[change.now]} now"
    if change.said:
        return f"{now}, as `rows` says"
    if change.field is None:
        return f"{now}: all of its fields are"
    place = f"{change.field.written}:{change.field.line}"
    return f"{now}: {place} has `{spell(change.field.text)}`"


def ways(found: TypeChanges, command: str) -> Iterator[str]:
    """Yield how to go on where paid cells drop out; *command* is the call."""
    for each in found.changes[:MOST_WAYS]:
        was = "it was" if each.remembered else "paid cells have it"
        yield f"to keep `{each.column}` as {was}: {_way(each, edited=found.edited)}"
    if (more := len(found.changes) - MOST_WAYS) > 0:
        yield f"and likewise for {number_of(more, 'more column')}"
    yield f"to pay for the new cells: `{command} --new-types`"


def _way(change: TypeChange, *, edited: bool) -> str:
    field = change.field
    if edited:
        where = "its fields" if field is None else f"{field.written}:{field.line} and its like"
        return f"mend {where}"
    if change.was == BY_FIELD:
        return "a JSONL file gives each value a type of its own"
    instead = " instead" if change.said else ""
    say = (
        f"say `{change.was}: [{change.column}]` in `rows`{instead}, where models take "
        f"{_VALUES[change.was]}"  # what is said is not converted
    )
    if change.said:
        return say if change.can_be_said else f"mend its fields, and {say}"
    if field is None:
        return say
    mend = f"mend {field.written}:{field.line}"
    return f"{mend}, or {say}" if change.can_be_said else mend
