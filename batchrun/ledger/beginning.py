"""Which sweep a ledger is of, from the lines that it begins with.

They are the starts before the first run: a call that was refused wrote one under an id of its own,
and `--recover` wrote the next under the id of the sweep that it found. The last of them counts.
"""

import os
from pathlib import Path
from typing import Final

from batchrun.base.regular_file import open_regular
from batchrun.ledger.records import Sweep, Throttled, decode

_MOST: Final = 1 << 16
"""Bytes that are read: room for some hundred starts."""


def beginning_of(path: Path) -> Sweep | None:
    """Return what `sweep_at_beginning` does of the file at *path*; None where it can't be read."""
    try:
        with open_regular(path) as ledger:
            return sweep_at_beginning(ledger.fileno())
    except OSError:
        return None


def sweep_at_beginning(fd: int) -> Sweep | None:
    """Return the last of the starts that the ledger begins with; None where it begins with none.

    Raises OSError.
    """
    found = None
    for line in os.pread(fd, _MOST, 0).splitlines(keepends=True):
        try:
            record = decode(line) if line.endswith(b"\n") else None
        except ValueError:
            break
        if isinstance(record, Throttled):  # of a call that had no run yet
            continue
        if not isinstance(record, Sweep):
            break
        found = record
    return found
