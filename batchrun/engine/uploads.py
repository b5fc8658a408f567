"""Inputs as they are sent.

Local files are part of the manifest's language and not yet of the engine: they are refused by name
before anything is sent.
"""

from collections.abc import Mapping
from typing import Any

from batchrun.errors import UsageError
from batchrun.manifest.grid import Cell, LocalFile, expand
from batchrun.manifest.manifest import Manifest

MARKS = (b"$file", b"$glob", b"files")
"""A manifest without any of these words has no local files, and needs no look at its cells."""


def refuse_local_files(manifest: Manifest) -> None:
    """Raise UsageError if an input of any cell is a local file."""
    if not any(mark in manifest.text for mark in MARKS):
        return
    for cell in expand(manifest):
        file = find_file(cell.input)
        if file is not None:
            raise UsageError(
                f"{manifest.path}: an input of {cell.alias} is the local file {file.path}; this "
                "version doesn't upload files yet: put it on the web and give its https URL"
            )


def find_file(value: Any) -> LocalFile | None:
    """Return the first local file in *value*, however deep it stands."""
    if isinstance(value, LocalFile):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := find_file(each)) is not None), None)
    return None


async def as_it_is(cell: Cell) -> Mapping[str, Any]:
    """Return the cell's input as it is sent."""
    return cell.input
