"""Sweeps that lie beside this one and have its cells already (rule 20 of the contract).

A manifest whose `name` was changed, whose file was renamed or whose `outputs.dir` was moved begins
a new ledger in another folder, and each of its cells would be paid again. So when a ledger begins,
its cells are looked for in the other folders of the same place, and in those of the default one.
A sweep that has the same cells refuses the call. Where only some are the same, they are named.

The others are read by their indexes, 5 seconds at most; what isn't read by then is said. A sweep
with a label is made anew on purpose, and is neither compared nor refused.
"""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from batchrun.base.regular_file import open_regular
from batchrun.base.said import log
from batchrun.base.text import few, money, number_of, usd
from batchrun.commands.call import Call
from batchrun.commands.connection import connected
from batchrun.commands.questions import answered
from batchrun.commands.reusing import NOTHING, Taking, set_aside
from batchrun.commands.run_options import command_in
from batchrun.commands.target import name_recover
from batchrun.errors import FolderError, MadeBesideError, ManifestError
from batchrun.ledger.book import Book
from batchrun.ledger.history import GOOD, OPEN
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.result_files import MANIFEST
from batchrun.sweep.identity import Identity, read_identity
from batchrun.sweep.location import LEDGER, output_folder

PATIENCE: Final = 5.0
"""Seconds that the reading of all other sweeps may take."""

EACH: Final = 1000
"""Rows between two looks at the clock."""


class Beside(Struct, frozen=True, kw_only=True):
    """A sweep that has cells of this manifest: how many, how many of them succeeded, their cost.

    *same*: it has all of them, and its manifest names no other one. *whole*: all was read in time.
    """

    folder: Path
    identity: Identity
    cells: int
    succeeded: int
    cost: Decimal
    same: bool = False
    whole: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "sweep": self.identity.sweep,
            "name": self.identity.name,
            "folder": str(self.folder),
            "cells": self.cells,
            "succeeded": self.succeeded,
            "cost": money(self.cost),
            "same": self.same,
        }

    def described(self) -> str:
        """Return what is known of it, as a message has it."""
        of = f"{number_of(self.cells, 'cell')} of this manifest"
        done = f"{self.succeeded} succeeded, cost {usd(self.cost)} USD"
        return f"the sweep {self.identity.name!r} in {self.folder} has {of}: {done}"

    def note(self) -> str:
        """Return the line for a sweep that refuses no call."""
        if not self.whole:
            return (
                f"the sweep in {self.folder} can't be read, or not within {PATIENCE:g} s: cells "
                "that it has are paid again"
            )
        reuse = f"`--reuse {shlex.quote(str(self.folder))}`"
        return f"{self.described()}; they are paid again, unless {reuse} is given"


