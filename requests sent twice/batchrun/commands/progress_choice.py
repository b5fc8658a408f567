"""Who listens to a sweep, by what the user wants and where stderr goes."""

from collections.abc import Mapping
from typing import TextIO

from batchrun.base.progress import Progress
from batchrun.results.progress_lines import Lines, Silent


def choose(
    stream: TextIO, *, quiet: bool, no_progress: bool, environ: Mapping[str, str]
) -> Progress:
    """Return who listens: a bar needs a terminal that can move its cursor, and a person at it."""
    if quiet:
        return Silent()
    if no_progress:
        return Silent(stream)
    if stream.isatty() and environ.get("TERM", "dumb") != "dumb" and not environ.get("CI"):
        from batchrun.results.progress_bar import Bar

        return Bar(stream)
    return Lines(stream)
