"""`--reuse FOLDER`: results of another sweep are taken over, and not paid again (rule 21).

A cell that has succeeded there and is saved there is taken: its files are linked or copied into
this folder, and a `reused` line says which sweep and which run they are of, and what that has cost
there; here it costs nothing. The simulator's results are never taken over to another endpoint.

**`--reuse` is no leave to pay for the rest.** A cell that is paid there and can't be taken, since
it is open, not saved, changed, or only in part a success, would be paid a second time. So such a
call is refused before anything is written, unless `--new-sweep` sets that sweep aside; and so is
one that would take nothing.

The service knows these runs as the other sweep's: a lost ledger can't be rebuilt with them. So
`sweep.json` names the sweeps, each before its first cell is taken, and a ledger that lacks what was
taken over is not gone on with.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from batchrun.base.text import number_of
from batchrun.commands.call import Call
from batchrun.commands.reuse_sources import Source, There
from batchrun.errors import BatchrunError, LedgerError, UsageError
from batchrun.ledger.book import Book
from batchrun.ledger.history import GOOD, OPEN
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.identity import IDENTITY, ReusedFrom, read_identity


class Taking(Struct):
    """What a call takes over from its *sources*: the *keys* of cells, and the sweeps they are *of*.

    *cells* and *back* count by source: cells to take, and cells whose files here are gone and are
    put back. *here* are sources with a cell that is here already, *unfinished* how the cells stand
    that are paid there and can't be taken.
    """

    sources: Sequence[Source] = ()
    keys: KeyIndex = field(default_factory=KeyIndex)
    of: set[str] = field(default_factory=set)
    cells: Counter[Path] = field(default_factory=Counter)
    back: Counter[Path] = field(default_factory=Counter)
    here: set[Path] = field(default_factory=set)
    unfinished: dict[Path, Counter[There]] = field(default_factory=dict)

    def as_dicts(self) -> tuple[dict[str, object], ...] | None:
        """Return it for JSON, None where nothing is to be taken over."""
        return (
            tuple(
                {
                    "folder": str(each.folder),
                    "sweep": each.identity.sweep,
                    "cells": self.cells[each.folder],
                    "put_back": self.back[each.folder],
                    "not_taken": self.unfinished.get(each.folder, Counter()).total(),
                }
                for each in self.sources
            )
            or None
        )


NOTHING: Final = Taking()


def survey(call: Call, book: Book, sources: Sequence[Source]) -> Taking:
    """Return what *call* would take over, by the ledger as it is and the files' content."""
    found, seen = Taking(sources), KeyIndex()
    for cell in expand(call.manifest) if sources else ():
        if seen.add(cell.key)[1]:
            _look(found, book, cell.key)
    return found


def _look(found: Taking, book: Book, key: str) -> None:
    if not wants(book, key):
        found.here |= {each.folder for each in found.sources if each.knows(key)}
        return
    stands = [(each, standing) for each in found.sources if (standing := each.standing(key))]
    saved = [source for source, standing in stands if standing is There.SAVED]
    if key in book.files.missing:
        for source in saved[:1]:
            found.back[source.folder] += 1
        found.here |= {each.folder for each, _ in stands}
    elif saved:
        found.keys.add(key)
        found.of.add(saved[0].origin(key))
        found.cells[saved[0].folder] += 1
        found.here |= {each.folder for each in saved}
    elif stands:
        source, standing = stands[0]
        found.unfinished.setdefault(source.folder, Counter())[standing] += 1


def wants(book: Book, key: str) -> bool:
    """Say whether a cell could do with another sweep's result."""
    return book.history(key).state not in GOOD | OPEN or key in book.files.missing


def set_aside(call: Call, book: Book) -> set[str]:
    """Return the sweeps that were set aside: their cells are paid again on purpose."""
    return {*call.settings.set_aside, *(book.sweep.after if book.sweep is not None else ())}


def no_reuse(call: Call, book: Book, taking: Taking, command: str) -> BatchrunError | None:
    """Return why *call* is refused that takes over: it would pay again, or takes nothing."""
    aside = set_aside(call, book)
    for source in taking.sources:
        left = taking.unfinished.get(source.folder)
        if left and source.identity.sweep not in aside:
            return _unfinished(source, left, command)
    owed = {each.sweep for each in _owed(call.folder, book)}
    for source in taking.sources:
        if source.folder not in taking.here and source.identity.sweep not in owed:
            return UsageError(
                f"`--reuse {source.folder}` takes over 0 cells: no cell of this manifest has "
                "succeeded there and is saved there; name another folder"
            )
    return None


def _unfinished(source: Source, left: Counter[There], command: str) -> LedgerError:
    counts = ", ".join(f"{number} {standing}" for standing, number in sorted(left.items()))
    name, sweep = source.identity.name, source.identity.sweep
    kept = source.folder / "manifest.yaml"
    cells = f"{number_of(left.total(), 'cell')} of this manifest"
    said = (
        f"`--reuse {source.folder}`: {cells} can't be taken over, and would be paid a second time"
    )
    ways = [
        f"{said}: {counts}",
        f"to finish them there: go on with the sweep {name!r}, and download ({kept})",
    ]
    if left[There.CHANGED]:
        ways.append("files that were changed: put them back, or delete them to have them fetched")
    again = f"{command} --reuse {shlex.quote(str(source.folder))} --new-sweep {sweep}"
    return LedgerError("\n  ".join([*ways, f"to pay for these cells again: `{again}`"]))


def _owed(folder: Path, book: Book) -> Sequence[ReusedFrom]:
    """Return the sweeps of which the ledger lacks what was taken over from them."""
    identity = read_identity(folder)
    reused = () if identity is None else identity.reused
    return [each for each in reused if not each.done or not book.reused.issuperset(each.of)]


def lost_reuse(folder: Path, book: Book, command: str, taking: Taking = NOTHING) -> str | None:
    """Return what to say where the ledger lacks what was taken over once; None where it doesn't.

    *command* goes on with the sweep; what it is *taking* over is no more owed.
    """
    named = {each.identity.sweep for each in taking.sources}
    owed = _owed(folder, book)
    if all(each.sweep in named for each in owed):
        return None
    stopped = not all(each.done for each in owed)
    why = "the service can't show them"
    if stopped:
        why = "not all of it was taken over: a call was stopped amid it"
    folders = [f"--reuse {shlex.quote(each.folder)}" for each in owed]
    return (
        "the ledger doesn't know all results that this sweep takes over from another one, and "
        f"{why}; to take them over: "
        f"`{' '.join([command, *folders])}`"
    )


def check_reused(call: Call, book: Book, command: str, taking: Taking = NOTHING) -> None:
    """Raise LedgerError where the ledger lacks what was taken over once: it would be paid for."""
    lost = lost_reuse(call.folder, book, command, taking)
    if lost is not None:
        raise LedgerError(f"{lost}; to pay for them: take `reused` out of {call.folder / IDENTITY}")
