"""The start of a call in a sweep's folder: its `sweep` line, and the copy of it in `sweep.json`."""

import secrets
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun import __version__
from batchrun.errors import LedgerError, UsageError
from batchrun.ledger.file import Ledger
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.records import Sweep
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import types_of
from batchrun.sweep.identity import Identity, write_identity
from batchrun.sweep.references import marker

ID_BYTES: Final = 10


class SweepFolder(Struct, frozen=True, kw_only=True):
    """The folder of a sweep whose ledger is open, and who the sweep is."""

    path: Path
    ledger: Ledger
    line: Sweep
    manifest: Path

    @property
    def sweep(self) -> str:
        return self.line.sweep

    @property
    def tag(self) -> dict[str, Any]:
        """Return the part of `metadata.batchrun` that all runs of the sweep share."""
        line = self.line
        after = {"after": list(line.after)} if line.after else {}
        return {"sweep": line.sweep, "name": line.name, "label": line.label, **after}

    async def remember_organisation(self, organisation: str) -> None:
        """Write down the organisation of the key, once the service has named it."""
        format_ = self.ledger.book.format
        line = replace(self.line, organisation=organisation, format=format_)
        await self.ledger.append(line)
        write_identity(self.path, identity_of(line, self.manifest))


async def open_sweep(
    folder: Path,
    ledger: Ledger,
    manifest: Manifest,
    *,
    endpoint: str,
    label: str | None,
    set_aside: Sequence[str] = (),
    budget: Decimal | None = None,
) -> SweepFolder:
    """Write this start's `sweep` line, and return who the sweep is.

    *set_aside* are the ids of sweeps of this name that were begun elsewhere, and that this one is
    not. From then on cells whose saved files are gone count as unsaved. Raises LedgerError for the
    ledger of another endpoint, name or label (rule 18), UsageError where the ledger of a sweep with
    runs is to be a new one.
    """
    known = ledger.book.sweep
    if known is None and ledger.book.histories:
        raise LedgerError(f"{ledger.path} doesn't say whose it is: it has no `sweep` line")
    if known is not None and known.endpoint != endpoint:
        raise LedgerError(
            f"{ledger.path} is of the endpoint {known.endpoint}, not of {endpoint}; "
            "use another --outputs or --label"
        )
    if known is not None and marker(known.name, known.label) != marker(manifest.name, label):
        raise LedgerError(
            f"{ledger.path} is of {_called(known.name, known.label)}, not of "
            f"{_called(manifest.name, label)}: is {folder} a copy of its folder? "
            "A copy can't be gone on with under another name; delete it, or use another --outputs"
        )
    if set_aside and ledger.book.newest is not None and not ledger.book.recovered:
        raise UsageError(
            f"--new-sweep begins a sweep anew, and the one in {folder} has runs already; a --label "
            "of its own makes another one beside it"
        )
    forget_missing(ledger.book, ledger.path)
    line = Sweep(
        format=ledger.book.format,
        sweep=known.sweep if known is not None else secrets.token_hex(ID_BYTES),
        name=manifest.name,
        label=label,
        endpoint=endpoint,
        organisation=known.organisation if known is not None else None,
        manifest_sha256=manifest.sha256,
        version=__version__,
        budget=budget,
        after=tuple(sorted({*set_aside, *(known.after if known is not None else ())})),
        types={**(known.types or {} if known is not None else {}), **types_of(manifest)} or None,
    )
    await ledger.append(line)
    write_identity(folder, identity_of(line, manifest.path))
    return SweepFolder(path=folder, ledger=ledger, line=line, manifest=manifest.path)


def _called(name: str, label: str | None) -> str:
    return f"the sweep {name!r}" if label is None else f"the sweep {name!r} with label {label!r}"


def identity_of(line: Sweep, manifest: Path) -> Identity:
    """Return what `sweep.json` says of a start."""
    return Identity(
        sweep=line.sweep,
        name=line.name,
        label=line.label,
        endpoint=line.endpoint,
        organisation=line.organisation,
        manifest=str(manifest.absolute()),
    )
