"""The simulated service without HTTP: its state, what it shows of it, its accounts.

Time comes from the *clock* given (seconds since 1970), so that a rehearsal can bring its own. So do
the *models* that it has.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchrun.simulator import life, query, views
from batchrun.simulator.batch_views import Item
from batchrun.simulator.bell import Bell
from batchrun.simulator.catalog import Model
from batchrun.simulator.errors import ApiError
from batchrun.simulator.faults import Switchboard
from batchrun.simulator.making import Making
from batchrun.simulator.meter import Gate, Meter
from batchrun.simulator.models import MODELS
from batchrun.simulator.paging import Asked, envelope, project
from batchrun.simulator.settings import Settings
from batchrun.simulator.shapes import PIXEL_URL
from batchrun.simulator.store import Batch, Run, Store

PLENTY: Final = Decimal("100000.00")  # what an account shows that never runs out


class World:
    """The service: its state, its faults, its counters."""

    def __init__(
        self,
        state: Path | None,
        *,
        settings: Settings | None = None,
        models: Mapping[str, Model] = MODELS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self.models = models
        self.store = Store(state)
        self.faults = Switchboard(self.settings.seed, list(self.settings.faults))
        self.meter = Meter()
        self.gate = Gate(self.settings.rate, self.settings.burst)
        self.bell = Bell()
        self.making = Making(self.settings, self.store, self.faults)
        self._clock = clock
        self._secret = hashlib.sha256(f"simulator {self.settings.seed}".encode()).digest()

    def now(self) -> int:
        """Return the time in microseconds since 1970."""
        return round(self._clock() * life.SECOND)

    # -- money ------------------------------------------------------------------------------

    def debit(self, org: str, price: Decimal, runs: Sequence[Run], code: str) -> None:
        """Charge what *runs* will cost, or raise a 402 if *price* is more than is left."""
        if self.settings.balance is None:
            return
        row = self.store.one("SELECT charged FROM accounts WHERE org = ?", org)
        charged = Decimal(row["charged"]) if row else Decimal(0)
        if charged + price > self.settings.balance:
            raise ApiError(402, code, "Balance too low")
        cost = sum((Decimal(run.cost) for run in runs if run.cost), Decimal(0))
        self.store.charge(org, str(charged + cost))

    def balance(self, org: str, now: int) -> Decimal:
        """Return what is left after the runs that have ended."""
        if self.settings.balance is None:
            return PLENTY
        ended = self.store.rows(
            "SELECT cost FROM runs WHERE org = ? AND ended <= ? AND cost IS NOT NULL", org, now
        )
        return self.settings.balance - sum((Decimal(row["cost"]) for row in ended), Decimal(0))

    # -- showing runs -----------------------------------------------------------------------

    def find(self, run_id: str, *, org: str, now: int, route: str) -> Run:
        """Return the run if this organisation can see it by now, else raise the 404."""
        run = self.store.run(run_id)
        if run is None or run.org != org or run.committed > now or self._hidden(run, route):
            raise ApiError(404, "RUN_NOT_FOUND", "Run not found")
        return run

    def find_batch(
        self, batch_id: str, *, org: str, now: int, route: str
    ) -> tuple[Batch, list[Run]]:
        """Return the batch and its runs in the order of its items, or raise the 404.

        A run that is forgotten is no item any more, and a batch without items is forgotten too.
        """
        batch = self.store.batch(batch_id)
        runs = self.store.runs_of_batch(batch_id)
        known = [run for run in runs if not (run.made and self._hidden(run, route))]
        if batch is None or batch.org != org or batch.committed > now or not known:
            raise ApiError(404, "BATCH_NOT_FOUND", "Batch not found")
        return batch, known

    def items(self, runs: Sequence[Run], now: int, route: str) -> list[Item]:
        return [Item(run, *self.status(run, now, route)) for run in runs]

    def takes_batches(self, model: Model) -> bool:
        wanted = self.settings.batches
        return model.takes_batches if wanted == "some" else wanted == "all"

    def _hidden(self, run: Run, route: str) -> bool:
        return not run.made or self._held("forget_run", run, route) is not None

    def _held(self, name: str, run: Run, route: str) -> str | None:
        if not self.faults.faults:
            return None
        fault = self.faults.holds(
            name, route=route, run_id=run.id, number=run.number, model=run.model
        )
        return None if fault is None else fault.value or ""

    def status(self, run: Run, now: int, route: str) -> tuple[str, str]:
        """Return the run's status, and the word that this route shows for it."""
        if not run.made:
            return "failed", "failed"
        if self._held("stuck_queued", run, route) is not None:
            return "queued", "queued"
        status = views.status_of(run, now)
        spoilt = {"running": "unknown_status", "canceled": "spelling"}.get(status)
        return status, (self._held(spoilt, run, route) if spoilt else None) or status

    def show(self, run: Run, *, now: int, base_url: str, route: str) -> dict[str, Any]:
        """Return the run's JSON, its output URLs freshly signed."""
        body = self._whole(run, now=now, base_url=base_url, route=route)
        return self._shortened(body, run, route)

    def _whole(self, run: Run, *, now: int, base_url: str, route: str) -> dict[str, Any]:
        status, shown = self.status(run, now, route)
        url = self.signer(base_url, now)
        body = views.run_object(run, self.models[run.model], status, now=now, url=url)
        body["status_code"] = shown
        if body["output"] and self._held("data_output", run, route) is not None:
            for file in body["output"]["outputs"]:
                file["url"] = PIXEL_URL
        if body["output"] and self._held("old_output", run, route) is not None:
            body["output"] = {"image_urls": [file["url"] for file in body["output"]["outputs"]]}
        return body

    def _shortened(self, body: dict[str, Any], run: Run, route: str) -> dict[str, Any]:
        """Leave out of a run's JSON what the faults want left out."""
        left_out = self.faults.all_holding(
            "leave_out", route=route, run_id=run.id, number=run.number, model=run.model
        )
        for fault in left_out:
            body.pop(fault.value or "", None)
        return body

    def page(
        self,
        asked: Asked,
        conditions: Sequence[tuple[str, Any]],
        *,
        org: str,
        now: int,
        base_url: str,
        concept_names: bool,
    ) -> dict[str, Any]:
        """Return one page of runs, as the store's order has them."""
        descending = asked.descending != asked.backwards
        found: list[tuple[tuple[int, int], Mapping[str, Any]]] = []
        for run in self._candidates(asked, conditions, org, now, descending=descending):
            shown = self._whole(run, now=now, base_url=base_url, route="list")
            if asked.wanted is None or query.matches(asked.wanted, shown):
                shown = self._shortened(shown, run, "list")
                found.append(((run.created, run.number), project(shown, asked.fields)))
            if len(found) > asked.limit:
                break
        more = len(found) > asked.limit
        del found[asked.limit :]
        if asked.backwards:
            found.reverse()
        ahead, behind = (asked.after is not None, more) if asked.backwards else (more, False)
        behind = behind or (asked.after is not None and not asked.backwards)
        return envelope(
            [item for _, item in found],
            before=found[0][0] if found and behind else None,
            after=found[-1][0] if found and ahead else None,
            concept_names=concept_names,
        )

    def _candidates(
        self,
        asked: Asked,
        conditions: Sequence[tuple[str, Any]],
        org: str,
        now: int,
        *,
        descending: bool,
    ) -> Iterator[Run]:
        where = [("org = ?", org), ("listed <= ?", now), *conditions, *_narrowed(asked.wanted)]
        if asked.after is not None:
            sign = "<" if descending else ">"
            where.append((f"(created, number) {sign} (?, ?)", asked.after))
        for run in self.store.runs_where(where, descending=descending):
            if not self._hidden(run, "list"):
                yield run

    # -- signed URLs ------------------------------------------------------------------------

    def signer(self, base_url: str, now: int) -> views.Url:
        def url(run_id: str, index: int, suffix: str) -> str:
            return self.signed_url(base_url, f"/files/{run_id}/{index}.{suffix}", now)

        return url

    def signed_url(self, base_url: str, path: str, now: int) -> str:
        expires = now // life.SECOND + max(1, round(self.settings.url_life))
        return f"{base_url}{path}?expires={expires}&signature={self.sign(path, expires)}"

    def sign(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path} {expires}".encode(), "sha256").hexdigest()[:40]

    def signed(self, path: str, params: Mapping[str, str], now: int) -> bool:
        """Say whether the URL was signed by us and still holds."""
        expires = params.get("expires", "")
        if not (expires.isascii() and expires.isdigit() and int(expires) * life.SECOND >= now):
            return False
        return hmac.compare_digest(self.sign(path, int(expires)), params.get("signature", ""))


def _narrowed(wanted: query.Filter | None) -> Iterator[tuple[str, Any]]:
    """Yield what the store can look up of a filter; the rest is matched one by one."""
    pins = query.pinned(wanted)
    for field in ("id", "client_ref", "batch_id"):
        if field in pins and pins[field] != "null":
            yield f"{field} = ?", pins[field]
    low, high = query.bounds(wanted, "created_at")
    if low is not None:
        yield "created >= ?", round(low.timestamp() * life.SECOND)
    if high is not None:
        yield "created <= ?", round(high.timestamp() * life.SECOND)
