"""Which rows share a run, where several of the grid's combinations come to one cell.

A cell is known by the values that it is sent with: `1000` and `1000.0` are one value in a column of
numbers, and so are `TRUE` and `true` in one of booleans. Two rows that differ in nothing else are
one cell, which their author may not mean. So both are named, and what each of them has.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from batchrun.base.values import spell
from batchrun.errors import ManifestError
from batchrun.manifest.cells import Cell
from batchrun.manifest.data.column_types import Said
from batchrun.manifest.grid.find import Left, Sent, TooManyError, candidates
from batchrun.manifest.grid.origin import origin_of, places_of
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.matching import token

MOST: Final = 100_000
"""Rows, elements of axes, and cells that are looked at."""

SHOWN: Final = 3
"""Pairs of rows that are named."""


class Pair(Struct, frozen=True):
    """A row that comes to the same cell as an *earlier* one, and fields that they spell otherwise.

    *spelled* has the fields of both, the earlier first, by their columns.
    """

    row: str
    earlier: str
    spelled: dict[str, tuple[str, str]]

    def __str__(self) -> str:
        said = f"{self.row} shares the run of {self.earlier}"
        if not self.spelled:
            return said
        name, (first, second) = next(iter(self.spelled.items()))
        apart = f"; where the model takes text, `text: [{name}]` in `rows` keeps them apart"
        return (
            f"{said}: `{spell(str(second))}` and `{spell(str(first))}` are one value of `{name}`"
            f"{'' if isinstance(first, Said) else apart}"
        )


def shared_rows(manifest: Manifest, folded: Sequence[Cell]) -> list[str]:
    """Return a line for each of some pairs of rows that come to one cell.

    *folded* are cells that another combination came to before. Where fields of rows are spelled
    otherwise, only such pairs are named, else one pair. None is where too much would be looked at.
    """
    found: dict[str, Pair] = {}
    for pair in _pairs(manifest, folded):
        found.setdefault(str(pair), pair)
        if sum(bool(each.spelled) for each in found.values()) == SHOWN:
            break
    spelled = [text for text, pair in found.items() if pair.spelled]
    return spelled or list(found)[:1]


def _pairs(manifest: Manifest, folded: Sequence[Cell]) -> Iterator[Pair]:
    left = Left(MOST)
    try:
        for cell in folded:
            sent = Sent(key=cell.key, model=cell.model, input=cell.keyed_input)
            for other in candidates(manifest, sent, left):
                if other.key == cell.key:
                    yield from _pair(manifest, other, cell)
                    break
    except (TooManyError, ManifestError):  # of a data file that has changed another word is said
        return


def _pair(manifest: Manifest, first: Cell, second: Cell) -> Iterator[Pair]:
    """Yield the rows of two cells, where these differ."""
    origins = [origin_of(manifest, cell.ordinal) for cell in (first, second)]
    if origins[0].rows == origins[1].rows:
        return
    rows, others = (list(map(str, places_of(origin))) for origin in origins)
    both = [(row, other) for row, other in zip(rows, others, strict=False) if row != other]
    if both:
        earlier, row = (" and ".join(each) for each in zip(*both, strict=True))
        yield Pair(row, earlier, _spelled(first, second))


def _spelled(first: Cell, second: Cell) -> dict[str, tuple[str, str]]:
    """Return the fields that differ and are one value, which is sent."""
    sent = set(map(token, second.keyed_input.values()))
    return {
        name: (text, second.texts[name])
        for name, text in first.texts.items()
        if second.texts.get(name, text) != text
        and token(first.values[name]) == token(second.values[name])
        and token(second.values[name]) in sent
    }
