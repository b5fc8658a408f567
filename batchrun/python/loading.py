"""A manifest for Python programs: read from a file, or from a mapping."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrun.base.no_file import MAPPING, is_no_file
from batchrun.base.text import number_of
from batchrun.commands.drawing import draw_samples
from batchrun.errors import UsageError
from batchrun.manifest.data.changes import Watch
from batchrun.manifest.grid.expand import upper_bound
from batchrun.manifest.load import load_manifest, read_manifest
from batchrun.manifest.manifest import Manifest as ReadManifest
from batchrun.python.mapping_text import text_of


class Manifest:
    """A manifest that has been read and found right. `batchrun.load` makes it."""

    def __init__(self, read: ReadManifest) -> None:
        self._read = read

    def __repr__(self) -> str:
        models, points = number_of(len(self.models), "model"), number_of(self.points, "point")
        return f"<Manifest {self.name}: {models}, {points} at most>"

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self._read.name

    @property
    def path(self) -> Path | None:
        """The file that it was read from; None for a mapping."""
        return None if is_no_file(self._read.path) else self._read.path

    @property
    def endpoint(self) -> str | None:
        """The endpoint that it names, None where it names none."""
        return self._read.endpoint

    @property
    def models(self) -> Mapping[str, str]:
        """The ids of its models, by their aliases."""
        return {model.alias: model.id for model in self._read.models}

    @property
    def points(self) -> int:
        """How many points it has at most, over all models; some may be excluded, or be one cell."""
        return upper_bound(self._read)

    @property
    def notes(self) -> tuple[str, ...]:
        """What it may not mean as it says it: no mistakes, but worth a look."""
        return tuple(f"{note.place}: {note.message}" for note in self._read.notes)


Source = str | os.PathLike[str] | Mapping[str, Any] | Manifest
"""What stands for a manifest in each function: its path, a mapping, or what was loaded."""


def loaded(source: Source, base: str | os.PathLike[str] | None = None) -> Manifest:
    """Return the manifest that *source* stands for, as `batchrun.load` does."""
    if isinstance(source, Manifest):
        return source
    if isinstance(source, Mapping):
        path = Path(base or "", MAPPING)
        read = read_manifest(text_of(source), path, os.environ)
    else:
        if base is not None:
            raise UsageError(
                "`base` is for a mapping; the paths of a file are relative to the file"
            )
        if not isinstance(source, str | os.PathLike):
            raise UsageError(f"the manifest is {source!r}: expected a path or a mapping")
        read = load_manifest(Path(source), os.environ)
    draw_samples(read, quiet=True)
    return Manifest(read)


def unchanged(manifest: Manifest) -> ReadManifest:
    """Return what was read; UsageError where a data file is another by now."""
    read = manifest._read  # noqa: SLF001  (this module's own)
    if (written := Watch(read.sources).changed()) is not None:
        raise UsageError(f"{written} has changed since the manifest was loaded; load it again")
    return read
