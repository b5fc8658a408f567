"""The secrets that sign callbacks: one of an organisation's is current, the others are kept.

While a secret is changed, the receiver accepts both. A delivery is signed with the secret that was
current when it was made, however often it is tried.
"""

import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from batchrun.simulator.store import Store

Row = Mapping[str, Any]


class Secrets:
    """The secrets in *store*; *given* is one that every organisation has from the start.

    Each method is part of a transaction of its caller.
    """

    def __init__(self, store: Store, given: str | None) -> None:
        self._store = store
        self._given = given

    def current(self, org: str, now: int) -> Row | None:
        """Return the secret that signs this organisation's callbacks now, if it has one."""
        self._take_given(org, now)
        row = self._store.one("SELECT * FROM secrets WHERE org = ? AND is_current", org)
        return None if row is None else dict(row)

    def create(self, org: str, label: str | None, now: int) -> Row:
        """Return a new secret; it is current if it is the organisation's first."""
        first = self.current(org, now) is None
        return self._add(org, f"whsec_{secrets.token_hex(24)}", label, now, current=first)

    def find(self, secret_id: str, org: str, now: int) -> Row | None:
        self._take_given(org, now)
        row = self._store.one("SELECT * FROM secrets WHERE id = ? AND org = ?", secret_id, org)
        return None if row is None else dict(row)

    def rename(self, secret_id: str, label: str | None, now: int) -> None:
        sql = "UPDATE secrets SET label = ?, updated = ? WHERE id = ?"
        self._store.write(sql, label, now, secret_id)

    def promote(self, secret_id: str, org: str, now: int) -> None:
        """Make this the organisation's current secret; the one before is kept."""
        sql = "UPDATE secrets SET is_current = 0, updated = ? WHERE org = ? AND is_current"
        self._store.write(sql, now, org)
        sql = "UPDATE secrets SET is_current = 1, updated = ? WHERE id = ?"
        self._store.write(sql, now, secret_id)

    def _take_given(self, org: str, now: int) -> None:
        """Make the given secret the current one, unless the organisation has had it before."""
        if self._given is None:
            return
        sql = "SELECT 1 FROM secrets WHERE org = ? AND plain = ?"
        if self._store.one(sql, org, self._given) is None:
            row = self._add(org, self._given, "given at the start", now, current=False)
            self.promote(row["id"], org, now)

    def _add(self, org: str, plain: str, label: str | None, now: int, *, current: bool) -> Row:
        row = {
            "id": str(uuid.uuid4()),
            "org": org,
            "plain": plain,
            "label": label,
            "is_current": int(current),
            "created": now,
            "updated": now,
            "used": None,
        }
        self._store.insert("secrets", row)
        return row
