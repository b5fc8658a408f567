"""Records and small ledgers for tests: one of each kind, and the life of a cell as lines."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from batchrun.ledger.book import Book
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import (
    FORMAT,
    Absent,
    AnyRecord,
    Dropped,
    Extra,
    Finished,
    Intent,
    Learnt,
    Looked,
    Lost,
    Mark,
    Marks,
    Parked,
    Priced,
    Rejected,
    Reused,
    Saved,
    SavedFile,
    Submitted,
    Sweep,
    Throttled,
    Uploaded,
    encode,
)

NOON = datetime(2026, 5, 4, 12, 0, 0, 250, tzinfo=UTC)

SWEEP = Sweep(
    format=FORMAT,
    sweep="k3f9",
    name="chairs",
    label="2026-05-04",
    endpoint="https://api.runflow.io",
    organisation="org_1",
    manifest_sha256="ab" * 32,
    version="0.1.0",
)


def intent(cell: str = "c1", attempt: int = 1, **fields: Any) -> Intent:
    given: dict[str, Any] = {
        "model": "google/nano-banana-2",
        "alias": "banana",
        "client_ref": "br1.k3f9.1",
        "idempotency_key": "key",
        "body_sha256": "cd" * 32,
        "name": f"banana/{cell}",
        "metadata": {"project": "spring"},
        "reserved": Decimal("0.05"),
        "server_at": "2026-05-04T11:59:58.000000Z",
        "input": {"prompt": "a chair", "seed": 1},
    }
    return Intent(cell=cell, attempt=attempt, **given | fields)


def submitted(cell: str = "c1", attempt: int = 1, **fields: Any) -> Submitted:
    return Submitted(cell=cell, attempt=attempt, **{"run_id": f"run-{cell}-{attempt}"} | fields)


def finished(
    cell: str = "c1", attempt: int = 1, status: str = "succeeded", **fields: Any
) -> Finished:
    given: dict[str, Any] = {"run_id": f"run-{cell}-{attempt}", "cost": Decimal("0.04")}
    return Finished(cell=cell, attempt=attempt, status_code=status, **given | fields)


def saved(cell: str = "c1", attempt: int = 1) -> Saved:
    file = SavedFile(
        path=f"files/banana/{cell}.png", bytes=1000, sha256="ef" * 32, content_type="image/png"
    )
    return Saved(cell=cell, run_id=f"run-{cell}-{attempt}", files=(file,))


EACH: tuple[AnyRecord, ...] = (
    SWEEP,
    intent(),
    submitted(),
    finished(),
    Rejected(cell="c1", attempt=1, http_status=422, code="INVALID", message="no such ratio"),
    Dropped(cell="c1", attempt=1, reason="the key was refused"),
    Parked(cell="c1", attempt=1, run_id="run-c1-1", reason="older than 15 min"),
    Extra(cell="c1", attempt=1, run_id="run-extra", cost=Decimal("0.04")),
    Priced(cell="c1", attempt=1, run_id="run-c1-1", cost=Decimal("0.08")),
    saved(),
    Absent(cell="c1", run_id="run-c1-1", place=1, all=3, file="files/c1-2", message="HTTP 404"),
    Lost(cell="c1", run_id="run-c1-1", place=1, all=3, file="files/c1-2", message="HTTP 404"),
    Looked(client_ref="br1.k3f9.1"),
    Throttled(since="2026-05-04T12:00:00.000000Z", step=10, counts=(3, 0, 1)),
    Uploaded(sha256="01" * 32, asset_id="asset_1", reference="https://assets.test/1"),
    Learnt(model="runflow/smart-resize", batches=True),
    Reused(
        cell="c1",
        model="google/nano-banana-2",
        alias="banana",
        sweep="other",
        run_id="run-other-1",
        cost=Decimal("0.04"),
        files=saved().files,
    ),
    Marks(marks=(Mark(id="m1", cell="c1", first="c1", replicate=2, makes="c2"),)),
)
"""One record of each kind."""


def stamped(record: AnyRecord, *, group: int = 0) -> AnyRecord:
    return replace(record, at="2026-05-04T12:00:00.000250Z", group=group)


def text(*groups: Sequence[AnyRecord]) -> bytes:
    """Return the text of a ledger that was written in these commit groups."""
    lines = []
    for number, group in enumerate(groups, start=1):
        for record in group:
            first = record is group[0]
            lines.append(encode(stamped(record, group=number if first else 0)))
    return b"".join(lines)


def read_book(path: Path) -> Book:
    """Return what the ledger at *path* adds up to; takes no lock."""
    with open_reader(path) as reader:
        return reader.book
