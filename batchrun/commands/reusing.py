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

import hashlib
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR, is_loopback
from batchrun.base.output_store import OutputStore
from batchrun.base.text import number_of
from batchrun.commands.call import Call
from batchrun.engine.names import Names
from batchrun.errors import BatchrunError, LedgerError, UsageError
from batchrun.ledger.book import Book
from batchrun.ledger.file import Ledger, check_sweep
from batchrun.ledger.history import GOOD, NOWHERE, OPEN, History, State
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import REUSING, Finished, Reused, Saved, SavedFile
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.identity import IDENTITY, Identity, ReusedFrom, note_reuse, read_identity
from batchrun.sweep.location import LEDGER

AT_ONCE: Final = 100
"""Cells whose lines are written together."""


class There(StrEnum):
    """How a paid cell stands in another sweep, as a message has it."""

    SAVED = "saved"
    OPEN = "not ended yet"
    UNSAVED = "not saved"
    CHANGED = "changed since it was saved"
    PARTLY = "only in part a success"


class Source:
    """Another sweep, whose results may be taken."""

    def __init__(self, folder: Path, identity: Identity, reader: Reader) -> None:
        self.folder = folder
        self.identity = identity
        self._reader = reader

    def standing(self, key: str) -> There | None:
        """Return how a cell stands that is paid there, by its files' content; None for others."""
        history = self._reader.book.histories.find(key)
        if history is None or history.state not in GOOD | OPEN:
            return None
        if history.state in OPEN:
            return There.OPEN
        if history.state is State.PARTIAL_SUCCEEDED:
            return There.PARTLY
        if not history.saved or key in self._reader.book.files.lost:
            return There.UNSAVED
        whole = all(_holds(self.folder / file.path, file) for file in self.saved(key).files)
        return There.SAVED if whole else There.CHANGED

    def knows(self, key: str) -> bool:
        """Say whether a cell has succeeded there."""
        return self._reader.book.history(key).state in GOOD

    def saved(self, key: str) -> Saved | Reused:
        """Return the line that says what is saved of a cell that it has."""
        record = self._reader.read(self._history(key).saved_line)
        assert isinstance(record, Saved | Reused)
        return record

    def origin(self, key: str) -> str:
        """Return the sweep whose run a cell has that is saved there."""
        saved = self._original(key)
        return saved.sweep if saved is not None else self.identity.sweep

    def cost(self, key: str) -> Decimal | None:
        """Return what the cell's run has cost."""
        line = self._history(key).ended_line
        if line == NOWHERE:
            original = self._original(key)
            return None if original is None else original.cost
        ended = self._reader.read(line)
        return ended.cost if isinstance(ended, Finished) else None

    def _original(self, key: str) -> Reused | None:
        saved = self.saved(key)
        return saved if isinstance(saved, Reused) else None

    def _history(self, key: str) -> History:
        return self._reader.book.history(key)


@contextmanager
def opened_sources(folders: Collection[Path], call: Call) -> Iterator[Sequence[Source]]:
    """Read the sweeps in *folders*; UsageError where *call* can't take anything over from one."""
    with ExitStack() as stack:
        yield [stack.enter_context(opened_source(folder, call)) for folder in folders]


@contextmanager
def opened_source(folder: Path, call: Call) -> Iterator[Source]:
    """Read the sweep in *folder*; UsageError where *call* can't take anything over from there."""
    ledger = folder / LEDGER
    identity = read_identity(folder) if ledger.exists() else None
    if identity is None:
        raise UsageError(
            f"`--reuse {folder}`: no sweep is there; name a folder with a {LEDGER} and a sweep.json"
        )
    if folder.resolve() == call.folder.resolve():
        raise UsageError(f"`--reuse {folder}` is this sweep's own folder; name another sweep's")
    if identity.endpoint != call.endpoint and _makes_nothing_real(identity.endpoint):
        raise UsageError(
            f"`--reuse {folder}`: what the simulator made at {identity.endpoint} is nothing real, "
            f"and is not reused at {call.endpoint}"
        )
    with open_reader(ledger) as reader:
        check_sweep(reader.book, identity.sweep, ledger)
        forget_missing(reader.book, ledger)
        yield Source(folder, identity, reader)


def _makes_nothing_real(endpoint: str) -> bool:
    """Say whether an endpoint is the simulator, or of this machine, where only it is served."""
    return endpoint == SIMULATOR or is_loopback(urlsplit(endpoint).hostname or "")


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


class Taken(Struct):
    """How many cells were taken over, and of how many the files were put back."""

    cells: int = 0
    back: int = 0
    stopped: bool = False

    def said(self, source: Source) -> str:
        said = f"took over {number_of(self.cells, 'cell')} from {source.folder}, at no cost"
        if self.back:
            said += f"; put back the files of {number_of(self.back, 'cell')}"
        return f"{said}; stopped amid it, nothing is sent" if self.stopped else said


async def take_over(
    call: Call, ledger: Ledger, source: Source, received: Sequence[str] = ()
) -> Taken:
    """Take over what this manifest's cells have there; it is durable at the end.

    A signal in *received* ends it between two cells, and leaves it undone.
    """
    taking = _Taking(call, ledger, source)
    await taking.names.load(others=False)  # a call that was stopped amid this may have left some
    seen = KeyIndex()
    for cell in expand(call.manifest):
        if not (seen.add(cell.key)[1] and wants(ledger.book, cell.key)):
            continue
        if received:
            taking.taken.stopped = True
            break
        if source.standing(cell.key) is There.SAVED:
            await taking.take(cell)
    await taking.end()
    return taking.taken


