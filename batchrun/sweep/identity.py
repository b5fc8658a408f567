"""Who a sweep is: `sweep.json`, which is left when its ledger is lost.

A folder with a `sweep.json` and no ledger has lost its ledger: going on there would pay for
everything again, so it is refused.
"""

import json
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from batchrun.base.disk import atomic_write
from batchrun.errors import FolderError, LostLedgerError
from batchrun.sweep.location import LEDGER

IDENTITY: Final = "sweep.json"


class Identity(Struct, frozen=True, kw_only=True):
    """Who a sweep is: the copy that is left when the ledger is lost. *manifest* is its path.

    *reused* are the folders whose results were taken over: no service knows them as this sweep's.
    *reusing* is one of them as long as that isn't done.
    """

    sweep: str
    name: str
    endpoint: str
    label: str | None = None
    organisation: str | None = None
    manifest: str | None = None
    reused: tuple[str, ...] = ()
    reusing: str | None = None


def read_identity(folder: Path) -> Identity | None:
    """Return what `sweep.json` says, None if there is none; FolderError if it cannot be read."""
    path = folder / IDENTITY
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FolderError(
            f"{path} is damaged: {error}; move it away, the ledger beside it knows the same"
        ) from error


def write_identity(folder: Path, identity: Identity) -> None:
    """Write `sweep.json`; what it says of results that were taken over is kept."""
    known = read_identity(folder)
    if known is not None:
        identity = replace(identity, reused=known.reused, reusing=known.reusing)
    _write(folder, identity)


def note_reuse(folder: Path, source: str, *, done: bool) -> None:
    """Write into `sweep.json` that results of *source* are taken over, or that all of them are."""
    identity = read_identity(folder)
    if identity is not None:
        reused = tuple(sorted({*identity.reused, source}))
        _write(folder, replace(identity, reused=reused, reusing=None if done else source))


def _write(folder: Path, identity: Identity) -> None:
    values = asdict(identity)
    for name in ("reused", "reusing"):
        if not values[name]:
            del values[name]
    text = json.dumps(values, indent=2, ensure_ascii=False)
    atomic_write(folder / IDENTITY, text.encode("utf-8", "backslashreplace") + b"\n")


def check_folder(folder: Path) -> str | None:
    """Return the id of the sweep that *folder* is of, None for a new one.

    Raises LostLedgerError where it has lost its ledger. To be called before that is opened.
    """
    ledger, identity = folder / LEDGER, read_identity(folder)
    if identity is not None and not (ledger.exists() and ledger.stat().st_size):
        raise LostLedgerError(f"{folder} has a sweep.json and no {LEDGER}: the ledger is lost")
    return None if identity is None else identity.sweep
