"""Whose a file name is: given in the grid's order when a cell needs one, and kept.

The files of two cells are never one file. The first to come once decided who has a name: of two
cells whose `outputs.name` comes to one text, the download that was faster took it, and `chair`, of
which there are two files, wrote its second over the only one of `chair-2`. Now a cell has its name
before its request leaves, and its intent keeps it. Who comes first in the grid has the plain name;
any other has its key behind it. A walk of the grid that is as far as the cell says who comes first,
not the order in which slots come free. What the ledger has, and files that it doesn't know, come
before the grid.

A name stands for each file that a cell may come to have: with an extension, and with a number where
there are several. So these can't be of two cells:

* one name, in the eyes of a file system for which letter case or the form of Unicode is the same;
* `chair` and `chair-2`;
* `cat` and `cat.png/dog`: the folder would stand where a file may.

A name that holds the cell's key is its own: nothing is noted of it.
"""

import os
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from batchrun.ledger.file import Ledger
from batchrun.ledger.history import NOWHERE, History
from batchrun.ledger.key_index import KeyIndex, other_digest
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import names_in, paths_in
from batchrun.manifest.cells import SHORT, Cell
from batchrun.manifest.file_names import file_name, holds_key
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest

FILES: Final = "files"
"""The folder of a sweep that holds the outputs, and nothing else."""

NO_CELL: Final = ""
"""Stands for the cell of a file that the ledger doesn't know."""

_NUMBERED: Final = re.compile(r"(.+)-[1-9][0-9]{0,5}")
_LIKE_A_FILE: Final = re.compile(r"(.+)\.[a-z0-9]+")
_OF_A_CELL: Final = re.compile(rf"[0-9a-f]{{{SHORT}}}")
_MANY: Final = 2**64 - 1


class Claims:
    """Which cell has which name; of a million names about forty bytes each. Pure."""

    def __init__(self) -> None:
        self._index = KeyIndex()
        self._cells = array("Q")

    def give(self, cell: str, name: str) -> str:
        """Return *name* where no other cell has it, else one that is the cell's own."""
        if self.claim(cell, name):
            return name
        free = _outside_of_files(name, self._is_file)
        names = (free, f"{free}-{cell[:SHORT]}")
        return next((each for each in names if self.claim(cell, each)), f"{free}-{cell}")

    def claim(self, cell: str, name: str) -> bool:
        """Note that *cell* has *name*; False, and nothing noted, where another cell has it."""
        folded, mine = _folded(name), _number(cell)
        if self._cell("name", folded) == mine:
            return True
        stem = _stem(folded)
        taken = (
            self._cell("name", folded) is not None
            or (stem != folded and self._cell("name", stem) not in {None, mine})
            or self._cell("numbered", folded) not in {None, mine}
            or self._cell("folder", folded) is not None
            or ("/" in name and _outside_of_files(name, self._is_file) != name)
        )
        if not taken:
            self.note(cell, name)
        return not taken

    def note(self, cell: str, name: str) -> None:
        """Note that *cell* has *name*, whatever is known of it."""
        folded, mine = _folded(name), _number(cell)
        self._put("name", folded, mine)
        if (stem := _stem(folded)) != folded:
            self._put("numbered", stem, mine)
        for folder in _folders(folded):
            for file in _files_like(folder):
                self._put("folder", file, mine)

    def knows(self, name: str) -> bool:
        """Say whether a cell has *name*, or the name of which it is a number."""
        folded = _folded(name)
        return any(self._cell("name", each) is not None for each in (folded, _stem(folded)))

    def _is_file(self, folder: str) -> bool:
        """Say whether a file of some cell may stand where *folder* would."""
        return any(self._cell("name", each) is not None for each in _files_like(_folded(folder)))

    def _cell(self, kind: str, name: str) -> int | None:
        number = self._index.find(other_digest(f"{kind} {name}"))
        return None if number is None else self._cells[number]

    def _put(self, kind: str, name: str, cell: int) -> None:
        number, new = self._index.place(other_digest(f"{kind} {name}"))
        if new:
            self._cells.append(cell)
        elif self._cells[number] != cell and kind != "name":
            self._cells[number] = _MANY


