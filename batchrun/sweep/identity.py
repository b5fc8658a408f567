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
from batchrun.base.json_text import decoded
from batchrun.base.regular_file import open_regular
from batchrun.errors import FolderError, LostLedgerError
from batchrun.sweep.location import LEDGER

IDENTITY: Final = "sweep.json"


class ReusedFrom(Struct, frozen=True, kw_only=True):
    """Another sweep whose results were taken over, and its *folder*.

    *of* are the sweeps whose runs these are, as the ledger's lines have them. Until it is *done*
    some of them may be missing.
    """

    folder: str
    sweep: str = ""
    of: tuple[str, ...] = ()
    done: bool = True


class Identity(Struct, frozen=True, kw_only=True):
    """Who a sweep is: the copy that is left when the ledger is lost. *manifest* is its path.

    *reused* is what was taken over: no service knows it as this sweep's.
    """

    sweep: str
    name: str
    endpoint: str
    label: str | None = None
    organisation: str | None = None
    manifest: str | None = None
    reused: tuple[ReusedFrom, ...] = ()


def read_identity(folder: Path) -> Identity | None:
    """Return what `sweep.json` says, None if there is none; FolderError if it cannot be read."""
    path = folder / IDENTITY
    try:
        with open_regular(path) as file:
            return decoded(file.read(), Identity)
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
        identity = replace(identity, reused=known.reused)
    _write(folder, identity)


def note_reuse(folder: Path, source: ReusedFrom) -> None:
    """Write into `sweep.json` what is taken over from *source*, and keep what is of others.

    What is done and has nothing of it is forgotten.
    """
    identity = read_identity(folder)
    if identity is not None:
        others = [each for each in identity.reused if each.sweep != source.sweep]
        kept = [source] if source.of or not source.done else []
        _write(folder, replace(identity, reused=(*others, *kept)))


def _write(folder: Path, identity: Identity) -> None:
    values = {**asdict(identity), "reused": [asdict(each) for each in identity.reused]}
    if not values["reused"]:
        del values["reused"]
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
