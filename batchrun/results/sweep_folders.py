"""The folders of sweeps below a folder: those with a `sweep.json` or a ledger."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from batchrun.results.starts import STARTS
from batchrun.sweep.identity import IDENTITY
from batchrun.sweep.location import LEDGER, name_folder

DEEPEST: Final = 6
"""Folders below the base: an endpoint's, a sweep's and a label's, and some above them."""

MOST: Final = 20_000
"""Folders that are looked into."""

_PASSED_OVER: Final = frozenset({"files", STARTS})
"""Folders of a sweep that hold no other."""


def sweeps_below(base: Path) -> Iterator[Path]:
    """Yield the folders of sweeps at *base* and below it; labels come after their sweep.

    A call that was refused before it began leaves an empty ledger: that is no sweep yet. A folder
    that can't be read holds none. The search ends after MOST folders.
    """
    todo: list[tuple[str, int]] = [(str(base), 0)]
    for _ in range(MOST):
        if not todo:
            return
        folder, depth = todo.pop()
        names, below = _look(folder)
        is_sweep = bool({IDENTITY, LEDGER} & names)
        if is_sweep and not (IDENTITY not in names and _is_empty(f"{folder}/{LEDGER}")):
            yield Path(folder)
        if depth < DEEPEST:
            inner = (name for name in below if not is_sweep or name.startswith("@"))
            todo += [(f"{folder}/{name}", depth + 1) for name in sorted(inner, reverse=True)]


def labels_of_name(folder: Path) -> list[str | None]:
    """Return the labels that have a sweep of the same name as *folder*; None is one without."""
    return [label_of(each) for each in sweeps_of_name(folder)]


def sweeps_of_name(folder: Path) -> list[Path]:
    """Return the folders of all sweeps of the same name as *folder*, by their labels."""
    above = name_folder(folder)
    return [
        each
        for each in sweeps_below(above)
        if each == above or (each.parent == above and each.name.startswith("@"))
    ]


def label_of(folder: Path) -> str | None:
    """Return the label of the sweep in *folder*, None where it has none."""
    return folder.name.removeprefix("@") if folder.name.startswith("@") else None


def _look(folder: str) -> tuple[set[str], list[str]]:
    """Return the names in a folder, and those of the folders that may hold a sweep."""
    names, below = set(), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(entry.name)
                if entry.name[0] != "." and entry.name not in _PASSED_OVER and entry.is_dir():
                    below.append(entry.name)
    except OSError:
        pass
    return names, below


def _is_empty(path: str) -> bool:
    try:
        return not Path(path).stat().st_size
    except OSError:
        return False


def bytes_below(folder: Path, *, most: int) -> tuple[int | None, int]:
    """Return the bytes of all files below *folder*, and how many were looked at.

    None where there are more than *most*.
    """
    total = seen = 0
    for path, _, names in os.walk(folder):
        for name in names:
            seen += 1
            if seen > most:
                return None, seen
            try:
                total += os.lstat(f"{path}/{name}").st_size
            except OSError:
                continue
    return total, seen
