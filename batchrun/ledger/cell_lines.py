"""The lines of one cell, found by the index. The whole ledger is never read for them.

A cell is meant by the beginning of its key, by the id of one of its runs, or by the path of one of
its files. An index that can't be used, or doesn't fit the ledger, is made anew in memory.
"""

import os
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from batchrun.base.text import listed
from batchrun.errors import LedgerError, UsageError
from batchrun.ledger.beginning import sweep_at_beginning
from batchrun.ledger.history import History
from batchrun.ledger.index import Index, open_index
from batchrun.ledger.life import SHOWN, Life
from batchrun.ledger.reader import read_line
from batchrun.ledger.records import CellLine
from batchrun.ledger.scan import marks_in
from batchrun.sweep.location import INDEX, LEDGER

MOST_NAMED: Final = 5


class OtherSweepError(Exception):
    """The ledger is of another sweep than its folder."""


def life_of(folder: Path, text: str, *, sweep: str | None) -> Life:
    """Return the life of the cell that *text* means in the ledger of *folder*.

    *sweep* is the id that the folder has, None where it has none. Raises UsageError where *text*
    means no cell, or several; OtherSweepError; ValueError where a line is broken; and OSError.
    """
    path = folder / LEDGER
    with path.open("rb") as ledger:
        begun = sweep_at_beginning(ledger.fileno())
        if sweep not in {None, begun and begun.sweep}:
            raise OtherSweepError
        return _life(folder, ledger.fileno(), meant(folder, text))


def _life(folder: Path, ledger: int, texts: Sequence[str]) -> Life:
    """Read the cell that one of *texts* means, by the folder's index, else by a new one.

    An index that can't be used, or doesn't fit the ledger's lines, says nothing of the ledger.
    """
    try:
        with open_index(folder) as index:
            index.catch_up(ledger)
            return _read(index, ledger, folder / LEDGER, texts)
    except (OSError, ValueError, TypeError, LookupError, LedgerError):
        with suppress(OSError):
            (folder / INDEX).unlink(missing_ok=True)
    with closing(Index(None)) as index:
        index.catch_up(ledger)
        return _read(index, ledger, folder / LEDGER, texts)


def _read(index: Index, ledger: int, path: Path, texts: Sequence[str]) -> Life:
    """Return the cell that one of *texts* means; ValueError or LookupError for an odd index."""
    found = next(filter(None, map(index.find, texts)), ())
    marks = {} if found else marks_in(path)
    wished = [each for each in marks if each.startswith(texts[0])]
    key = the_one(found or wished, texts[0])
    if wished:
        return Life(key=key, history=History(), records=(), mark=marks[key])
    records = [read_line(ledger, line, path) for line in index.lines(key)]
    history = index.history(key)
    if history is None or not all(isinstance(r, CellLine) and r.cell == key for r in records):
        raise LookupError(key)
    return Life(key=key, history=history, records=records)


def meant(folder: Path, text: str) -> Sequence[str]:
    """Return what *text* may be in the ledger: itself, or the path of a file below *folder*."""
    try:
        text.encode()
        path, base = Path(text).absolute(), folder.absolute()
        places = ((path, base), (path.resolve(), base.resolve()))
        return [text, *(os.path.relpath(found, below) for found, below in places)]
    except (OSError, ValueError) as error:
        raise UsageError(f"CELL is no key, no run's id and no file: {error}") from None


def the_one(found: Sequence[str], text: str) -> str:
    """Return the only key of *found*; UsageError where there is none, or another one."""
    if not found:
        raise UsageError(f"no cell of the ledger has the key, the run or the file `{text}`")
    if len(found) > 1:
        keys = listed((key[:SHOWN] for key in found), most=MOST_NAMED)
        raise UsageError(f"`{text}` means {len(found)} cells: {keys}; give more of the key")
    return found[0]
