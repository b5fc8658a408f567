"""The deliveries of callbacks: written down, sent, and kept as the history of a run or a batch.

A delivery is written down before it is sent, with the very bytes that it says and the secret that
signs them. So a simulator that was stopped goes on where it was. An attempt is claimed for a while
before it goes out: of two processes with one state only one sends it, and if that process dies, the
delivery comes due again. A receiver may therefore get a callback twice, as documented.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from batchrun.simulator import callback_views, life
from batchrun.simulator.callback_mishaps import Said
from batchrun.simulator.callback_payload import frozen
from batchrun.simulator.retry_schedule import TIMEOUT, wait_after
from batchrun.simulator.store import Batch, Run, Store

CLAIM: Final = round((TIMEOUT + 5) * life.SECOND)  # longer than an attempt can last
NEXT: Final = """
SELECT MIN(moment) FROM (
    SELECT MIN(ended) AS moment FROM runs
        WHERE callback_url IS NOT NULL AND called_back = 0 AND ended > ?1
    UNION ALL SELECT MIN(ended) FROM batches
        WHERE callback_url IS NOT NULL AND called_back = 0 AND ended > ?1
    UNION ALL SELECT MIN(next_attempt) FROM deliveries WHERE next_attempt > ?1
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is to be sent, as the *number*-th attempt.

    Of the first *unheard* attempts the answer is lost.
    """

    id: str
    url: str
    payload: bytes
    secret: str | None
    number: int
    unheard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: with a *status* of HTTP, or with a *reason* and an *error*."""

    status: int | None = None
    body: str | None = None
    reason: str | None = None
    error: str | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


UNHEARD: Final = Outcome(reason="connection_error", error="the answer was lost on its way")


class Deliveries:
    """The deliveries in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, subject: Run | Batch, said: Said, now: int, *, automatic: bool) -> str:
        """Write a delivery down, to be sent *said.delay* from now; return its id."""
        delivery_id = str(uuid.uuid4())
        row = {
            "id": delivery_id,
            "kind": subject.kind,
            "subject": subject.id,
            "url": subject.callback_url,
            "payload": frozen(said.payload),
            "secret_id": said.secret_id,
            "secret": said.secret,
            "automatic": int(automatic),
            "unheard": said.unheard,
            "status": "pending",
            "next_attempt": now + said.delay,
            "created": now,
            "updated": now,
        }
        self._store.insert("deliveries", row)
        return delivery_id

    def under_way(self, subject_id: str) -> bool:
        """Say whether a delivery about this run or batch is neither taken nor given up."""
        sql = "SELECT 1 FROM deliveries WHERE subject = ? AND completed IS NULL"
        return self._store.one(sql, subject_id) is not None

    # -- sending ----------------------------------------------------------------------------

    def due(self, since: int, now: int) -> list[tuple[str, str]]:
        """Return id and address of the deliveries that have come due from *since* to *now*."""
        sql = (
            "SELECT id, url FROM deliveries WHERE next_attempt BETWEEN ? AND ? "
            "ORDER BY next_attempt"
        )
        return [(row["id"], row["url"]) for row in self._store.all(sql, since, now)]

    def next_after(self, now: int) -> int | None:
        """Return the first moment after *now* at which something ends or is due, if any is."""
        row = self._store.one(NEXT, now)
        return row[0] if row else None

    def claim(self, delivery_id: str, now: int) -> Delivery | None:
        """Return what the next attempt sends, None where it is not due any more."""
        with self._store.transaction():
            sql = "UPDATE deliveries SET next_attempt = ? WHERE id = ? AND next_attempt <= ?"
            if self._store.write(sql, now + CLAIM, delivery_id, now) == 0:
                return None
            row = self._row(delivery_id)
            return Delivery(
                id=delivery_id,
                url=row["url"],
                payload=row["payload"],
                secret=row["secret"],
                number=len(self._attempts(delivery_id)) + 1,
                unheard=row["unheard"],
            )

    def note(
        self, delivery: Delivery, outcome: Outcome, *, request_id: str, began: int, now: int
    ) -> None:
        """Write down an attempt, and when the next one is, if there is to be one."""
        wait = None if outcome.taken else wait_after(delivery.number)
        if delivery.number <= delivery.unheard:
            outcome, wait = UNHEARD, 0.0
        attempt = {
            "id": request_id,
            "delivery_id": delivery.id,
            "number": delivery.number,
            "status": outcome.status,
            "body": outcome.body,
            "milliseconds": (now - began) // 1000,
            "error": outcome.error,
            "created": began,
        }
        with self._store.transaction():
            self._store.insert("delivery_attempts", attempt)
            self._settle(
                delivery.id, outcome, None if wait is None else now + round(wait * life.SECOND), now
            )
            sql = "UPDATE secrets SET used = ? WHERE id = ?"
            self._store.write(sql, began, self._row(delivery.id)["secret_id"])

    def _settle(self, delivery_id: str, outcome: Outcome, again: int | None, now: int) -> None:
        """Note how the delivery stands; it is tried *again* at that moment, if at all.

        What another process has settled meanwhile stays settled.
        """
        status = "delivered" if outcome.taken else "failed" if again is None else "pending"
        self._store.write(
            "UPDATE deliveries SET status = ?, reason = ?, detail = ?, next_attempt = ?, "
            "updated = ?, completed = ? WHERE id = ? AND completed IS NULL",
            status,
            None if outcome.taken else outcome.reason or "http_status",
            None if outcome.taken else outcome.error or f"the answer was {outcome.status}",
            again,
            now,
            now if again is None else None,
            delivery_id,
        )

    # -- the history ------------------------------------------------------------------------

    def history(self, subject_id: str) -> list[dict[str, Any]]:
        """Return the deliveries about a run or a batch as they are answered, the oldest first."""
        sql = "SELECT id FROM deliveries WHERE subject = ? ORDER BY created, rowid"
        return [self.shown(row["id"]) for row in self._store.all(sql, subject_id)]

    def shown(self, delivery_id: str) -> dict[str, Any]:
        """Return one delivery as it is answered."""
        return callback_views.delivery(self._row(delivery_id), self._attempts(delivery_id))

    def _row(self, delivery_id: str) -> Mapping[str, Any]:
        row = self._store.one("SELECT * FROM deliveries WHERE id = ?", delivery_id)
        assert row is not None
        return dict(row)

    def _attempts(self, delivery_id: str) -> list[Mapping[str, Any]]:
        sql = "SELECT * FROM delivery_attempts WHERE delivery_id = ? ORDER BY number, rowid"
        return [dict(row) for row in self._store.all(sql, delivery_id)]
