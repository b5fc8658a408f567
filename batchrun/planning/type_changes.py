"""Columns of CSV files whose type has changed, and what that does to paid cells.

A row `N/A` in a column of numbers makes all of the column text. Each cell of it has another key
then, and would be paid for again. So the ledger remembers the types that each start had. They are
compared with those of now, and the manifest's cells with those that it would have by the former
types: nothing else of it was edited, then, and what drops out does so for the types alone.

A column that the ledger has no type of is new, or of a batchrun that took each field by itself. It
is compared with that: where the column is new, no cell of it can be paid.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import money, number_of, usd
from batchrun.base.values import spell
from batchrun.errors import ManifestError
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.manifest.data.column_types import BY_FIELD, Column, ColumnType, ColumnTypes, Field
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import read_as, tables_of
from batchrun.results.orphans import Lost, lost_cells

_WORDS: Final[Mapping[str, str]] = {
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "of numbers",
    ColumnType.BOOLEAN: "of booleans",
    BY_FIELD: "read field by field, as batchrun 0.1 did",
}


class TypeChange(Struct, frozen=True, kw_only=True):
    """A column that *was* of one type and *now* is of another.

    *field* is the one that makes it so; None where no single one does. *said*: the manifest does.
    *remembered*: a start of the sweep had that type.
    """

    column: str
    was: str
    now: ColumnType
    field: Field | None
    said: bool
    remembered: bool


class TypeChanges(Struct, frozen=True, kw_only=True):
    """What changes of types do: so many cells are *new*, and these paid ones are *lost*."""

    changes: tuple[TypeChange, ...]
    new: int
    lost: Lost

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
    """Return what has changed against the newest start, None where that makes no difference.

    *manifest* knows the replicates that marks of the ledger made. A column without a remembered
    type counts only where a paid cell drops out.
    """
    book = ledger.book
    if not len(book.histories):
        return None
    kept = (book.sweep.types if book.sweep is not None else None) or {}
    known = {name: kind for name, kind in kept.items() if kind in _WORDS}  # a later one has more
    found = [each for types in tables_of(manifest) for each in _changes(types, known)]
    if not found:
        return None
    new, lost = _consequences(manifest, {each.column: each.was for each in found}, ledger)
    said = tuple(each for each in found if each.remembered or lost.cells)
    return TypeChanges(changes=said, new=new, lost=lost) if said and (new or lost.cells) else None


def _changes(types: ColumnTypes, known: Mapping[str, str]) -> Iterator[TypeChange]:
    for name, column in types.columns.items():
        was, now = known.get(name) or column.alone, types.of(name)
        if now is not None and was != now:
            said = name in types.said
            yield TypeChange(
                column=name,
                was=was,
                now=now,
                field=None if said else _reason(column, was, now),
                said=said,
                remembered=name in known,
            )


def _reason(column: Column, was: str, now: ColumnType) -> Field | None:
    """Return the field for which a column is no longer what it was."""
    if was == BY_FIELD:
        return column.read_alone if now is ColumnType.TEXT else column.kept_alone
    if was == ColumnType.NUMBER:
        return column.no_number
    return column.not_boolean if was == ColumnType.BOOLEAN else None


def _consequences(
    manifest: Manifest, former: Mapping[str, str], ledger: Readable
) -> tuple[int, Lost]:
    """Return how many cells are new, and which are lost, against the manifest with *former* types.

    Where that manifest's cells can't be made, each cell counts that the ledger has alone.
    """
    histories, before, now = ledger.book.histories, KeyIndex(), KeyIndex()
    new, gone = 0, []
    for cell in expand(manifest):
        if now.add(cell.key)[1]:
            new += cell.key not in histories
    try:
        for cell in expand(read_as(manifest, former)):
            if not before.add(cell.key)[1]:
                continue
            if cell.key in now:
                new -= cell.key not in histories
            elif cell.key in histories:
                gone.append(cell.key)
    except ManifestError:
        gone = [key for key in histories if key not in now]
    return new, lost_cells(ledger, gone)


# What people read.


def lines(found: TypeChanges) -> Iterator[str]:
    """Yield what has changed, and what that does."""
    for each in found.changes:
        yield f"the column `{each.column}` was {_WORDS[each.was]}, {_now(each)}"
    new = number_of(found.new, "new cell")
    if found.lost.cells:
        paid = number_of(found.lost.cells, "paid cell")
        drop = "drops" if found.lost.cells == 1 else "drop"
        yield f"that makes {new}, and {paid} ({usd(found.lost.cost)} USD) {drop} out"
    else:
        yield f"that makes {new}; no paid cell drops out"


def _now(change: TypeChange) -> str:
    now = f"and is {_WORDS[change.now]} now"
    if change.said:
        return f"{now}, as `rows` says"
    if change.field is None:
        return f"{now}: all of its fields are"
    place = f"{change.field.written}:{change.field.line}"
    return f"{now}: {place} has `{spell(change.field.text)}`"


def ways(found: TypeChanges, command: str) -> Iterator[str]:
    """Yield how to go on where paid cells drop out; *command* is the call."""
    for each in found.changes:
        mend = ""
        if each.field is not None and each.was != BY_FIELD:
            mend = f"mend {each.field.written}:{each.field.line}, or "
        if each.was == BY_FIELD:
            keep = "a JSONL file gives each value a type of its own"
        elif each.said:
            keep = f"say `{each.was}: [{each.column}]` in `rows` instead"
        else:
            keep = f"say `{each.was}: [{each.column}]` in `rows`"
        yield f"to keep `{each.column}` as it was: {mend}{keep}"
    yield f"to pay for the new cells: `{command} --new-types`"