class _Taking:
    """One source's results on their way into this folder."""

    def __init__(self, call: Call, ledger: Ledger, source: Source) -> None:
        self.taken = Taken()
        self.names = Names(call.manifest, ledger)
        self._folder = call.folder
        self._ledger = ledger
        self._source = source
        self._store = _Store(OutputStore(call.folder), source.folder)
        self._lines: list[Reused | Saved] = []
        self._of: set[str] = set()
        self._begun = False

    async def take(self, cell: Cell) -> None:
        """Take one cell over that is saved there, or put its files back."""
        book = self._ledger.book
        missing, saved = book.files.missing.get(cell.key), self._source.saved(cell.key)
        if missing is not None:
            self._put_back(cell, missing, saved.files)
        else:
            if not self._begun:
                await self._begin()
            name = self.names.of(cell, book.history(cell.key))
            files = self._store.take(name, cell, saved.files)
            if files is not None:
                line = _line(cell, saved, self._source, files)
                self._lines.append(line)
                self._of.add(line.sweep)
                self.taken.cells += 1
        if len(self._lines) == AT_ONCE:
            await self._write()

    async def end(self) -> None:
        """Write the rest, and that all of it is done unless it was stopped."""
        await self._write()
        known = self._known()
        if known is not None and not self.taken.stopped:
            of = {*known.of, *self._of} & self._ledger.book.reused
            note_reuse(self._folder, replace(known, of=tuple(sorted(of)), done=True))

    async def _begin(self) -> None:
        """Write down, before the first file is here, that results are being taken over.

        The ledger says so by its format: a batchrun that doesn't know `reused` lines reads no
        further, and can't pay for their cells.
        """
        self._begun = True
        folder = str(self._source.folder.absolute())
        known = self._known() or ReusedFrom(folder=folder, sweep=self._source.identity.sweep)
        note_reuse(self._folder, replace(known, folder=folder, done=False))
        line = self._ledger.book.sweep
        if line is not None and line.format < REUSING:
            await self._ledger.append(replace(line, format=REUSING, group=0))

    def _known(self) -> ReusedFrom | None:
        identity = read_identity(self._folder)
        reused = () if identity is None else identity.reused
        sweep = self._source.identity.sweep
        return next((each for each in reused if each.sweep == sweep), None)

    async def _write(self) -> None:
        lines, self._lines = self._lines, []
        await self._ledger.append(*lines)

    def _put_back(self, cell: Cell, missing: int, there: Sequence[SavedFile]) -> None:
        """Put files back that are gone here, where the other sweep has the same ones."""
        line = self._ledger.read(missing)
        assert isinstance(line, Reused | Saved)
        if self._store.put_back(line.files, there):
            places = line.places if isinstance(line, Saved) else ()
            files = tuple(line.files)
            self._ledger.book.files.missing.pop(cell.key)
            self._lines.append(Saved(cell=cell.key, run_id=line.run_id, files=files, places=places))
            self.taken.back += 1


def _line(
    cell: Cell, saved: Saved | Reused, source: Source, files: tuple[SavedFile, ...]
) -> Reused:
    return Reused(
        cell=cell.key,
        model=cell.model,
        alias=cell.alias,
        sweep=source.origin(cell.key),
        run_id=saved.run_id,
        cost=source.cost(cell.key),
        files=files,
    )


class _Store:
    """Puts files of another folder into this one, under the names that they would have here."""

    def __init__(self, store: OutputStore, source: Path) -> None:
        self._store = store
        self._source = source

    def take(
        self, name: str, cell: Cell, files: tuple[SavedFile, ...]
    ) -> tuple[SavedFile, ...] | None:
        """Return the files as they are here; None where one isn't what the run made."""
        if not all(_holds(self._source / file.path, file) for file in files):
            return None
        paths = _paths(name, files)
        if not all(map(self._is_free, paths, files)):
            paths = _paths(f"{name}-{cell.short}", files)
        for path, file in zip(paths, files, strict=True):
            if not _holds(self._store.path(path), file):  # an earlier call may have been killed
                self._store.take(path, self._source / file.path)
        return tuple(replace(file, path=path) for path, file in zip(paths, files, strict=True))

    def put_back(self, files: Sequence[SavedFile], there: Sequence[SavedFile]) -> bool:
        """Put those of *files* back that are gone; False where they aren't those that are there."""
        sources = {file.sha256: self._source / file.path for file in there}
        gone = [file for file in files if not self._store.exists(file.path)]
        if not all(file.sha256 in sources for file in gone):
            return False
        for file in gone:
            self._store.take(file.path, sources[file.sha256])
        return True

    def _is_free(self, path: str, file: SavedFile) -> bool:
        return not self._store.exists(path) or _holds(self._store.path(path), file)


def _paths(name: str, files: tuple[SavedFile, ...]) -> list[str]:
    """Return where files are saved under a name, as the downloader has it."""
    ends = [f"-{number}" for number in range(1, len(files) + 1)] if len(files) > 1 else [""]
    return [
        f"files/{name}{end}{PurePosixPath(file.path).suffix}"
        for end, file in zip(ends, files, strict=False)
    ]


def _holds(path: Path, file: SavedFile) -> bool:
    """Say whether the file at *path* is what was saved."""
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


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
