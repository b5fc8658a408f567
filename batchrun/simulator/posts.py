"""The routes that create: single runs, and batches of them. Once for each Idempotency-Key."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import batch_views, life, mishaps, prices
from batchrun.simulator.api import Api, base_of, model_named
from batchrun.simulator.catalog import Model
from batchrun.simulator.errors import ApiError
from batchrun.simulator.making import Taken

Body = Mapping[str, Any]
Make = Callable[[Taken, Body, str], dict[str, Any]]
CarryOut = Callable[[], Response]
Sent = tuple[str, str | None]
"""The organisation and the Idempotency-Key of a POST, whether the key is honoured or not."""


def post_routes(api: Api) -> Sequence[Route]:
    """Return the routes that create; a model's id has two segments or more."""
    posts = Posts(api)
    create = api.guarded("create", posts.create)
    batch = api.guarded("create_batch", posts.create_batch)
    workflow = "/v1/comfyui-workflows/{model:path}/runs"
    return (
        Route("/v1/models/{model:path}/runs", create, methods=["POST"]),
        Route("/v1/models/{model:path}/batches", batch, methods=["POST"]),
        Route(workflow, api.guarded("create", posts.create_of_workflow), methods=["POST"]),
        Route(workflow, api.guarded("workflow_runs", api.workflow_runs)),
    )


class Held:
    """Requests that wait for another with their Idempotency-Key, each carried out once."""

    def __init__(self) -> None:
        self._waiting: dict[Sent, list[CarryOut]] = {}

    def keep(self, sent: Sent, carry_out: CarryOut) -> CarryOut:
        """Keep the request, and return the way to carry it out that may be used twice."""
        once = functools.cache(carry_out)
        self._waiting.setdefault(sent, []).append(once)
        return once

    def let_go(self, sent: Sent, carry_out: CarryOut) -> None:
        """Keep the request no longer: its caller still waits for the answer."""
        waiting = self._waiting.get(sent, [])
        if carry_out in waiting:
            waiting.remove(carry_out)

    def release(self, sent: Sent) -> None:
        """Carry out all that waits for this key; without one nothing is the same request."""
        if sent[1] is None:
            return
        for carry_out in self._waiting.pop(sent, ()):
            with contextlib.suppress(ApiError):  # refused now; its caller has gone
                carry_out()


class Posts:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world
        self._held = Held()
        self._last: dict[str, Response] = {}  # by route: the last answer

    async def create(self, request: Request, org: str) -> Response:
        return await self._once(request, org, "create", self._run)

    async def create_of_workflow(self, request: Request, org: str) -> Response:
        self._api.workflow_of(request)
        return await self.create(request, org)

    async def create_batch(self, request: Request, org: str) -> Response:
        if not self._world.takes_batches(self._api.model_of(request)):
            raise ApiError(422, "UNPROCESSABLE", "This model does not take batches")
        return await self._once(request, org, "create_batch", self._batch)

    def _run(self, taken: Taken, body: Body, base_url: str) -> dict[str, Any]:
        world = self._world
        if world.faults.strike("post_twice", "create", taken.model.id):
            world.making.single(taken, body)
        run = world.making.single(taken, body)
        price = prices.price(taken.model, body["input"])
        world.debit(taken.org, price, [run], "INSUFFICIENT_CREDIT")
        if run.callback_url:
            world.bell.ring()
        return world.show(run, now=taken.now, base_url=base_url, route="create")

    def _batch(self, taken: Taken, body: Body, _base_url: str) -> dict[str, Any]:
        world = self._world
        if world.faults.strike("post_twice", "create_batch", taken.model.id):
            world.making.batch(taken, body)
        batch, runs, price = world.making.batch(taken, body)
        world.debit(taken.org, price, runs, "INSUFFICIENT_CREDITS")
        if batch.callback_url:
            world.bell.ring()
        return batch_views.created(batch, runs)

    async def _once(self, request: Request, org: str, route: str, make: Make) -> Response:
        """Answer a POST that creates: late or spoilt as faults will, and once for each key."""
        faults, model = self._world.faults, model_named(request)
        fault = faults.strike("commit_late", route, model)
        late = float(fault.value or 0) if fault else 0.0
        carry_out = await self._prepared(request, org, route, make, late)
        sent = (org, request.headers.get("Idempotency-Key"))
        if held := faults.strike("commit_on_resend", route, model):
            carry_out = self._held.keep(sent, carry_out)
            if await _left(request, float(held.value or 0)):
                return mishaps.Dropped()
            self._held.let_go(sent, carry_out)
        try:
            whole = carry_out()
            self._held.release(sent)
        finally:
            if late:
                await anyio.sleep(late)  # a refusal, too, comes late
        last, self._last[route] = self._last.get(route, whole), whole
        struck = faults.strike_any("after", route, model)
        if struck is not None and struck.name == "last_answer":
            return last
        return whole if struck is None else mishaps.after(struck, whole)

    async def _prepared(
        self, request: Request, org: str, route: str, make: Make, late: float
    ) -> CarryOut:
        """Return what commits all of the request or nothing, or repeats what its key was answered.

        What is committed *late* is written down at once, and seen from its moment on. If it were
        written down only then, a busy machine could answer a later list without it.
        """
        world = self._world
        model, body = self._api.model_of(request), await self._api.body(request)
        key = self._key(request, route, model)
        asked = hashlib.sha256(request.url.path.encode() + await request.body()).hexdigest()

        def carry_out() -> Response:
            if key and (answer := self._replay(org, key, asked)) is not None:
                return answer
            with world.store.transaction():
                now, lag = world.now(), round(late * life.SECOND)
                taken = world.making.taken(model, org=org, route=route, now=now, late=lag)
                whole = JSONResponse(make(taken, body, base_of(request)), 201)
                if key:
                    row = {"org": org, "key": key, "request": asked, "answer": bytes(whole.body)}
                    world.store.insert("answers", row)
            return whole

        return carry_out

    def _key(self, request: Request, route: str, model: Model) -> str | None:
        """Return the Idempotency-Key where it is honoured."""
        world = self._world
        ignored = world.faults.strike("no_idempotency", route, model.id)
        honoured = world.settings.idempotency and not ignored
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


async def _left(request: Request, seconds: float) -> bool:
    """Return whether the caller goes away within so many seconds; the body has been read."""
    with anyio.move_on_after(seconds):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return True
    return False
