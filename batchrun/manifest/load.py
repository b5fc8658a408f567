"""A manifest's file -> the Manifest, with everything beside it that it needs read and checked."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from batchrun.base.text import nearest
from batchrun.errors import UNREAD, ManifestError, Place, Problem
from batchrun.manifest.data.local_files import Looking
from batchrun.manifest.grid.check import check, check_meant
from batchrun.manifest.grid.unsent import unsent_inputs
from batchrun.manifest.manifest import Head, Manifest
from batchrun.manifest.parse.reader import Reader, read_head, read_limits
from batchrun.manifest.yaml.composer import parse_document
from batchrun.manifest.yaml.document import raise_if
from batchrun.settings import Settings, settings_from

SUFFIXES: Final = frozenset({".yaml", ".yml"})
"""The endings of manifests that a message may name."""


def load_manifest(
    path: Path, environ: Mapping[str, str], *, looking: Looking | None = None
) -> Manifest:
    """Read the manifest at *path*; raise ManifestError with all that is wrong, in the file's order.

    Data files, lines and globs are read too, and local files hashed; *looking* is shown how far
    that is. Nothing is written or sent.
    """
    return read_manifest(read_text(path), path, environ, looking=looking)


def read_manifest(
    data: bytes,
    path: Path,
    environ: Mapping[str, str],
    *,
    kept: bool = False,
    looking: Looking | None = None,
) -> Manifest:
    """Read the manifest *data* as if it stood at *path*; raise ManifestError likewise.

    *kept*: a sweep was started with it, maybe by an earlier version. What only can't be meant is no
    mistake in it then. *looking* is shown how far it is with the files beside it.
    """
    problems: list[Problem] = []
    notes: list[Problem] = []
    root = parse_document(data, str(path), problems, notes)
    raise_if(problems if root is None else [])
    assert root is not None
    manifest = Reader(root, path, environ, problems, notes, looking).read(data)
    check(manifest, problems)
    meant: list[Problem] = []
    if not (problems or kept):
        check_meant(manifest, problems, meant)
    raise_if(problems)
    meant += unsent_inputs(manifest)
    places = {note.place for note in meant}  # they know what the value is for: one note is enough
    said = dict.fromkeys([*meant, *(note for note in notes if note.place not in places)])
    return replace(manifest, notes=tuple(sorted(said, key=lambda note: note.place)))


def load_head(data: bytes, path: Path, environ: Mapping[str, str]) -> Head | None:
    """Return where the sweep of the manifest *data* is said to be; None where it has problems.

    Nothing else of it is read, and no file beside it.
    """
    problems: list[Problem] = []
    root = parse_document(data, str(path), problems)
    return None if root is None or problems else read_head(root, path, environ)


def find_head(path: Path, environ: Mapping[str, str]) -> Head | None:
    """Return the same of the file at *path*, whatever is wrong with the rest of it.

    None where it is no YAML; raises OSError where it can't be read.
    """
    root = parse_document(path.read_bytes(), str(path), [])
    return None if root is None else read_head(root, path, environ)


def load_settings(data: bytes, path: Path) -> Settings:
    """Return what the manifest *data* asks for in `limits`, `poll` and `outputs`; nothing else of
    it is read, and no file beside it. What is wrong there is left at its default.
    """
    problems: list[Problem] = []
    root = parse_document(data, str(path), problems)
    chosen = {} if root is None else read_limits(root, path)
    return settings_from(chosen, model_concurrency={}, model_prices={})


def read_text(path: Path) -> bytes:
    """Return the bytes of the manifest at *path*; ManifestError where they cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        near = near_beside(path) if isinstance(error, FileNotFoundError) else ""
        what = f"{UNREAD}: {(error.strerror or str(error)).lower()}{near}"
        raise ManifestError([Problem(Place(str(path), 1, 1), what)]) from None


def near_beside(path: Path) -> str:
    """Return "; did you mean `bud.yaml`?" where such a manifest is in the same folder."""
    with suppress(OSError):
        names = sorted(each.name for each in path.parent.iterdir() if each.suffix in SUFFIXES)
        there = {Path(name).stem: name for name in names}
        near = path.stem if path.stem in there else nearest(path.stem, there)
        if near is not None:
            return f"; did you mean `{path.with_name(there[near])}`?"
    return ""
