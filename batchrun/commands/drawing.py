"""The draw of a `sample` from a large product, with its progress: it looks at each point."""

import sys
import time
from typing import Final

from batchrun.base.said import say
from batchrun.base.text import span
from batchrun.manifest.grid.expand import draw
from batchrun.manifest.manifest import Manifest

SILENT: Final = 2.0
"""Seconds of a draw of which nothing is said."""
BETWEEN: Final = 10.0
"""Seconds between two lines."""


def draw_samples(manifest: Manifest, *, quiet: bool = False) -> None:
    """Draw the samples of a manifest, which is done once; say how far that is if it takes long."""
    drawn = sum(grid.sample.n for grid in manifest.grids if grid.sample is not None)
    started = time.monotonic()
    next_at = started + SILENT

    def watch(done: int, total: int) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at and not quiet:
            next_at = now + BETWEEN
            say(progress(drawn, done, total, now - started), sys.stderr)

    draw(manifest, watch)


def progress(drawn: int, done: int, total: int, seconds: float) -> str:
    """Return how far a draw is after some *seconds*."""
    left = span(seconds * (total - done) / done)
    return f"drawing {drawn:,} of {total:,} points: {done * 100 // total} %, about {left} left"
