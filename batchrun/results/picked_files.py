"""Takes files of a sweep out of its folder, by copies or in one zip file; the names stay.

What lies at the destination already is never written over: the same bytes are left, others are
named before anything is copied. A copy is no link: who edits it leaves the sweep's file alone.
"""

import filecmp
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from batchrun.base.disk import replacing
from batchrun.base.output_store import OutputStore, on_disk, writable
from batchrun.base.text import escaped, listed
from batchrun.errors import FolderError, UsageError

FILES: Final = "files"
"""The folder of outputs in a sweep's: names of copies begin below it."""

BYTES: Final = 1 << 20
"""Bytes that are copied at a time."""


def copy_files(store: OutputStore, names: Sequence[str], target: Path) -> int:
    """Copy the files *names* of *store* into the folder *target*; return how many weren't there.

    Raises UsageError where another file stands in the place of one, FolderError where one is gone
    or can't be written.
    """
    pairs = [(_source(store, name), target / on_disk(_shown(name))) for name in names]
    others = [path for source, path in pairs if _is_other(source, path)]
    if others:
        raise UsageError(
            f"{len(others):,} of {len(pairs):,} files are in {target} already, with another "
            f"content: {_said(others)}; nothing was copied"
        )
    new = [pair for pair in pairs if not pair[1].exists()]
    for source, path in new:
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as copy, source.open("rb") as file:
            shutil.copyfileobj(file, copy, BYTES)
    return len(new)


def copies_of_others(store: OutputStore, names: Sequence[str], target: Path) -> list[str]:
    """Return what lies in *target* under a name of one of the sweep's files, but not of *names*.

    That is what an earlier choice has left there. Strangers are none of our business.
    """
    files, chosen = store.path(FILES), {on_disk(_shown(name)) for name in names}
    found: list[str] = []
    for folder, _, ours in os.walk(files):
        below = Path(folder).relative_to(files)
        try:
            there = {each.name for each in (target / below).iterdir()}
        except OSError:  # nothing was copied there
            continue
        shared = (str(below / name) for name in ours if name in there)
        found += (name for name in shared if name not in chosen)
    return [os.fsencode(name).decode("utf-8", "surrogateescape") for name in sorted(found)]


def zip_files(store: OutputStore, names: Sequence[str], target: Path) -> None:
    """Write the files *names* of *store* into a new zip file, as they are.

    Raises UsageError where *target* exists, FolderError as `copy_files` does.
    """
    with writable(target):
        is_there = target.exists()
    if is_there:
        raise UsageError(f"{target} exists already; name another file, or take it away")
    pairs = [(_source(store, name), _shown(name)) for name in names]
    with writable(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(target) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive,
    ):
        for source, name in pairs:
            archive.write(source, name.encode("utf-8", "replace").decode())


def _source(store: OutputStore, name: str) -> Path:
    path = store.path(name)
    if not path.is_file():
        raise FolderError(f"{path} is gone; a call on the manifest fetches it again")
    return path


def _shown(name: str) -> str:
    """Return the name outside of the sweep's folder; FolderError where it would lead elsewhere."""
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        raise FolderError(f"the ledger has a file at `{escaped(name)}`, outside of the folder")
    return "/".join(parts[1:] if parts[0] == FILES and len(parts) > 1 else parts)


def _is_other(source: Path, path: Path) -> bool:
    with writable(path):
        if not (path.exists() or path.is_symlink()):
            return False
        return not path.is_file() or not filecmp.cmp(source, path, shallow=False)


def _said(paths: Sequence[Path]) -> str:
    return listed((escaped(path.name) for path in paths), most=3)
