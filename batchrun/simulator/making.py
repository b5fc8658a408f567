"""How runs and batches come about: looked at, planned, written down.

The caller holds a transaction, so that a request makes all that it asks for, or nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from batchrun.simulator import life, orders, views
from batchrun.simulator.asset_store import AssetStore
from batchrun.simulator.catalog import Model
from batchrun.simulator.checks import Mistake, assets_in, mistakes
from batchrun.simulator.errors import invalid
from batchrun.simulator.faults import Switchboard
from batchrun.simulator.models import MODELS
from batchrun.simulator.orders import Order
from batchrun.simulator.prices import price
from batchrun.simulator.settings import Settings
from batchrun.simulator.store import Batch, Run, Store

OTHERS: Final = MODELS["google/nano-banana-2"]  # what runs are of that belong to no one's sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request that is being carried out, by whom and when.

    What it makes is there from *committed* on, and in lists from *listed* on.
    """

    model: Model
    org: str
    route: str
    now: int
    committed: int
    listed: int


class Making:
    """Makes runs and batches; *settings* and *faults* have their say."""

    def __init__(
        self, settings: Settings, store: Store, faults: Switchboard, assets: AssetStore
    ) -> None:
        self._settings = settings
        self._store = store
        self._faults = faults
        self._assets = assets

    def taken(self, model: Model, *, org: str, route: str, now: int, late: int = 0) -> Taken:
        """Return the request as taken *now*, to be carried out *late* by so many microseconds.

        A request that lags does so as a whole.
        """
        committed = now + late + self._lag("commit_lag", route, model)
        listed = committed + self._lag("list_lag", route, model)
        return Taken(model=model, org=org, route=route, now=now, committed=committed, listed=listed)

    def _lag(self, name: str, route: str, model: Model) -> int:
        fault = self._faults.strike(name, route, model.id)
        return round(float(fault.value or 0) * life.SECOND) if fault else 0

    def single(self, taken: Taken, body: Mapping[str, Any]) -> Run:
        """Return the new run, or raise the 422 that the API would answer to its input."""
        values, loc = body.get("input"), ("body", "input")
        if not isinstance(values, dict):
            raise invalid([{"loc": [*loc], "msg": "expected an object", "type": "type_error"}])
        if found := self._mistakes(taken, values, loc):
            raise invalid(found)
        return self._add(taken, orders.single(body, values), self._store.next_number())

    def batch(self, taken: Taken, body: Mapping[str, Any]) -> tuple[Batch, list[Run], Decimal]:
        """Return the new batch, its runs, one for each item, and what all of it may cost.

        An item that doesn't suit the model is a run that failed at once (section 8: "per-input
        validation error" is a failure of the item, and every item has a run id), unless the
        settings want such a request refused.
        """
        first = self._store.next_number()
        batch_id = views.new_id("batch", self._settings.seed, first, taken.now)
        asked = orders.batch(body, batch_id=batch_id, with_metadata=self._settings.child_metadata)
        checked = self._checked(taken, asked)
        runs = [self._add(taken, order, first + n) for n, order in enumerate(checked)]
        batch = Batch(
            id=batch_id,
            org=taken.org,
            model=taken.model.id,
            metadata=_text(body.get("metadata")),
            callback_url=body.get("callback_url"),
            created=taken.now,
            committed=taken.committed,
            ended=max(run.ended for run in runs),
        )
        self._store.add_batch(batch)
        costs = [price(taken.model, order.values) for order in checked if not order.failure]
        return batch, runs, sum(costs, Decimal(0))

    def crowd(self, count: int, *, org: str, now: int) -> None:
        """Let *count* runs of the organisation's other work begin, and end at once."""
        taken = Taken(model=OTHERS, org=org, route="", now=now, committed=now, listed=now)
        with self._store.transaction():
            first = self._store.next_number()
            for number in range(first, first + count):
                other = Order(values={}, client_ref=f"other-{number}", wishes={"seconds": 0})
                self._add(taken, other, number)

    def _checked(self, taken: Taken, asked: Sequence[Order]) -> list[Order]:
        """Return the orders, those with mistakes bound to fail; or raise the 422 of them all."""
        found = [
            self._mistakes(taken, order.values, ("body", "input", index))
            for index, order in enumerate(asked)
        ]
        if self._settings.refuse_bad_items and any(found):
            raise invalid([mistake for each in found for mistake in each])
        return [
            self._judged(taken, order, wrong) for order, wrong in zip(asked, found, strict=True)
        ]

    def _judged(self, taken: Taken, order: Order, wrong: Sequence[Mistake]) -> Order:
        if self._faults.strike("no_run", taken.route, taken.model.id):
            return replace(order, failure="no run", run=False)
        return replace(order, failure=_said(wrong)) if wrong else order

    def _add(self, taken: Taken, order: Order, number: int) -> Run:
        seed = self._settings.seed
        values = json.dumps(self._assets.stored(order.values, taken.org, taken.now))
        plan = self._plan(taken.model, order, values, number)
        run = Run(
            number=number,
            id=views.new_id("run", seed, number, taken.now),
            org=taken.org,
            model=taken.model.id,
            client_ref=order.client_ref,
            batch_id=order.batch[0] if order.batch else None,
            batch_index=order.batch[1] if order.batch else None,
            cell_key=order.cell,
            input=values,
            metadata=_text(order.shown),
            callback_url=order.callback_url,
            request_id=views.made_id("request", seed, number),
            created=taken.now,
            committed=taken.committed,
            listed=taken.listed,
            outcome=plan.outcome,
            dispatching=taken.committed + plan.dispatching,
            running=taken.committed + plan.running,
            ended=taken.committed + plan.ended,
            cost=None if plan.cost is None else str(plan.cost),
            failure=order.failure,
        )
        self._store.add_run(run)
        return run

    def _plan(self, model: Model, order: Order, values: str, number: int) -> life.Plan:
        if order.failure is not None:
            return life.STILLBORN if order.run else life.NO_RUN
        general = self._settings.wishes(number) if self._settings.wishes else {}
        wishes = {**general, **order.wishes}
        before = 0
        if life.depends_on_history(order.values, wishes):
            sql = "SELECT COUNT(*) FROM runs WHERE model = ? AND input = ?"
            row = self._store.one(sql, model.id, values)
            before = row[0] if row else 0
        return life.plan(
            model,
            order.values,
            wishes,
            seed=self._settings.seed,
            number=number,
            before=before,
            failure_share=self._settings.failure_share,
            speed=self._settings.speed,
        )

    def _mistakes(
        self, taken: Taken, values: Mapping[str, Any], loc: tuple[str | int, ...]
    ) -> list[Mistake]:
        return [*mistakes(taken.model, values, loc), *self._wrong_assets(taken, values, loc)]

    def _wrong_assets(
        self, taken: Taken, values: Mapping[str, Any], loc: tuple[str | int, ...]
    ) -> Iterator[Mistake]:
        named = {name: found for name, value in values.items() if (found := [*assets_in(value)])}
        if named and self._faults.strike("https_only", taken.route, taken.model.id):
            message = "media URL must use HTTP(S) or data URI"
            yield {"loc": [*loc], "msg": message, "type": "value_error"}
        for name, found in named.items():
            for asset in found:
                if not self.knows_asset(asset, taken.org, taken.route):
                    message = f"asset {asset} not found"
                    yield {"loc": [*loc, name], "msg": message, "type": "value_error"}

    def knows_asset(self, asset_id: str, org: str, route: str) -> bool:
        """Say whether the organisation has the asset; a forgotten one stays forgotten."""
        sql = "SELECT rowid FROM assets WHERE id = ? AND org = ? AND confirmed IS NOT NULL"
        row = self._store.one(sql, asset_id, org)
        if row is None:
            return False
        return not self._faults.holds(
            "forget_asset", route=route, run_id=asset_id, number=row["rowid"]
        )


def _text(metadata: Any) -> str | None:
    return None if metadata is None else json.dumps(metadata)


def _said(found: Sequence[Mistake]) -> str:
    return "; ".join(f"{mistake['loc'][-1]}: {mistake['msg']}" for mistake in found)
