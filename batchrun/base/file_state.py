"""How a file is known to be unchanged without being read: by its size, its times and its inode.

The time of a file's content can be set to what it was, by `cp -p` or an archive; the time of its
change of state, its ctime, cannot. And a time can lie: a file that is written twice within one tick
of the file system's clock has the same time after both. So the time of a file that is young when it
is read proves nothing, and its content is remembered instead.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Final

from batchrun.base.local_file import FileState
from batchrun.base.regular_file import open_regular

YOUNG: Final = 2_000_000_000
"""Nanoseconds within which two writes may have the same time. FAT has the coarsest clock."""


def file_state(path: str, *, ours: bool = False) -> FileState | None:
    """Return the state of the file at *path*, None where there is none.

    Ask before the file is read: then a change during the reading is a change. The time of a file
    of *ours*, which has just been written, is believed.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  (100,000 of them: a Path costs as much again)
        young = not ours and time.time_ns() - found.st_mtime_ns < YOUNG
        digest = _sha256(path) if young and Path(path).is_file() else None
    except OSError:
        return None
    return _state(found, digest)


def lasting(path: str, known: FileState) -> FileState | None:
    """Return a state by which the file at *path* can be compared later with what *known* was.

    None where the file has changed, or is still young.
    """
    now = file_state(path)
    if now is None or now.sha256 is not None:
        return None
    if known.sha256 is None:
        return known if now == known else None
    try:
        return now if _sha256(path) == known.sha256 else None
    except OSError:
        return None


def is_still(path: str, known: FileState) -> bool:
    """Say whether the file at *path* is as a `lasting` state says."""
    try:
        found = os.stat(path)  # noqa: PTH116  (100,000 of them: a Path costs as much again)
    except OSError:
        return False
    return _state(found, known.sha256) == known


def _state(found: os.stat_result, digest: str | None) -> FileState:
    return FileState(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        sha256=digest,
    )


def _sha256(path: str) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_state() -> str:
    """Return a digest that changes with the files of batchrun itself, a clone's as well."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(Path(__file__).parents[1]):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                found = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118  (230 of them)
                digest.update(f"{name} {found.st_size} {found.st_mtime_ns} ".encode())
    return digest.hexdigest()
