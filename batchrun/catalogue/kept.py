"""The file that keeps descriptions: one for each endpoint, beside the folders of its sweeps.

It is derived, and safe to delete. Where it can't be read it is as good as empty, and where it can't
be written nothing is kept: neither ends a call. Each writer puts a whole file in its place. What
another process has written meanwhile is merged; of two that write at once, the last one wins.
"""

import os
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Final

from batchrun.base.disk import atomic_write
from batchrun.base.text import size_of
from batchrun.catalogue.entries import MOST_OF_ALL, Entries, decode, encode
from batchrun.errors import FolderError

LARGEST: Final = 4 * MOST_OF_ALL
"""Bytes beyond which a file is none of ours."""


def load(path: Path, now: datetime) -> tuple[Entries, str]:
    """Return what the file at *path* keeps, and why nothing where it is there and can't be used."""
    try:
        return decode(_read(path)).until(now), ""
    except (FileNotFoundError, NotADirectoryError):
        return Entries(), ""
    except OSError as error:
        return Entries(), _not_read(path, error.strerror)
    except ValueError as error:
        return Entries(), _not_read(path, str(error))


def _read(path: Path) -> bytes:
    with open(path, "rb", opener=_at_once) as file:
        state = os.fstat(file.fileno())
        if not S_ISREG(state.st_mode):
            raise ValueError("it is no file")
        if state.st_size > LARGEST:
            raise ValueError(f"it has {size_of(state.st_size)}")
        return file.read()


def _at_once(path: str, flags: int) -> int:
    """Open *path* without waiting: a pipe in its place may never have a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _not_read(path: Path, why: str | None) -> str:
    return f"{path} is not read ({why}); models are asked for anew, and it is safe to delete"


def keep(path: Path, news: Entries, now: datetime) -> None:
    """Add *news* to the file at *path*, where its folder is there and takes it."""
    if news == Entries() or not path.parent.is_dir():
        return
    entries = load(path, now)[0].merged(news)
    try:
        atomic_write(path, encode(entries), by=str(os.getpid()))
    except FolderError:  # it is derived
        return
