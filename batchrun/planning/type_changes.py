"""Columns of CSV files whose type has changed, and what that does to paid cells.

A row `N/A` in a column of numbers makes all of the column text. Each cell of it has another key
then, and would be paid for again. So the ledger remembers the types that each start had. All of
them are compared with those of now: a start between may have had other rows, and so other types,
and cells of any start may be paid. `dropped_cells.py` says which of them drop out.

No start knows the type of a column that is new or renamed, or that a JSONL file or a start of
batchrun 0.1 had: the paid cells show what values they have of it. So such a column is named only
where paid cells drop out for it, and nothing is said of what it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import few, money, number_of, usd
from batchrun.base.values import spell
from batchrun.errors import ManifestError
from batchrun.ledger.reader import Readable
from batchrun.manifest.data.column_types import (
    BY_FIELD,
    Column,
    ColumnType,
    ColumnTypes,
    Field,
    has_comma,
)
from batchrun.manifest.data.field_types import as_boolean, as_number
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import columns_in_cells, read_as, tables_of
from batchrun.planning.dropped_cells import Effect, effect
from batchrun.results.orphans import Lost

MOST_TRIED: Final = 243
"""Ways to read columns without a remembered type that are tried."""

MOST_CELLS: Final = 100_000
"""Cells of a ledger up to which it is tried what each column without a remembered type does."""

MOST_WAYS: Final = 5
"""Columns whose way on is said; the last line of a call has all of these."""

LOOKED_AT: Final = 300
"""Cells that are made for each of them."""

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
        if self.said:
            return None
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
            return self.seen.read_alone is None or (first is not None and has_comma(first.text))
        if self.was == ColumnType.BOOLEAN and self.now is ColumnType.TEXT:
            return self.seen.read_alone is None
        return self.was not in {ColumnType.TEXT, BY_FIELD} and self.now is not ColumnType.TEXT

    @property
    def can_be_said(self) -> bool:
        """Whether the field in its way reads as the former type once the manifest says that."""
        read = as_number if self.was == ColumnType.NUMBER else as_boolean
        return self.field is None or not isinstance(read(self.field.text), str)


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
    """Return what has changed since the start whose types drop most paid cells, the newest first.

    None where that makes no difference. *manifest* knows the replicates that marks of the ledger
    made. A column without a remembered type counts only where a paid cell drops out.
    """
    book = ledger.book
    if not len(book.histories):
        return None
    newest = (book.sweep.types if book.sweep is not None else None) or {}
    tried: list[dict[str, str]] = []
    best = None
    for types in (newest, *reversed(book.types)):
        known = {n: kind for n, kind in {**newest, **types}.items() if kind in _WORDS}
        changes = [each for table in tables_of(manifest) for each in _changes(table, known)]
        if (former := _former(changes)) in tried:
            continue
        found = _since(manifest, changes, ledger, newest=not tried)
        tried.append(former)
        if best is None or (found is not None and found.lost.cells > best.lost.cells):
            best = found
    return best


def _since(
    manifest: Manifest, changes: Sequence[TypeChange], ledger: Readable, *, newest: bool
) -> TypeChanges | None:
    """Return what *changes* since a start do; only since the *newest* one do edits count."""
    changes = [*_likeliest(manifest, changes, ledger)]
    if not changes:
        return None
    done = _effect(manifest, changes, ledger, newest=newest)
    if done.lost.cells:
        changes = [*_of_weight(manifest, changes, done.lost, ledger, newest=newest)] or changes
    said = tuple(each for each in changes if each.remembered or done.lost.cells)
    if not said or not (done.new or done.lost.cells):
        return None
    return TypeChanges(changes=said, new=done.new, lost=done.lost, edited=done.edited)


def _changes(types: ColumnTypes, known: Mapping[str, str]) -> Iterator[TypeChange]:
    for name, column in types.columns.items():
        was, now = known.get(name) or column.alone, types.of(name)
        if now is not None and was != now:
            yield TypeChange(
                column=name,
                was=was,
                now=now,
                said=name in types.said,
                remembered=name in known,
                seen=column,
            )


def _former(changes: Iterable[TypeChange]) -> dict[str, str]:
    return {each.column: each.was for each in changes}


def _likeliest(
    manifest: Manifest, changes: Sequence[TypeChange], ledger: Readable
) -> Sequence[TypeChange]:
    """Return the changes by which most of the grid's first cells are in the ledger.

    A ledger that was rebuilt says no types, as one of batchrun 0.1 says none. A column of it was
    read field by field, or was of numbers, or what it is now: the cells show which.
    """
    ways = [list(_ways(each)) for each in changes]
    if prod(map(len, ways)) > MOST_TRIED or all(each.remembered for each in changes):
        return changes
    best, found = changes, 0
    for chosen in product(*ways):
        trial = [each for each in chosen if each is not None]
        count = _in_ledger(manifest, trial, ledger)
        if count > found:
            best, found = trial, count
    return best


def _of_weight(
    manifest: Manifest,
    changes: Sequence[TypeChange],
    lost: Lost,
    ledger: Readable,
    *,
    newest: bool,
) -> Iterator[TypeChange]:
    """Yield the changes but for those without a remembered type that drop no cell by themselves.

    In a ledger of more than MOST_CELLS that takes long, and only those with one are yielded.
    """
    few = len(ledger.book.histories) <= MOST_CELLS
    for each in changes:
        others = [one for one in changes if one is not each]
        if each.remembered or (
            few and _effect(manifest, others, ledger, newest=newest).lost.cells < lost.cells
        ):
            yield each


def _ways(change: TypeChange) -> Iterator[TypeChange | None]:
    """Yield what a change may have been; None where it was none."""
    yield change
    if not change.remembered:
        yield None
        if change.was == BY_FIELD and change.now is ColumnType.TEXT:
            yield replace(change, was=ColumnType.NUMBER)


def _in_ledger(manifest: Manifest, changes: Sequence[TypeChange], ledger: Readable) -> int:
    """Count the grid's first cells that the ledger has, by the former types of *changes*."""
    cells = islice(expand(read_as(manifest, _former(changes))), LOOKED_AT)
    try:
        return sum(cell.key in ledger.book.histories for cell in cells)
    except ManifestError:
        return 0


def _effect(
    manifest: Manifest, changes: Sequence[TypeChange], ledger: Readable, *, newest: bool
) -> Effect:
    """Return what becomes of cells for *changes*.

    Edits of a file count as such where its fields show them, or nothing else was edited.
    """
    rewritten: bool | None = False
    if newest and (start := ledger.book.sweep) is not None:
        in_cells = columns_in_cells(manifest)
        remembered = [each for each in changes if each.remembered and each.column in in_cells]
        rewritten = any(each.rewritten for each in remembered)
        if not rewritten and remembered and start.manifest_sha256 == manifest.sha256:
            rewritten = None
    return effect(manifest, _former(changes), ledger, rewritten=rewritten)


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
    say = f"say `{change.was}: [{change.column}]` in `rows`"
    if change.said:
        return f"{say} instead"
    if field is None:
        return say
    mend = f"mend {field.written}:{field.line}"
    return f"{mend}, or {say}" if change.can_be_said else mend
