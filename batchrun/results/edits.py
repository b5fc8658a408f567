"""What was edited since the last start, and what of the ledger is paid and no longer named.

A prompt that was edited by one space makes each of its cells new, and each is paid again. So a plan
says it first: how many paid cells the manifest lost, and which values came in the place of which.

The values at the last start are those of the manifest that was kept then. Where that can't be read
any more, or a data file beside it has changed, they are those of the inputs that the lost cells
were sent with. Of a million values only their digests are held.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import listed, money, number_of, usd
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Intent
from batchrun.manifest.expressions.expression import Constant, Text
from batchrun.manifest.grid.expand import expand, layouts
from batchrun.manifest.manifest import Grid, Manifest, Model
from batchrun.manifest.sources import unvalued
from batchrun.manifest.yaml.document import Node
from batchrun.results.orphans import Lost, lost_cells
from batchrun.results.value_changes import Change, File, Template, Values, compare
from batchrun.results.value_places import place_of, place_of_sent

NO_VARIABLES: Final[Mapping[str, str]] = {}

MOST_READ: Final = 100_000
"""Lost cells whose inputs are read where the manifest of the last start is of no use."""


class Edits(Struct, frozen=True, kw_only=True):
    """*files* are data files that have changed since the last start.

    *before* says when, or where, the values were those that are gone. *earlier* are the cells among
    *lost* that the last start didn't name either, as far as that is known.
    """

    lost: Lost
    earlier: Lost = Lost()
    changes: Sequence[Change] = ()
    files: Sequence[str] = ()
    before: str = "at the last start"

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {
            "paid_cells": self.lost.cells,
            "cost": money(self.lost.cost),
            "files": list(self.files),
            "axes": [
                {
                    "axis": each.axis,
                    "dropped": each.dropped,
                    "was": list(each.was),
                    "added": each.added,
                    "now": list(each.now),
                    "place": each.place,
                }
                for each in self.changes
            ],
        }


def changed_files(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> Sequence[str]:
    """Return the files of both starts whose content differs."""
    return [path for path, digest in now.items() if before.get(path, digest) != digest]


def by_manifest(manifest: Manifest, kept: Manifest) -> Sequence[Change]:
    """Return what differs from the manifest that was *kept*; ManifestError where it can't be had.

    An axis whose values follow from another one that changed is left out.
    """
    old, new = (partial(_as_written, each) for each in (kept, manifest))
    changes = compare(old, new, partial(place_of, manifest))
    changed, followed = {each.axis for each in changes}, _followed(manifest)
    return [each for each in changes if changed.isdisjoint(followed.get(each.axis, ()))]


def lost_earlier(
    manifest: Manifest, kept: Manifest, ledger: Readable, orphans: Iterable[str]
) -> Lost:
    """Return the paid *orphans* that the *kept* manifest didn't name either.

    Of a sample it isn't known: what was drawn then may have been drawn otherwise. Nor is it where
    the kept manifest names no orphan: its keys may be others by now.
    """
    every = set(orphans)
    if any(grid.sample for grid in kept.grids):
        return Lost()
    former = every.difference(cell.key for cell in expand(replace(kept, redone=manifest.redone)))
    return lost_cells(ledger, former) if former != every else Lost()


def by_inputs(
    manifest: Manifest, ledger: Readable, orphans: Callable[[], Iterable[str]]
) -> Sequence[Change]:
    """Return what differs from what was sent: for the *orphans*, and for cells that are named."""
    files = {each.reference: File(sha) for sha, each in ledger.book.uploads.items()}

    def old() -> Iterator[Values]:
        for key in islice(orphans(), MOST_READ):
            yield _sent(ledger, key, files)
        yield from _inputs(manifest, ledger.book.histories)

    return compare(old, partial(_inputs, manifest), partial(place_of_sent, manifest))


def _as_written(manifest: Manifest) -> Iterator[Values]:
    """Yield the values of each cell by name; the text of a template is its own, not what it makes.

    So an edit of it is one change, and one of a value that it uses is that value's alone.
    """
    for grid in manifest.grids:
        variables = manifest.sources.variables
        templates = {model.alias: _templates(grid, model, variables) for model in grid.models}
        for cell in expand(replace(manifest, grids=(grid,))):
            values = {**cell.values, **templates[cell.alias]}
            yield {"model": cell.model, **values, "replicate": cell.replicate}


def _templates(grid: Grid, model: Model, variables: Mapping[str, str] = NO_VARIABLES) -> Values:
    """Return the texts with references by name; *variables* are shown by theirs, not by value."""
    columns = {name for table in grid.tables for name in table.columns}
    found = {}
    for name, definition in {**grid.names, **model.inputs}.items():
        body = definition.body
        if name in columns:
            continue
        if isinstance(body, Text) and isinstance(body.node, Node):
            text = "".join(map(str, body.parts))
            found[name] = Template(unvalued(text, variables), f"line {body.node.line}")
        elif isinstance(body, Constant) and body.value in variables.values():
            found[name] = Template(unvalued(body.value, variables), None)
    return found


def _inputs(manifest: Manifest, known: Container[str] | None = None) -> Iterator[Values]:
    """Yield the inputs of the manifest's cells, or of the *known* ones among them.

    They are those of the keys: a description makes no edit.
    """
    for cell in expand(manifest):
        if known is None or cell.key in known:
            yield {"model": cell.model, **cell.keyed_input}


def _sent(ledger: Readable, key: str, files: Mapping[str, File]) -> Values:
    """Return what a cell of the ledger was sent with, nothing where no line has it."""
    history = ledger.book.history(key)
    if history.input_line == NOWHERE:
        return {}
    intent = ledger.read(history.input_line)
    assert isinstance(intent, Intent)
    return {"model": intent.model, **_with_files(intent.keyed_input, files)}


def _with_files(value: Any, files: Mapping[str, File]) -> Any:
    """Return a sent value with what was uploaded in the place of where it was put."""
    if isinstance(value, Mapping):
        return {name: _with_files(below, files) for name, below in value.items()}
    if isinstance(value, list):
        return [_with_files(below, files) for below in value]
    return files[value] if type(value) is str and value in files else value


def _followed(manifest: Manifest) -> dict[str, set[str]]:
    """Return the names that the values of each name follow from, directly or not.

    The text of a template follows from none.
    """
    found: dict[str, set[str]] = {}
    for grid in manifest.grids:
        for layout in layouts(grid):
            for name in layout.uses.keys() - _templates(grid, layout.model).keys():
                found.setdefault(name, set()).update(layout.needs([name]) - {name})
    return found


# What people read.


def lines(edits: Edits) -> Iterator[str]:
    """Yield what a plan says of them."""
    changes = (_worded(each, edits.before) for each in edits.changes)
    what = [*changes, *(f"`{name}` has changed" for name in edits.files)]
    said = f": {listed(what, by='; ')}" if what else ""
    lost, earlier = edits.lost.without(edits.earlier), edits.earlier
    if lost.cells:
        are = "is" if lost.cells == 1 else "are"
        yield f"{_paid(lost)} {are} no longer in the manifest{said}"
    elif what:
        yield f"new since the last start{said}"
    if earlier.cells:
        was = "was" if earlier.cells == 1 else "were"
        yield f"{_paid(earlier)} {was} dropped before the last start"


def _paid(lost: Lost) -> str:
    return f"{number_of(lost.cells, 'paid cell')} ({usd(lost.cost)} USD)"


def _worded(change: Change, before: str) -> str:
    place = "" if change.place is None else f" ({change.place})"
    if change.dropped == change.added == 1:
        return f"`{change.axis}` was {change.was[0]} {before}, now {change.now[0]}{place}"
    parts = []
    if change.dropped:
        parts.append(f"no longer has {_listed(change.was, change.dropped)}")
    if change.added:
        parts.append(f"now has {_listed(change.now, change.added)}{place}")
    return f"`{change.axis}` {', '.join(parts)}"


def _listed(shown: Sequence[str], number: int) -> str:
    more = f" and {number - len(shown)} more" if number > len(shown) else ""
    return ", ".join(shown) + more
