"""The routes that show batches: a whole batch with lean items, and its items in full."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import batch_views, paging
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.errors import ApiError
from batchrun.simulator.store import Batch, Run

ITEM_FIELDS: Final = frozenset(
    ["id", "sequence_index", "run_id", "client_ref", "status_code", "created_at", "cost"]
)


def batch_routes(api: Api) -> Sequence[Route]:
    """Return the routes below `/v1/batches`; a list of batches is not documented."""
    batches = Batches(api)
    return (
        Route("/v1/batches/{batch}", api.guarded("batch", batches.batch)),
        Route("/v1/batches/{batch}/items", api.guarded("batch_items", batches.items)),
        Route("/v1/batches/{batch}/items/{item}", api.guarded("batch_item", batches.item)),
    )


class Batches:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def batch(self, request: Request, org: str) -> Response:
        world, now = self._world, self._world.now()
        batch, runs = self._found(request, org, now, "batch")
        return JSONResponse(world.show_batch(batch, runs, now=now, base_url=base_of(request)))

    async def items(self, request: Request, org: str) -> Response:
        now, route = self._world.now(), "batch_items"
        asked = self._api.asked(request, ITEM_FIELDS, "sequence_index", descending=False)
        _, runs = self._found(request, org, now, route)
        page = paging.cut(
            [self._item(request, run, now, route) for run in runs],
            self._api.capped(asked, route),
            concept_names=self._world.faults.strike("next_pq", route) is not None,
        )
        return JSONResponse(page)

    async def item(self, request: Request, org: str) -> Response:
        now, route = self._world.now(), "batch_item"
        _, runs = self._found(request, org, now, route)
        for run in runs:
            if batch_views.item_id(run) == request.path_params["item"]:
                return JSONResponse(self._item(request, run, now, route))
        raise ApiError(404, "BATCH_ITEM_NOT_FOUND", "Batch item not found")

    def _item(self, request: Request, run: Run, now: int, route: str) -> dict[str, Any]:
        shown = self._world.show(run, now=now, base_url=base_of(request), route=route)
        return batch_views.full_item(run, shown)

    def _found(self, request: Request, org: str, now: int, route: str) -> tuple[Batch, list[Run]]:
        return self._world.find_batch(request.path_params["batch"], org=org, now=now, route=route)
