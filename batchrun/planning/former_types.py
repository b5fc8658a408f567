"""The types that columns had when cells were paid for: as starts remember them, else guessed.

Each start writes down the types of its columns, so each is one way in which cells were read. A
column that a start says nothing of is new, or has another name, or the start knew no types: it was
of batchrun 0.1, which took each field by itself, or of a ledger that was rebuilt, whose cells may
be of any start. Each type that makes a difference is tried for such a column. A guess does no harm:
what counts is a paid cell that comes of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from typing import Final

from msgspec import Struct

from batchrun.ledger.book import Book
from batchrun.manifest.data.column_types import BY_FIELD, Column, ColumnType
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import tables_of
from batchrun.planning.dropped_cells import Standing

MOST_GUESSED: Final = 243
"""Guesses for one start that are looked at."""

MOST_MADE: Final = 200_000
"""Cells that are made for guesses that no cell among the first ones speaks for."""

_KNOWN: Final = frozenset(ColumnType)


class Reading(Struct, frozen=True):
    """The *former* types of those columns that had another one than now.

    *remembered* are those of them that a start wrote down.
    """

    former: Mapping[str, str]
    remembered: frozenset[str]


def starts_of(book: Book) -> Sequence[Mapping[str, str]]:
    """Return the types of each start, the newest first; none where a start knew none."""
    newest = (book.sweep.types if book.sweep is not None else None) or {}
    found = [newest, *(types for types in reversed(book.types) if types != newest)]
    return [{n: kind for n, kind in types.items() if kind in _KNOWN} for types in found]


def remembered(manifest: Manifest, types: Mapping[str, str]) -> Reading:
    """Return what a start with these *types* remembers to have been otherwise."""
    former = {
        name: types[name] for name, now, _ in _columns(manifest) if types.get(name, now) != now
    }
    return Reading(former, frozenset(former))


def has_guesses(manifest: Manifest, starts: Sequence[Mapping[str, str]]) -> bool:
    """Say whether a column may have been otherwise that one of the *starts* says nothing of."""
    return any(_guesses(manifest, types) for types in starts)


def guessed(
    manifest: Manifest, starts: Sequence[Mapping[str, str]], standing: Standing
) -> Iterator[Reading]:
    """Yield what the columns may have been that the *starts* say nothing of.

    Those come first by which most of the first cells are paid ones, the simplest of them first.
    Then comes batchrun 0.1's way for all of them, and of a large grid not many more.
    """
    room = MOST_MADE
    tried: list[Mapping[str, str]] = []
    for types in starts:
        sure = remembered(manifest, types)
        guesses = [{**sure.former, **each} for each in _guesses(manifest, types)]
        hits = {n: standing.hits(each) for n, each in enumerate(guesses) if each not in tried}
        tried += guesses
        for n in sorted(hits, key=lambda n: (-hits[n], len(guesses[n]) if hits[n] else n)):
            room -= 0 if hits[n] else 2 * len(standing.present)
            if hits[n] or n == 0 or room >= 0:
                yield Reading(guesses[n], sure.remembered)


def _guesses(manifest: Manifest, types: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    """Return former types of the columns that have none in *types*, those of few columns first.

    A start that knew types took no field by itself, so that is the last to be thought of there.
    """
    unknown = [each for each in _columns(manifest) if each[0] not in types]
    by_field = {name: column.alone for name, now, column in unknown if column.alone != now}
    ways = {name: others for name, now, column in unknown if (others := column.others(now))}
    if types:
        ways = {name: sorted(each, key=BY_FIELD.__eq__) for name, each in ways.items()}
    found = [each for each in islice(_combined(ways), MOST_GUESSED) if each != by_field]
    if by_field:
        found.insert(len(found) if types else 0, by_field)
    return found


def _combined(ways: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    for number in range(1, len(ways) + 1):
        for names in combinations(ways, number):
            for kinds in product(*map(ways.__getitem__, names)):
                yield dict(zip(names, kinds, strict=True))


def _columns(manifest: Manifest) -> Iterator[tuple[str, ColumnType, Column]]:
    """Yield the columns of CSV files that aren't empty, each with its type of now."""
    for table in tables_of(manifest):
        for name, column in table.columns.items():
            if (now := table.of(name)) is not None:
                yield name, now, column
