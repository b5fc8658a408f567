"""`starts/`: each start of a sweep as it was: the manifest, its data files by digest, who, where.

`plan` compares with the newest one. A start that is the same as an earlier one adds no file, and is
the newest again. The files are derived, and safe to delete. The environment's values are in none.
"""

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from batchrun import __version__
from batchrun.base.git_commit import commit_of
from batchrun.base.json_text import decoded
from batchrun.base.output_store import OutputStore, writable
from batchrun.base.regular_file import open_regular
from batchrun.ledger.records import timestamp
from batchrun.manifest.data.changes import digests
from batchrun.manifest.manifest import Manifest
from batchrun.sweep.location import folder_of

STARTS: Final = "starts"
SCHEMA: Final = 1
DIGITS: Final = 32
"""Digits of a start's digest in the name of its file."""


class Start(Struct, frozen=True, kw_only=True):
    """One start. *files* are the data files that were read, by path, and the sha256 of each.

    *manifest* is the text, *path* where it stood, *commit* what git had checked out there.
    """

    schema: int = SCHEMA
    manifest: str
    path: str
    files: Mapping[str, str | None]
    user: str | None
    host: str
    version: str
    commit: str | None = None


def start_of(manifest: Manifest) -> Start:
    """Return what this start is: *manifest*, on this machine, by this user."""
    base = folder_of(manifest.path)
    return Start(
        manifest=manifest.text.decode("utf-8", "surrogateescape"),
        path=str(manifest.path.absolute()),
        files=without_values(digests(manifest.sources, base), manifest.sources.variables),
        user=_user(),
        host=socket.gethostname(),
        version=__version__,
        commit=commit_of(base),
    )


def without_values(
    files: Mapping[str, str | None], variables: Mapping[str, str]
) -> dict[str, str | None]:
    """Return *files* without those whose path holds a value of the environment."""
    values = [text for text in variables.values() if text]
    return {path: sha for path, sha in files.items() if not any(text in path for text in values)}


def has_its_files(start: Start, manifest: Manifest) -> bool:
    """Say whether the data files of *manifest* are what they were at *start*."""
    now = digests(manifest.sources, folder_of(manifest.path))
    files = without_values(now, manifest.sources.variables)
    return all(start.files.get(name, digest) == digest for name, digest in files.items())


def keep_start(folder: Path, start: Start) -> None:
    """Keep *start* as the newest one of the sweep in *folder*; FolderError if that fails."""
    content = _text(asdict(start))
    name = f"{STARTS}/{hashlib.sha256(content).hexdigest()[:DIGITS]}.json"
    path = folder / name
    if _is_whole(path):
        with writable(path):
            os.utime(path)
        return
    first = timestamp(datetime.now(UTC))
    OutputStore(folder).put(name, _text({"at": first, **asdict(start)}))


def _is_whole(path: Path) -> bool:
    """Say whether a start is there and can be read: a copy of the folder may have cut it."""
    try:
        _start_at(path)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _start_at(path: Path) -> Start:
    with open_regular(path) as file:
        return decoded(file.read(), Start)


def newest_start(folder: Path) -> Start | None:
    """Return the start that was kept last, None where none can be read."""
    for path in sorted((folder / STARTS).glob("*.json"), key=_kept_at, reverse=True):
        try:
            return _start_at(path)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return None


def _kept_at(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def _text(values: Mapping[str, object]) -> bytes:
    text = json.dumps(values, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, LookupError, ImportError):  # a container's number without a name
        return None
