"""What may take long before anything is sent: files to be found, and a `sample` to be drawn.

Both say how far they are once that takes longer than people wait for in silence.
"""

import sys
import time
from typing import Final

from batchrun.base.said import is_terminal, say
from batchrun.base.text import span
from batchrun.manifest.data.local_files import Looking
from batchrun.manifest.grid.expand import draw
from batchrun.manifest.manifest import Manifest

SILENT: Final = 2.0
"""Seconds of which nothing is said."""
BETWEEN: Final = 10.0
"""Seconds between two lines."""


class Seldom:
    """Says when it is time to say how far something is: first after SILENT, then every BETWEEN."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._next_at = self._started + SILENT

    def due(self) -> float | None:
        """Return for how many seconds it has gone on, None where nothing is to be said now."""
        now = time.monotonic()
        if now < self._next_at:
            return None
        self._next_at = now + BETWEEN
        return now - self._started


class FilesSaid:
    """Says on a terminal how far it is with the files that a manifest names."""

    def __init__(self) -> None:
        self._seldom = Seldom()

    def searching(self, names: int, files: int) -> None:
        """Say it of a search."""
        if self._seldom.due() is not None:
            say(f"looking for files: {files:,} found among {names:,} names so far", sys.stderr)

    def reading(self, files: int) -> None:
        """Say it of files that are read."""
        if self._seldom.due() is not None:
            say(f"reading files: {files:,} so far", sys.stderr)


def files_said(*, quiet: bool = False) -> Looking | None:
    """Return who says it; None if *quiet*, and where stderr is no terminal."""
    return None if quiet or not is_terminal(sys.stderr) else FilesSaid()


def draw_samples(manifest: Manifest, *, quiet: bool = False) -> None:
    """Draw the samples of a manifest, which is done once; say how far that is if it takes long."""
    drawn = sum(grid.sample.n for grid in manifest.grids if grid.sample is not None)
    seldom = Seldom()

    def watch(done: int, total: int) -> None:
        if not quiet and (seconds := seldom.due()) is not None:
            say(progress(drawn, done, total, seconds), sys.stderr)

    draw(manifest, watch)


def progress(drawn: int, done: int, total: int, seconds: float) -> str:
    """Return how far a draw is after some *seconds*."""
    left = span(seconds * (total - done) / done)
    return f"drawing {drawn:,} of {total:,} points: {done * 100 // total} %, about {left} left"
