"""`picks.jsonl` in a sweep's folder: the marks that were taken in, each once.

Nothing else writes it. A file that is taken in is taken in whole or not at all: a broken line is
named, and what is kept stays as it was.
"""

import os
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from batchrun.base.disk import atomic_write, locked_folder
from batchrun.base.regular_file import open_regular
from batchrun.base.text import escaped, few
from batchrun.errors import FolderError, UsageError
from batchrun.sweep.picks import Pick, Picks, folded, lines_of, merged, parse_pick, written

PICKS: Final = "picks.jsonl"

MOST_NAMED: Final = 10
"""Lines of a file that are named where they are wrong."""


def kept_picks(folder: Path) -> Picks:
    """Return what the marks in the sweep's *folder* come to; FolderError for a broken file."""
    return folded(kept(folder))


def kept(folder: Path) -> Sequence[Pick]:
    """Return the marks in the sweep's *folder*, none where none were taken in."""
    path = folder / PICKS
    try:
        with open_regular(path) as file:
            text = file.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    picks, wrong = _parsed(text, path)
    if wrong:
        raise FolderError(f"{_said(wrong)}\nmend the line, or move the file away")
    return picks


class TakenIn(Struct, frozen=True, kw_only=True):
    """How many marks were *new*, and how many were *left*, by the sweeps that they are of."""

    new: int
    left: Mapping[str, int]


def take_in(
    folder: Path,
    paths: Sequence[Path],
    sweep: str,
    beside: Callable[[], Container[str]] = tuple,
) -> TakenIn:
    """Keep the marks of the files *paths* in *folder* that are of *sweep*.

    Those of the sweeps *beside*, which is asked only where there are others, are left: the page of
    labels saves them in one file. Durable when it returns. Raises UsageError where a file can't be
    read, has a broken line, or marks of a sweep that is neither; then none is taken in.
    """
    given = [pick for path in paths for pick in _read(path, sweep, beside)]
    ours = [each for each in given if each.sweep == sweep]
    others = merged(each for each in given if each.sweep != sweep)
    left = Counter(each.sweep for each in others.values())
    with locked_folder(folder):
        before = merged(kept(folder))
        after = merged(before.values(), ours)
        if len(after) > len(before):
            atomic_write(folder / PICKS, written(after.values()), by=f"{os.getpid()}")
    return TakenIn(new=len(after) - len(before), left=left)


def _read(path: Path, sweep: str, beside: Callable[[], Container[str]]) -> Sequence[Pick]:
    try:
        with open_regular(path) as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    picks, wrong = _parsed(text, path)
    others = Counter(each.sweep for each in picks if each.sweep != sweep)
    known = beside() if others else ()
    wrong += [
        f"{path}: {number:,} of its marks are of the sweep {escaped(other[:64])}, and this one is "
        f"{sweep}"
        for other, number in others.items()
        if other not in known
    ]
    if wrong:
        raise UsageError(f"{_said(wrong)}\nno mark of it was taken in")
    return picks


def _parsed(text: bytes, path: Path) -> tuple[list[Pick], list[str]]:
    """Return the marks of a file, and what is wrong with its other lines."""
    picks, wrong = [], []
    for number, line in lines_of(text):
        try:
            picks.append(parse_pick(line))
        except ValueError as error:
            wrong.append(f"{path}:{number}: {escaped(str(error))}")
    return picks, wrong


def _said(wrong: Sequence[str]) -> str:
    return "\n".join(few(wrong, most=MOST_NAMED))
