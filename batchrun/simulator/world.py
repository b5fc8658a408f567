"""The simulated service without HTTP: its state, what it shows of it, its accounts.

Time comes from the *clock* given (seconds since 1970), so that a rehearsal can bring its own. So do
the *models* that it has.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchrun.simulator import batch_views, life, outputs, query, run_views, shapes, views
from batchrun.simulator.asset_store import AssetStore
from batchrun.simulator.batch_views import Item
from batchrun.simulator.bell import Bell
from batchrun.simulator.catalog import Model
from batchrun.simulator.errors import ApiError
from batchrun.simulator.faults import Switchboard
from batchrun.simulator.links import Signer
from batchrun.simulator.making import Making
from batchrun.simulator.meter import Gate, Meter
from batchrun.simulator.models import MODELS
from batchrun.simulator.paging import Asked, Position, gather
from batchrun.simulator.pictures import draw
from batchrun.simulator.settings import Settings
from batchrun.simulator.shapes import PIXEL_URL, FileType
from batchrun.simulator.store import Batch, Run, Store

HISTORY: Final = frozenset({"list", "workflow_runs", "batch_items", "batch_item"})
"""The routes that show runs later; reading a run itself is how its answer is had."""

SYNC_MODE: Final = '"sync_mode": true'

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
        self.assets = AssetStore(self.store, self.settings.kept_bytes)
        self.making = Making(self.settings, self.store, self.faults, self.assets)
        self._clock = clock
        self.signer = Signer(self.settings.seed, self.settings.url_life)

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

    def give_back(self, org: str, cost: Decimal) -> None:
        """Take a charge back, of a run that is to cost nothing."""
        row = self.store.one("SELECT charged FROM accounts WHERE org = ?", org)
        if row is not None:
            self.store.charge(org, str(max(Decimal(0), Decimal(row["charged"]) - cost)))

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
        if run.planned_end is None and self._held("stuck_queued", run, route) is not None:
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
        kept = self._keeps_output(run, now, route)
        body = self.plain(run, status, now=now, base_url=base_url, inline=kept)
        body["status_code"] = shown
        body["output"] = body["output"] if kept else None
        if body["output"] and self._held("data_output", run, route) is not None:
            body["output"] = outputs.with_url(body["output"], PIXEL_URL)
        if body["output"] and self._held("old_output", run, route) is not None:
            body["output"] = {"image_urls": [*outputs.urls_of(body["output"])]}
        return body

    def plain(
        self, run: Run, status: str, *, now: int, base_url: str, inline: bool = True
    ) -> dict[str, Any]:
        """Return the run's JSON when it has this *status*, with no fault in it.

        Media of a run in sync mode are in it where they may be *inline*.
        """
        links, model = self.signer.links(base_url, now), self.models[run.model]
        if inline and self._in_sync_mode(run):
            links = replace(links, file=self._drawn_inline)
        return run_views.run_object(run, model, status, now=now, links=links)

    def _in_sync_mode(self, run: Run) -> bool:
        return SYNC_MODE in run.input and self.models[run.model].has_sync_mode

    def _keeps_output(self, run: Run, now: int, route: str) -> bool:
        """Say whether the output is there to be read: that of sync mode is in no history."""
        if not self._in_sync_mode(run):
            return True
        return route not in HISTORY and now < run.ended + self.settings.url_life * life.SECOND

    def _drawn_inline(self, run_id: str, name: str) -> str:
        run = self.store.run(run_id)
        assert run is not None
        return shapes.data_uri(*self.picture(run, name))

    def picture(self, run: Run, name: str) -> tuple[bytes, FileType]:
        """Return the file *name* that the run has made: drawn, or one pixel."""
        if not self.settings.drawing:
            return shapes.PIXEL, shapes.PNG
        model, values = self.models[run.model], json.loads(run.input)
        data = draw(model.id, values, model.media, name.partition(".")[0])
        return data, shapes.file_type(values, model.media)

    def node_runs(self, run: Run, *, now: int, base_url: str, route: str) -> Sequence[Any]:
        """Return the JSON of the run's nodes."""
        status, _ = self.status(run, now, route)
        links, model = self.signer.links(base_url, now), self.models[run.model]
        return run_views.node_objects(run, model, status, now=now, links=links)

    def show_batch(
        self, batch: Batch, runs: Sequence[Run], *, now: int, base_url: str
    ) -> dict[str, Any]:
        """Return the batch's JSON as it is read."""
        links = self.signer.links(base_url, now)
        return batch_views.whole(batch, self.items(runs, now, "batch"), links)

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
        found = self._found(asked, conditions, org=org, now=now, base_url=base_url)
        return gather(found, asked, concept_names=concept_names)

    def _found(
        self,
        asked: Asked,
        conditions: Sequence[tuple[str, Any]],
        *,
        org: str,
        now: int,
        base_url: str,
    ) -> Iterator[tuple[Position, Mapping[str, Any]]]:
        descending = asked.descending != asked.backwards
        for run in self._candidates(asked, conditions, org, now, descending=descending):
            shown = self._whole(run, now=now, base_url=base_url, route="list")
            if asked.wanted is None or query.matches(asked.wanted, shown):
                yield (run.created, run.number), self._shortened(shown, run, "list")

    def runs_beside(self, asked: Asked | None, *, org: str, now: int) -> Iterator[Run]:
        """Yield all runs that the organisation can see, from that run on beside which a page is.

        The position of that page begins with the run's number.
        """
        where: list[tuple[str, Any]] = [("org = ?", org), ("listed <= ?", now)]
        descending = asked is not None and asked.descending != asked.backwards
        if asked is not None and asked.after is not None:
            where.append((f"number {'<=' if descending else '>='} ?", asked.after[0]))
        for run in self.store.runs_where(where, descending=descending):
            if not self._hidden(run, "list"):
                yield run

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
