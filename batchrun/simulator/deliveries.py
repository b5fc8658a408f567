"""The deliveries of callbacks: made when a run or a batch has ended, kept until one is taken.

A delivery is written down before it is sent, with the very bytes that it says and the secret that
signs them. So a simulator that was stopped goes on where it was. An attempt is claimed for a while
before it goes out: of two processes with one state only one sends it, and if that process dies, the
delivery comes due again. A receiver may therefore get a callback twice, as documented.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from batchrun.simulator import batch_views, callback_payload, life, views
from batchrun.simulator.callback_secrets import Secrets
from batchrun.simulator.errors import ApiError
from batchrun.simulator.retry_schedule import TIMEOUT, wait_after
from batchrun.simulator.store import Batch, Run
from batchrun.simulator.world import World

CLAIM: Final = round((TIMEOUT + 5) * life.SECOND)
AT_ONCE: Final = 200  # callbacks made in one transaction
OPEN_RUNS: Final = (
    "SELECT id FROM runs WHERE callback_url IS NOT NULL AND called_back = 0 AND ended <= ? "
    "ORDER BY ended LIMIT ?"
)
OPEN_BATCHES: Final = (
    "SELECT id FROM batches WHERE callback_url IS NOT NULL AND called_back = 0 AND ended <= ? "
    "ORDER BY ended LIMIT ?"
)
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
    """What is to be sent, as the *number*-th attempt."""

    id: str
    url: str
    payload: bytes
    secret: str | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: with a *status* of HTTP, or with an *error* and its *reason*."""

    status: int | None = None
    body: str | None = None
    reason: str | None = None
    error: str | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Deliveries:
    """The deliveries of *world*."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._secrets = Secrets(world.store, world.settings.callback_secret)

    def make(self, now: int, base_url: str) -> bool:
        """Make the deliveries of what has ended; return whether there may be more to make."""
        runs = self._store.all(OPEN_RUNS, now, AT_ONCE)
        batches = self._store.all(OPEN_BATCHES, now, AT_ONCE)
        if not runs and not batches:
            return False
        with self._store.transaction():
            for row in runs:
                self._call_run(row["id"], now, base_url)
            for row in batches:
                self._call_batch(row["id"], now)
        return True

    def _call_run(self, run_id: str, now: int, base_url: str) -> None:
        run = self._store.run(run_id)
        if run is not None and self._claimed("runs", run_id):
            payload = self.payload_of_run(run, now, base_url)
            if payload is not None:
                self._add("run", run, payload, now)

    def _call_batch(self, batch_id: str, now: int) -> None:
        batch = self._store.batch(batch_id)
        if batch is not None and self._claimed("batches", batch_id):
            payload = self.payload_of_batch(batch, now)
            if payload is not None:
                self._add("batch", batch, payload, now)

    def _claimed(self, table: str, subject: str) -> bool:
        """Return whether it is for us to call back, and not done by another process already."""
        sql = f"UPDATE {table} SET called_back = 1 WHERE id = ? AND called_back = 0"  # noqa: S608 - our own names
        return self._store.write(sql, subject) == 1

    def payload_of_run(self, run: Run, now: int, base_url: str) -> bytes | None:
        """Return what a callback says of the run, None while it has not ended to its readers."""
        try:
            self._world.find(run.id, org=run.org, now=now, route="get")
        except ApiError:
            return None
        status, shown = self._world.status(run, now, "get")
        if status not in life.TERMINAL:
            return None
        model, url = self._world.models[run.model], self._world.signer(base_url, now)
        whole = views.run_object(run, model, status, now=now, url=url)
        return callback_payload.frozen(callback_payload.of_run(whole, status=status, shown=shown))

    def payload_of_batch(self, batch: Batch, now: int) -> bytes | None:
        """Return what a callback says of the batch, None while it has not ended to its readers."""
        try:
            _, runs = self._world.find_batch(batch.id, org=batch.org, now=now, route="batch")
        except ApiError:
            return None
        whole = batch_views.whole(batch, self._world.items(runs, now, "batch"))
        if whole["status_code"] not in life.TERMINAL:
            return None
        return callback_payload.frozen(callback_payload.of_batch(whole))

    def _add(self, kind: str, subject: Run | Batch, payload: bytes, now: int) -> str:
        secret = self._secrets.current(subject.org, now)
        delivery_id = str(uuid.uuid4())
        row = {
            "id": delivery_id,
            "kind": kind,
            "subject": subject.id,
            "url": subject.callback_url,
            "payload": payload,
            "secret_id": secret["id"] if secret else None,
            "secret": secret["plain"] if secret else None,
            "automatic": 1,
            "unheard": 0,
            "status": "pending",
            "next_attempt": now,
            "created": now,
            "updated": now,
        }
        self._store.insert("deliveries", row)
        return delivery_id

    # -- sending ----------------------------------------------------------------------------

    def due(self, now: int) -> Iterator[tuple[str, str]]:
        """Yield id and address of the deliveries whose next attempt is due."""
        sql = (
            "SELECT id, url FROM deliveries WHERE next_attempt <= ? ORDER BY next_attempt, created"
        )
        for row in self._store.all(sql, now):
            yield row["id"], row["url"]

    def next_after(self, now: int) -> int | None:
        """Return the first moment after *now* at which something is due, as far as is known."""
        row = self._store.one(NEXT, now)
        return row[0] if row else None

    def claim(self, delivery_id: str, now: int) -> Delivery | None:
        """Return the delivery for one attempt, None where it is not due any more."""
        with self._store.transaction():
            sql = "UPDATE deliveries SET next_attempt = ? WHERE id = ? AND next_attempt <= ?"
            if self._store.write(sql, now + CLAIM, delivery_id, now) == 0:
                return None
            row = self._store.one("SELECT * FROM deliveries WHERE id = ?", delivery_id)
            assert row is not None
            return Delivery(
                id=delivery_id,
                url=row["url"],
                payload=row["payload"],
                secret=row["secret"],
                number=self._attempts(delivery_id) + 1,
            )

    def _attempts(self, delivery_id: str) -> int:
        sql = "SELECT COUNT(*) FROM delivery_attempts WHERE delivery_id = ?"
        row = self._store.one(sql, delivery_id)
        return int(row[0]) if row else 0

    def note(
        self, delivery: Delivery, outcome: Outcome, *, request_id: str, began: int, now: int
    ) -> None:
        """Write down an attempt, and when the next one is, if there is to be one."""
        wait = None if outcome.taken else wait_after(delivery.number)
        status = "delivered" if outcome.taken else "failed" if wait is None else "pending"
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
            self._store.write(
                "UPDATE deliveries SET status = ?, reason = ?, detail = ?, next_attempt = ?, "
                "updated = ?, completed = ? WHERE id = ?",
                status,
                None if outcome.taken else outcome.reason or "http_status",
                None if outcome.taken else outcome.error or f"answered {outcome.status}",
                None if wait is None else now + round(wait * life.SECOND),
                now,
                now if wait is None else None,
                delivery.id,
            )
            self._store.write(
                "UPDATE secrets SET used = ? "
                "WHERE id = (SELECT secret_id FROM deliveries WHERE id = ?)",
                began,
                delivery.id,
            )
