"""`--reuse FOLDER`: results of another sweep are taken over, and not paid again (rule 21).

A cell that has succeeded there and is saved there is taken: its files are linked or copied into
this folder, and a `reused` line says which sweep and which run they are of, and what that has cost
there; here it costs nothing. A file that was changed since it was saved is not what the run made,
and its cell is not taken. The simulator's results are never taken over to another endpoint.

The service knows these runs as the other sweep's: a lost ledger can't be rebuilt with them. So
`sweep.json` names the folders, and a ledger that lacks what was taken over is not gone on with.
"""

import hashlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR, is_loopback
from batchrun.base.output_store import OutputStore
from batchrun.base.text import number_of
from batchrun.commands.call import Call
from batchrun.engine.names import Names
from batchrun.errors import LedgerError, UsageError
from batchrun.ledger.book import Book
from batchrun.ledger.file import Ledger, check_sweep
from batchrun.ledger.history import GOOD, NOWHERE, OPEN, History, State
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import Finished, Reused, Saved, SavedFile
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.identity import IDENTITY, Identity, note_reuse, read_identity
from batchrun.sweep.location import LEDGER

AT_ONCE: Final = 100
"""Cells whose lines are written together."""


class Source:
    """Another sweep, whose results may be taken."""

    def __init__(self, folder: Path, identity: Identity, reader: Reader) -> None:
        self.folder = folder
        self.identity = identity
        self._reader = reader

    def has(self, key: str) -> bool:
        """Say whether a cell has succeeded there and is saved there, with all its files."""
        history = self._reader.book.histories.find(key)
        if history is None or key in self._reader.book.files.lost:
            return False
        return history.state is State.SUCCEEDED and history.saved

    def saved(self, key: str) -> Saved | Reused:
        """Return the line that says what is saved of a cell that it has."""
        record = self._reader.read(self._history(key).saved_line)
        assert isinstance(record, Saved | Reused)
        return record

    def cost(self, key: str) -> Decimal | None:
        """Return what the cell's run has cost there."""
        line = self._history(key).ended_line
        if line == NOWHERE:
            kept = self.saved(key)
            return kept.cost if isinstance(kept, Reused) else None
        ended = self._reader.read(line)
        return ended.cost if isinstance(ended, Finished) else None

    def _history(self, key: str) -> History:
        return self._reader.book.history(key)


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


def wants(book: Book, key: str) -> bool:
    """Say whether a cell could do with another sweep's result."""
    return book.history(key).state not in GOOD | OPEN


def takeable(call: Call, book: Book, source: Source) -> Iterator[Cell]:
    """Yield the cells, each once, whose results can be taken over from *source*."""
    seen = KeyIndex()
    for cell in expand(call.manifest):
        if seen.add(cell.key)[1] and wants(book, cell.key) and source.has(cell.key):
            yield cell


class Taken(Struct):
    """How many cells were taken over, and how many not, since their files were changed."""

    cells: int = 0
    changed: int = 0

    def said(self, source: Source) -> str:
        said = f"took over {number_of(self.cells, 'cell')} from {source.folder}, at no cost"
        if self.changed:
            changed = number_of(self.changed, "other cell")
            said += f"; files of {changed} were changed there since they were saved"
        return said


async def take_over(call: Call, ledger: Ledger, source: Source) -> Taken:
    """Take over what this manifest's cells have there; it is durable at the end."""
    taken, lines = Taken(), list[Reused]()
    store = _Store(OutputStore(call.folder), source.folder)
    names = Names(call.manifest, ledger)
    await names.load(others=False)  # a call that was stopped amid this may have left some
    for cell in takeable(call, ledger.book, source):
        saved = source.saved(cell.key)
        name = names.of(cell, ledger.book.history(cell.key))
        files = store.take(name, cell, saved.files)
        if files is None:
            taken.changed += 1
            continue
        if not taken.cells:
            note_reuse(call.folder, str(source.folder.absolute()), done=False)
        taken.cells += 1
        lines.append(_line(cell, saved, source, files))
        if len(lines) == AT_ONCE:
            await ledger.append(*lines)
            lines = []
    await ledger.append(*lines)
    if taken.cells or _is_amid(call.folder):
        note_reuse(call.folder, str(source.folder.absolute()), done=True)
    return taken


def _is_amid(folder: Path) -> bool:
    """Say whether an earlier call was stopped while it took results over."""
    identity = read_identity(folder)
    return identity is not None and identity.reusing is not None


def _line(
    cell: Cell, saved: Saved | Reused, source: Source, files: tuple[SavedFile, ...]
) -> Reused:
    return Reused(
        cell=cell.key,
        model=cell.model,
        alias=cell.alias,
        sweep=saved.sweep if isinstance(saved, Reused) else source.identity.sweep,
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


def lost_reuse(folder: Path, book: Book, command: str) -> str | None:
    """Return what to say where the ledger lacks what was taken over once; None where it doesn't.

    *command* goes on with the sweep.
    """
    identity = read_identity(folder)
    if identity is None:
        return None
    if identity.reusing is not None:
        left, why = [identity.reusing], "not all of it was taken over: a call was stopped amid it"
    elif identity.reused and not book.reused:
        left, why = list(identity.reused), "the service can't show them"
    else:
        return None
    again = "; ".join(f"`{command} --reuse {shlex.quote(each)}`" for each in left)
    return (
        "the ledger doesn't know all results that this sweep takes over from another one, and "
        f"{why}; to take them over: {again}"
    )


def check_reused(call: Call, book: Book, command: str) -> None:
    """Raise LedgerError where the ledger lacks what was taken over once: it would be paid for."""
    lost = lost_reuse(call.folder, book, command)
    if lost is not None:
        said = f"to pay for them: take `reused` and `reusing` out of {call.folder / IDENTITY}"
        raise LedgerError(f"{lost}; {said}")
