"""Results of another sweep on their way into a folder: its files first, then the `reused` lines."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.base.text import number_of
from batchrun.commands.call import Call
from batchrun.commands.reuse_sources import Source, There, holds
from batchrun.commands.reusing import wants
from batchrun.engine.names import Names
from batchrun.ledger.file import Ledger
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.records import REUSING, Reused, Saved, SavedFile
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.identity import ReusedFrom, note_reuse, read_identity

AT_ONCE: Final = 100
"""Cells whose lines are written together."""


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
        if not all(holds(self._source / file.path, file) for file in files):
            return None
        paths = _paths(name, files)
        if not all(map(self._is_free, paths, files)):
            paths = _paths(f"{name}-{cell.short}", files)
        for path, file in zip(paths, files, strict=True):
            if not holds(self._store.path(path), file):  # an earlier call may have been killed
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
        return not self._store.exists(path) or holds(self._store.path(path), file)


def _paths(name: str, files: tuple[SavedFile, ...]) -> list[str]:
    """Return where files are saved under a name, as the downloader has it."""
    ends = [f"-{number}" for number in range(1, len(files) + 1)] if len(files) > 1 else [""]
    return [
        f"files/{name}{end}{PurePosixPath(file.path).suffix}"
        for end, file in zip(ends, files, strict=False)
    ]
