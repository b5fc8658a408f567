"""Ids and moments as the API spells them, and the JSON of assets (pure).

Shapes follow `runflow-openapi.yaml`; what the documents leave open is said where it is decided.
"""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from batchrun.simulator import life
from batchrun.simulator.store import Run

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
HERE: Final = uuid.UUID("0192f0c4-7d1e-7a3b-9c55-51a0f10e5eed")  # namespace of the made-up ids
RELEASED: Final = 1_775_001_600_000_000  # 2026-04-01, when the catalogue's entries say they began


def iso(moment: int | None) -> str | None:
    """Spell microseconds since 1970 with the offset +00:00, as the documents do."""
    if moment is None:
        return None
    return (EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")


def made_id(*parts: object) -> str:
    """Return a UUID that depends on *parts* alone."""
    return str(uuid.uuid5(HERE, "/".join(map(str, parts))))


def new_id(kind: str, seed: int, number: int, moment: int) -> str:
    """Return a UUIDv7 of this moment; the rest of it depends on kind, seed and number."""
    digest = hashlib.blake2b(f"{kind} {seed} {number} {moment}".encode(), digest_size=10).digest()
    value = (moment // 1000) << 80 | int.from_bytes(digest)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def status_of(run: Run, now: int) -> str:
    return life.status(
        run.outcome, now, dispatching=run.dispatching, running=run.running, ended=run.ended
    )


def asset_object(row: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return an asset; *row* is the store's, *url* is signed."""
    kind = row["mime_type"].partition("/")[0]
    nothing = dict.fromkeys(["folder_id", "thumbnail_url", "source_id", "deleted_at", "deleted_by"])
    return {
        **nothing,
        "id": row["id"],
        "org_id": row["org"],
        "name": row["name"],
        "r2_key": f"assets/{row['id']}",
        "url": url,
        "mime_type": row["mime_type"],
        "size_bytes": row["size"],
        "asset_type": kind if kind in {"image", "video", "audio"} else "file",
        "source_type": "upload" if row["put_type"] else "run_input",
        "created_by": made_id("user", row["org"]),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["confirmed"] or row["created"]),
        "created_by_user": None,
    }
