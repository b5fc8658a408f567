"""The routes that create: single runs, and batches of them. Once for each Idempotency-Key."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import batch_views, life, mishaps
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.errors import ApiError
from batchrun.simulator.making import Taken

Body = Mapping[str, Any]
Make = Callable[[Taken, Body, str], dict[str, Any]]


def post_routes(api: Api) -> Sequence[Route]:
    """Return the routes that create; a model's id has two segments or more."""
    posts = Posts(api)
    create = api.guarded("create", posts.create)
    batch = api.guarded("create_batch", posts.create_batch)
    return (
        Route("/v1/models/{model:path}/runs", create, methods=["POST"]),
        Route("/v1/models/{model:path}/batches", batch, methods=["POST"]),
        Route("/v1/comfyui-workflows/{model:path}/runs", create, methods=["POST"]),
    )


class Posts:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def create(self, request: Request, org: str) -> Response:
        return await self._once(request, org, "create", self._run)

    async def create_batch(self, request: Request, org: str) -> Response:
        if not self._world.takes_batches(self._api.model_of(request)):
            raise ApiError(422, "UNPROCESSABLE", "This model does not take batches")
        return await self._once(request, org, "create_batch", self._batch)

    def _run(self, taken: Taken, body: Body, base_url: str) -> dict[str, Any]:
        world = self._world
        run = world.making.single(taken, body)
        price = life.price(taken.model, body["input"])
        world.debit(taken.org, price, [run], "INSUFFICIENT_CREDIT")
        return world.show(run, now=taken.now, base_url=base_url, route="create")

    def _batch(self, taken: Taken, body: Body, _base_url: str) -> dict[str, Any]:
        world = self._world
        batch, runs, price = world.making.batch(taken, body)
        world.debit(taken.org, price, runs, "INSUFFICIENT_CREDITS")
        return batch_views.created(batch, world.items(runs, taken.now, "create_batch"))

    async def _once(self, request: Request, org: str, route: str, make: Make) -> Response:
        """Answer a POST that creates: late or spoilt as faults will, and once for each key."""
        world = self._world
        model, body = self._api.model_of(request), await self._api.body(request)
        if late := world.faults.strike("commit_late", route):
            await asyncio.sleep(float(late.value or 0))
        key = self._key(request, route)
        asked = hashlib.sha256(request.url.path.encode() + await request.body()).hexdigest()
        if key and (answer := self._replay(org, key, asked)) is not None:
            return answer
        with world.store.transaction():
            taken = world.making.taken(model, org=org, route=route, now=world.now())
            whole = JSONResponse(make(taken, body, base_of(request)), 201)
            if key:
                row = {"org": org, "key": key, "request": asked, "answer": bytes(whole.body)}
                world.store.insert("answers", row)
        struck = world.faults.strike_any("after", route)
        return whole if struck is None else mishaps.after(struck, whole)

    def _key(self, request: Request, route: str) -> str | None:
        """Return the Idempotency-Key where it is honoured."""
        world = self._world
        honoured = world.settings.idempotency and not world.faults.strike("no_idempotency", route)
        return request.headers.get("Idempotency-Key") if honoured else None

    def _replay(self, org: str, key: str, asked: str) -> Response | None:
        row = self._world.store.one(
            "SELECT request, answer FROM answers WHERE org = ? AND key = ?", org, key
        )
        if row is None:
            return None
        if row["request"] != asked:
            raise ApiError(409, "CONFLICT", "Key was used with a different body")
        return Response(row["answer"], 201, media_type="application/json")