def find_beside(
    call: Call,
    book: Book,
    taking: Taking = NOTHING,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Sequence[Beside]:
    """Return the sweeps with cells that this call would pay for, where its ledger begins.

    A ledger that was recovered begins, too: the service can't show what it had taken over.
    """
    if call.place.label is not None or (book.asked and not book.recovered):
        return ()
    aside = {*set_aside(call, book), *(source.identity.sweep for source in taking.sources)}
    others = [each for each in _others(call) if each[1].sweep not in aside]
    if not others:
        return ()
    ours = _Ours()
    for cell in expand(call.manifest):
        ours.all.add(cell.key)
        if book.history(cell.key).state not in GOOD | OPEN and cell.key not in taking.keys:
            ours.left.add(cell.key)
    if not len(ours.left):
        return ()
    end = clock() + PATIENCE

    def late() -> bool:
        return clock() >= end

    found = (_compared(folder, identity, ours, late) for folder, identity in others)
    return [each for each in found if each.cells or not each.whole]


def _others(call: Call) -> Iterator[tuple[Path, Identity]]:
    """Yield the folders of other sweeps of this endpoint, without a label, that have a ledger."""
    default = output_folder(call.manifest.name, call.manifest.path, endpoint=call.endpoint)
    places = dict.fromkeys(each.parent.resolve() for each in (call.folder, default))
    for folder in (folder for place in places for folder in _folders(place)):
        if folder == call.folder.resolve() or folder.name.startswith("@"):
            continue
        try:
            identity = read_identity(folder) if (folder / LEDGER).exists() else None
        except FolderError:  # it can't be read: nothing is known of it
            continue
        if identity is not None and (identity.endpoint, identity.label) == (call.endpoint, None):
            yield folder, identity


def _folders(place: Path) -> Sequence[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return ()


class _Ours:
    """The manifest's cells, and those that are *left* to be paid for."""

    def __init__(self) -> None:
        self.all, self.left = KeyIndex(), KeyIndex()


def _compared(folder: Path, identity: Identity, ours: _Ours, late: Callable[[], bool]) -> Beside:
    cells = named = there = succeeded = 0
    cost, whole = Decimal(0), False
    try:
        from batchrun.ledger.index import open_index

        with open_regular(folder / LEDGER) as ledger, open_index(folder, patience=1.0) as index:
            whole = not late() and index.catch_up(ledger.fileno(), until=late)
            for key, state in _while(index.states(), late) if whole else ():
                there += 1
                named += key in ours.all
                cells += key in ours.left
                succeeded += key in ours.left and state in GOOD
            for key, spent in _while(index.costs(), late) if cells else ():
                cost += spent if key in ours.left else 0
    except (OSError, ValueError):  # it can't be indexed, or is broken: it is said as not compared
        whole = False
    whole = whole and not late()
    equal = named == there == len(ours.all)
    return Beside(
        folder=folder,
        identity=identity,
        cells=cells,
        succeeded=succeeded,
        cost=cost,
        whole=whole,
        same=cells > 0 and whole and (equal or _named(folder, identity, ours.all)),
    )


def _while(rows: Iterator[Any], late: Callable[[], bool]) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if number % EACH == 0 and late():
            return
        yield row


def _named(folder: Path, identity: Identity, ours: KeyIndex) -> bool:
    """Say whether the manifest of the sweep's last start names the same cells.

    A sweep that was stopped has some of its cells alone, and one that was edited has others, too.
    """
    if identity.manifest is None:
        return False
    try:
        with open_regular(folder / MANIFEST) as file:
            text = file.read()
        return _has_all(read_manifest(text, Path(identity.manifest), os.environ, kept=True), ours)
    except (OSError, ManifestError):
        return False


def _has_all(manifest: Manifest, ours: KeyIndex) -> bool:
    seen = KeyIndex()
    for cell in expand(manifest):
        if cell.key not in ours:
            return False
        seen.add(cell.key)
    return len(seen) == len(ours)


def refusal(beside: Beside, call: Call, command: str) -> MadeBesideError:
    """Return the error that names a sweep with the same cells, and the ways on."""
    identity, here = beside.identity, call.folder.resolve().parent
    again = []
    if identity.name != call.manifest.name:
        again.append(f"`name: {identity.name}` in the manifest")
    if beside.folder.parent != here:
        again.append(f"`{elsewhere(command, _base(beside.folder))}`")
    if not again:
        again.append(f"move {call.folder} away, and {beside.folder} in its place")
    error = MadeBesideError(
        f"this sweep would be made a second time: {beside.described()}",
        folder=str(beside.folder),
        sweep=identity.sweep,
        again=" and ".join(again),
    )
    name_recover(error, "", again=command)
    return error


def elsewhere(command: str, outputs: Path) -> str:
    """Return *command* with another place for the folders of sweeps."""
    kept = command_in(shlex.split(command)[1:], without={"--outputs"})
    return f"{kept} {shlex.join(['--outputs', str(outputs)])}"


def _base(folder: Path) -> Path:
    """Return the place of many sweeps that *folder* is in; an endpoint has its own folder there."""
    place = folder.parent
    return place.parent if place.name.startswith("@") else place


def refuse(
    call: Call, book: Book, service: tuple[str, str], command: str, taking: Taking = NOTHING
) -> None:
    """Raise MadeBesideError where a sweep beside this one has the same cells; name the others.

    *service* is the URL and the key: a sweep of another organisation is no matter. What is paid
    again is said under `--quiet`, too.
    """
    found = find_beside(call, book, taking)
    if not found:
        return
    if any(each.identity.organisation for each in found):
        ours = answered(_organisation, call, *service)
        found = [each for each in found if ours in {None, each.identity.organisation or ours}]
    for each in found:
        if each.same:
            raise refusal(each, call, command)
    for line in few(each.note() for each in found):
        log(line, sys.stderr)


async def _organisation(call: Call, url: str, key: str) -> str | None:
    async with connected(url, key, call.settings, log=lambda _: None) as client:
        return await client.account()
