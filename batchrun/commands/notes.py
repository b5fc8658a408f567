"""Notes on a manifest: no mistakes, but what it may not mean as it says it."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from batchrun.base.said import say
from batchrun.base.text import number_of
from batchrun.errors import Problem
from batchrun.manifest.manifest import Manifest
from batchrun.results.summary import problem_as_dict

MOST: Final = 20
"""Notes that are said; the rest are counted, and all are in the `--json` object."""


def say_notes(manifest: Manifest, *, quiet: bool) -> None:
    """Print each note on one line of stderr, with its place; none if *quiet*."""
    if quiet:
        return
    for note in manifest.notes[:MOST]:
        say(note_line(note), sys.stderr)
    if (left := len(manifest.notes) - MOST) > 0:
        say(f"and {number_of(left, 'more note')}", sys.stderr)


def note_line(note: Problem) -> str:
    """Return a note as people read it."""
    return f"note: {note.place}: {note.message}"


def notes_of(notes: Sequence[Problem]) -> tuple[Mapping[str, Any], ...] | None:
    """Return the notes for the `--json` object, None where there are none."""
    return tuple(map(problem_as_dict, notes)) or None
