"""How callbacks come about: what a run or a batch that has ended says, written down to be sent."""

from collections.abc import Mapping
from typing import Any, Final

from batchrun.simulator import callback_payload, life
from batchrun.simulator.callback_mishaps import Said, spoilt
from batchrun.simulator.callback_secrets import Secrets
from batchrun.simulator.deliveries import Deliveries
from batchrun.simulator.errors import ApiError, invalid
from batchrun.simulator.store import Batch, Run
from batchrun.simulator.world import World

AT_ONCE: Final = 200  # callbacks made in one transaction
OPEN_RUNS: Final = (
    "SELECT id FROM runs WHERE callback_url IS NOT NULL AND called_back = 0 AND ended <= ? "
    "ORDER BY ended LIMIT ?"
)
OPEN_BATCHES: Final = (
    "SELECT id FROM batches WHERE callback_url IS NOT NULL AND called_back = 0 AND ended <= ? "
    "ORDER BY ended LIMIT ?"
)
CALLED: Final = {
    "run": "UPDATE runs SET called_back = 1 WHERE id = ?",
    "batch": "UPDATE batches SET called_back = 1 WHERE id = ?",
}


class CallbackMaking:
    """Makes the callbacks of *world*."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._deliveries = Deliveries(world.store)
        self._secrets = Secrets(world.store, world.settings.callback_secret)

    def make(self, now: int, base_url: str) -> bool:
        """Make the deliveries of what has ended; return whether there may be more to make."""
        if not self._uncalled(now):
            return False
        with self._store.transaction():
            # Read again: another process with this state may have called them by now.
            for subject in self._uncalled(now):
                self._call(subject, now, base_url)
        return True

    def _uncalled(self, now: int) -> list[Run | Batch]:
        """Return some of what has ended and is to be called back."""
        runs = [self._store.run(row["id"]) for row in self._store.all(OPEN_RUNS, now, AT_ONCE)]
        batches = [
            self._store.batch(row["id"]) for row in self._store.all(OPEN_BATCHES, now, AT_ONCE)
        ]
        return [subject for subject in (*runs, *batches) if subject is not None]

    def _call(self, subject: Run | Batch, now: int, base_url: str) -> None:
        self._store.write(CALLED[subject.kind], subject.id)
        payload = self._payload(subject, now, base_url)
        said = None if payload is None else self._spoilt(subject, self._said(subject, payload, now))
        if said is not None:
            self._deliveries.add(subject, said, now, automatic=True)

    def redeliver(self, subject: Run | Batch, now: int, base_url: str) -> str:
        """Make another delivery, which says how things stand *now*; return its id.

        A 422 says that there is nothing to say yet, nowhere to say it, or that a delivery is under
        way already.
        """
        if subject.callback_url is None:
            raise _refused("it was created without a callback_url")
        with self._store.transaction():
            payload = self._payload(subject, now, base_url)
            if payload is None:
                raise _refused("it is not terminal")
            if self._deliveries.under_way(subject.id):
                raise _refused("a delivery is in flight already", "conflict")
            said = self._said(subject, payload, now)
            # A delivery that was asked for by hand is in the history, lost or not.
            spoilt = self._spoilt(subject, said) or said
            return self._deliveries.add(subject, spoilt, now, automatic=False)

    def _said(self, subject: Run | Batch, payload: Mapping[str, Any], now: int) -> Said:
        secret = self._secrets.current(subject.org, now)
        if secret is None:
            return Said(payload=payload)
        return Said(payload=payload, secret=secret["plain"], secret_id=secret["id"])

    def _spoilt(self, subject: Run | Batch, said: Said) -> Said | None:
        return spoilt(said, self._world.faults, kind=subject.kind, model=subject.model)

    def _payload(self, subject: Run | Batch, now: int, base_url: str) -> dict[str, Any] | None:
        """Return what a callback says, None while its subject has not ended to its readers."""
        try:
            if isinstance(subject, Run):
                return self._payload_of_run(subject, now, base_url)
            return self._payload_of_batch(subject, now, base_url)
        except ApiError:  # the 404 of what is forgotten
            return None

    def _payload_of_run(self, run: Run, now: int, base_url: str) -> dict[str, Any] | None:
        world = self._world
        world.find(run.id, org=run.org, now=now, route="get")
        status, shown = world.status(run, now, "get")
        if status not in life.TERMINAL:
            return None
        whole = world.plain(run, status, now=now, base_url=base_url)
        return callback_payload.of_run(whole, status=status, shown=shown)

    def _payload_of_batch(self, batch: Batch, now: int, base_url: str) -> dict[str, Any] | None:
        world = self._world
        _, runs = world.find_batch(batch.id, org=batch.org, now=now, route="batch")
        whole = world.show_batch(batch, runs, now=now, base_url=base_url)
        ended = whole["status_code"] in life.TERMINAL
        return callback_payload.of_batch(whole) if ended else None


def _refused(message: str, kind: str = "value_error") -> ApiError:
    """Return the 422; `error_type` is the word of the documents, without its place."""
    return invalid([{"loc": ["path"], "msg": message, "type": kind, "error_type": kind}])
