"""Cancellations: by an administrator (section 7), and those of batches, which no document names.

A cancelled run ends now. What its provider has done by then is billed, and nothing is paid back:
a run that has begun costs what it was to cost, one that has not costs nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import paging
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.errors import ApiError, invalid
from batchrun.simulator.life import TERMINAL
from batchrun.simulator.store import Run
from batchrun.simulator.world import World

SHORTEST: Final = 3
LONGEST: Final = 500
BATCH_FIELDS: Final = frozenset({"id", "status_code", "created_at", "items_total"})
CANCEL: Final = """
UPDATE runs SET planned_outcome = outcome, planned_end = ended, cancel_reason = ?,
    outcome = 'canceled', ended = ?, cost = ? WHERE id = ?
"""
END_BATCH: Final = """
UPDATE batches SET ended = (SELECT MAX(ended) FROM runs WHERE batch_id = ?1) WHERE id = ?1
"""


def cancelling_routes(api: Api) -> Sequence[Route]:
    """Return the route of administrators, and the assumed ones where they are to be served."""
    cancelling = Cancelling(api)
    run = api.guarded("cancel", cancelling.run)
    batch = api.guarded("cancel", cancelling.batch)
    admin = Route("/v1/admin/runs/{run_id}/cancellation", run, methods=["POST"])
    if not api.world.settings.assumed:
        return (admin,)
    return (
        admin,
        Route("/v1/batches", api.guarded("batch", cancelling.batches)),
        Route("/v1/batches/{batch}/cancellation", batch, methods=["POST"]),
    )


class Cancelling:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def run(self, request: Request, org: str) -> Response:
        """Cancel a run (201), or leave it as it is where it has ended (200)."""
        world, now = self._world, self._world.now()
        reason = _reason(await self._api.body(request) if await request.body() else {})
        run = world.find(request.path_params["run_id"], org=org, now=now, route="cancel")
        with world.store.transaction():
            moved = cancel(world, run, now, reason)
        run = world.find(run.id, org=org, now=now, route="cancel")
        shown = world.show(run, now=now, base_url=base_of(request), route="get")
        return JSONResponse(shown, 201 if moved else 200)

    async def batch(self, request: Request, org: str) -> Response:
        world, now = self._world, self._world.now()
        batch_id = request.path_params["batch"]
        _, runs = world.find_batch(batch_id, org=org, now=now, route="batch")
        with world.store.transaction():
            for run in runs:
                cancel(world, run, now, None)
        return JSONResponse(self._shown(request, batch_id, org, now))

    async def batches(self, request: Request, org: str) -> Response:
        world, now = self._world, self._world.now()
        asked = self._api.asked(request, BATCH_FIELDS, "created_at", descending=True)
        rows = world.store.all(
            "SELECT id FROM batches WHERE org = ? AND committed <= ? ORDER BY created", org, now
        )
        shown = []
        for row in rows:
            with suppress(ApiError):  # the 404 of a batch that is forgotten
                shown.append(self._shown(request, row["id"], org, now))
        return JSONResponse(paging.cut(shown, self._api.capped(asked, "batch")))

    def _shown(self, request: Request, batch_id: str, org: str, now: int) -> dict[str, Any]:
        world = self._world
        batch, runs = world.find_batch(batch_id, org=org, now=now, route="batch")
        return world.show_batch(batch, runs, now=now, base_url=base_of(request))


def cancel(world: World, run: Run, now: int, reason: str | None) -> bool:
    """End a run now, as part of a transaction; return False where it had ended already."""
    status, _ = world.status(run, now, "get")
    if status in TERMINAL:
        return False
    begun = run.began is not None and now >= run.began
    cost = run.cost if begun else None
    world.store.write(CANCEL, reason, now, cost, run.id)
    if run.batch_id is not None:
        world.store.write(END_BATCH, run.batch_id)
    if run.cost and not begun:
        world.give_back(run.org, Decimal(run.cost))
    world.bell.ring()
    return True


def _reason(body: Any) -> str | None:
    reason = body.get("reason")
    if reason is None or (isinstance(reason, str) and SHORTEST <= len(reason) <= LONGEST):
        return reason
    message = f"expected {SHORTEST} to {LONGEST} characters"
    raise invalid([{"loc": ["body", "reason"], "msg": message, "type": "value_error"}])
