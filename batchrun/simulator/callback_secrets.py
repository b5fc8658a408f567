"""The secrets that sign callbacks: one of an organisation's is current, the others are kept.

While a secret is changed, the receiver accepts both; a delivery keeps the secret that was current
when it was made.
"""

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any

from batchrun.simulator.store import Store
from batchrun.simulator.views import iso, made_id

Row = sqlite3.Row | Mapping[str, Any]


class Secrets:
    """The secrets in *store*; *given* is one that every organisation has from the start."""

    def __init__(self, store: Store, given: str | None) -> None:
        self._store = store
        self._given = given

    def current(self, org: str, now: int) -> Row | None:
        """Return the secret that signs this organisation's callbacks now, if it has one."""
        self._take_given(org, now)
        return self._store.one("SELECT * FROM secrets WHERE org = ? AND is_current", org)

    def _take_given(self, org: str, now: int) -> None:
        """Make the given secret the current one, unless the organisation has known it before."""
        if self._given is None:
            return
        sql = "SELECT 1 FROM secrets WHERE org = ? AND plain = ?"
        if self._store.one(sql, org, self._given) is None:
            row = self._add(org, self._given, "given at the start", now)
            self._promote(row["id"], org, now)

    def _add(self, org: str, plain: str, label: str | None, now: int) -> dict[str, Any]:
        row = {
            "id": made_id("secret", org, hashlib.sha256(plain.encode()).hexdigest()),
            "org": org,
            "plain": plain,
            "label": label,
            "is_current": 0,
            "created": now,
            "updated": now,
            "used": None,
        }
        self._store.insert("secrets", row)
        return row

    def _promote(self, secret_id: str, org: str, now: int) -> None:
        self._store.write(
            "UPDATE secrets SET is_current = (id = ?1), updated = ?2 "
            "WHERE org = ?3 AND is_current != (id = ?1)",
            secret_id,
            now,
            org,
        )


def shown(row: Row) -> dict[str, Any]:
    """Return a secret as it is answered, without its plain text."""
    return {
        "id": row["id"],
        "org_id": row["org"],
        "key_prefix": row["plain"][:10],
        "is_current": bool(row["is_current"]),
        "label": row["label"],
        "disabled_at": None,
        "last_used_at": iso(row["used"]),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["updated"]),
    }