class Names:
    """The names of a sweep's cells."""

    def __init__(self, manifest: Manifest, ledger: Ledger) -> None:
        self._manifest = manifest
        self._ledger = ledger
        self._claims = Claims()
        self._alone = holds_key(manifest.outputs.name)
        self._walk: Iterator[Cell] | None = None
        self._reached = -1

    async def load(self, *, others: bool = True) -> None:
        """Take in what the ledger has, and with *others* the files that it doesn't know."""
        if not self._alone or self._ledger.book.named:
            await self._ledger.scan(self._take_in, others=others)

    def of(self, cell: Cell, history: History) -> str:
        """Return the name of a cell's files: that of its intent, else one that is free."""
        if history.intent_line != NOWHERE:
            intent = self._ledger.read(history.intent_line)
            assert isinstance(intent, Intent)
            return self.kept(cell.key, intent.name)
        if self._alone:
            return file_name(self._manifest, cell)
        self.follow(cell)
        return self._claims.give(cell.key, file_name(self._manifest, cell))

    def kept(self, cell: str, name: str) -> str:
        """Return the *name* of a cell's intent; another where that was another cell's, too."""
        return name if cell[:SHORT] in name else self._claims.give(cell, name)

    def follow(self, cell: Cell) -> None:
        """Give each cell up to *cell* its name, whenever it will need it.

        To be called for each cell that is drawn: to come to a million at once takes long.
        """
        if self._alone:
            return
        self._walk = self._walk or expand(self._manifest)
        ordinal, histories = cell.ordinal, self._ledger.book.histories
        while self._reached < ordinal and (each := next(self._walk, None)) is not None:
            self._reached = each.ordinal
            if histories.number(each.key) is None:
                self._claims.give(each.key, file_name(self._manifest, each))

    def _take_in(self, ledger: Path, *, others: bool) -> None:
        """Note the files that are saved, then the names of intents, then the other files."""
        for cell, path in paths_in(ledger):
            if cell[:SHORT] not in path:
                self._claims.note(cell, _name_of(path))
        strangers = [*_names_below(ledger.parent / FILES)] if others else []
        digits = {found[0] for name in strangers if (found := _OF_A_CELL.search(name))}
        ours: set[str] = set()
        for cell, name in names_in(ledger):
            if cell[:SHORT] in digits:
                ours.add(cell[:SHORT])
            if cell[:SHORT] not in name:
                self._claims.claim(cell, name)
        for name in strangers:
            found = _OF_A_CELL.search(name)
            if not ((found and found[0] in ours) or self._claims.knows(name)):
                self._claims.note(NO_CELL, name)


def _names_below(folder: Path) -> Iterator[str]:
    """Yield the names, as cells have them, of the files in *folder*."""
    for place, _, files in os.walk(folder):
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        yield from ((below / file).with_suffix("").as_posix() for file in files)


def _name_of(path: str) -> str:
    return PurePosixPath(path.removeprefix(f"{FILES}/")).with_suffix("").as_posix()


def _folded(name: str) -> str:
    """Return what names have in common that are one file to some file systems."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _stem(name: str) -> str:
    """Return the name whose second file, or tenth, has this *name*; *name* where there is none."""
    found = _NUMBERED.fullmatch(name)
    return name if found is None or found[1].endswith("/") else found[1]


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that *name* is in, the outermost first."""
    for at, character in enumerate(name):
        if character == "/":
            yield name[:at]


def _files_like(folder: str) -> tuple[str, ...]:
    """Return the names of cells of which a file may be called as *folder* is."""
    found = _LIKE_A_FILE.fullmatch(folder)
    return () if found is None else (found[1], _stem(found[1]))


def _outside_of_files(name: str, is_file: Callable[[str], bool]) -> str:
    """Return *name* with each folder called otherwise that would stand where a file may."""
    parts: list[str] = []
    for part in name.split("/")[:-1]:
        parts.append(f"{part}_" if is_file("/".join([*parts, part])) else part)
    return "/".join([*parts, name.rpartition("/")[2]])


def _number(cell: str) -> int:
    return hash(cell) % _MANY
