"""Each route from a request to the world and back. Faults strike here, and keys are checked."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from batchrun.simulator import mishaps, paging, query, views
from batchrun.simulator.catalog import Model
from batchrun.simulator.errors import ApiError, bad_request
from batchrun.simulator.paging import Asked
from batchrun.simulator.world import World

Handler = Callable[[Request, str], Awaitable[Response]]


class Api:
    """One method a route; each is given the organisation of the key."""

    def __init__(self, world: World) -> None:
        self.world = world

    def guarded(
        self, route: str, handler: Handler, *, public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint around *handler*: counted, struck by faults, behind the key."""

        async def endpoint(request: Request) -> Response:
            world = self.world
            world.meter.begin(route, world.now())
            status = 0
            try:
                response = await self._answer(request, route, handler, public=public)
                status = response.status_code
            finally:
                world.meter.end(route, status)
            return response

        return endpoint

    async def _answer(
        self, request: Request, route: str, handler: Handler, *, public: bool
    ) -> Response:
        try:
            struck = self.world.faults.strike_any("before", route, model_named(request))
            if struck is not None and struck.name == "slow":
                await anyio.sleep(float(struck.value or 1))
            elif struck is not None:
                return mishaps.before(struck)
            self._admit(public=public)
            return await handler(request, "" if public else self._organisation(request))
        except ApiError as error:
            return JSONResponse(error.body, error.http_status, headers=error.headers)

    def _admit(self, *, public: bool) -> None:
        gate = self.world.gate
        if public or gate.admits(self.world.now()):
            return
        headers = {}
        if self.world.settings.rate_headers:
            headers = {"Retry-After": str(max(1, round(gate.wait_seconds)))}
        raise ApiError(429, "RATE_LIMITED", "Rate limit exceeded", headers=headers)

    def _organisation(self, request: Request) -> str:
        """Return the organisation of the key; each key that is accepted has one of its own."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        wanted = self.world.settings.key
        if scheme != "Bearer" or not key or (wanted is not None and key != wanted):
            raise ApiError(401, "UNAUTHORIZED", "Invalid token")
        return views.made_id("org", key)

    async def health(self, _request: Request, _org: str) -> Response:
        return JSONResponse({"status": "ok", "simulated": True})

    async def get_run(self, request: Request, org: str) -> Response:
        world, now = self.world, self.world.now()
        run = world.find(request.path_params["run_id"], org=org, now=now, route="get")
        return JSONResponse(world.show(run, now=now, base_url=base_of(request), route="get"))

    async def list_runs(self, request: Request, org: str) -> Response:
        world = self.world
        asked = self.asked(request, query.RUN_FIELDS, "created_at", descending=True)
        if asked.wanted is not None:
            asked = self._spoilt(asked)
        elif crowd := world.faults.strike("crowd", "list"):
            world.making.crowd(int(crowd.value or 50), org=org, now=world.now())
        page = world.page(
            self.capped(asked, "list"),
            (),
            org=org,
            now=world.now(),
            base_url=base_of(request),
            concept_names=world.faults.strike("next_pq", "list") is not None,
        )
        return JSONResponse(self._odd(page))

    async def workflow_runs(self, request: Request, org: str) -> Response:
        """Answer the runs of one workflow, the newest first."""
        world, now, route = self.world, self.world.now(), "workflow_runs"
        workflow = self.workflow_of(request)
        asked = self.asked(request, query.RUN_FIELDS, "created_at", descending=True)
        page = world.page(
            self.capped(asked, route),
            [("model = ?", workflow.id)],
            org=org,
            now=now,
            base_url=base_of(request),
            concept_names=world.faults.strike("next_pq", route) is not None,
        )
        return JSONResponse(self.ended(page, route))

    def _odd(self, page: dict[str, Any]) -> dict[str, Any]:
        """Let the faults of whole lists strike a page."""
        items, faults = page["items"], self.world.faults
        if spelled := faults.strike("list_refs", "list"):
            spell = SPELLINGS[spelled.value or "upper"]
            items = [
                {**item, "client_ref": spell(item["client_ref"])}
                if item.get("client_ref")
                else item
                for item in items
            ]
        return self.ended({**page, "items": items}, "list")

    def ended(self, page: dict[str, Any], route: str) -> dict[str, Any]:
        """Let a list end early, if it is to."""
        ends = self.world.faults.strike("list_ends", route)
        if ends is None:
            return page
        names = ("next", "prev", "next_pq", "prev_pq")
        return {
            **{name: None if name in names else value for name, value in page.items()},
            "items": page["items"][: int(ends.value or 4)],
        }

    def capped(self, asked: Asked, route: str) -> Asked:
        """Return what was asked with the largest page that this route gives."""
        world = self.world
        cap = world.faults.strike("page_cap", route)
        most = min(world.settings.page_cap, int(cap.value or 10) if cap else paging.MAX_LIMIT)
        return replace(asked, limit=min(asked.limit, most))

    def _spoilt(self, asked: Asked) -> Asked:
        """Let the faults of filters strike a list that has one."""
        faults = self.world.faults
        if faults.strike("list_no_filter", "list"):
            raise bad_request("unknown filter")
        if faults.strike("list_ignores_filter", "list"):
            return replace(asked, wanted=None)
        if faults.strike("list_empty_on_filter", "list"):
            return replace(asked, wanted=query.parse("client_ref:nothing-has-this-reference"))
        return asked

    async def file(self, request: Request, _org: str) -> Response:
        """Answer a signed URL with the picture that the run made; it is drawn when asked for."""
        world = self.world
        path = request.url.path
        if world.faults.strike("output_expired", "download") or not world.signer.holds(
            path, request.query_params, world.now()
        ):
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        run = world.store.run(request.path_params["run_id"])
        if run is None:
            return Response(status_code=404)
        name = request.path_params["name"]
        if world.settings.drawing:
            data, kind = await to_thread.run_sync(world.picture, run, name)
        else:
            data, kind = world.picture(run, name)
        whole = Response(data, media_type=kind.content_type, headers={"ETag": f'"{_short(data)}"'})
        if world.faults.strike("output_cut", "download"):
            return mishaps.Half(whole, hang=False)
        return whole

    def model_of(self, request: Request) -> Model:
        name = request.path_params["model"]
        if "/" not in name:  # section 16: an id without its owner is no id
            raise ApiError(405, "METHOD_NOT_ALLOWED", "Method not allowed")
        model = self.world.models.get(name)
        if model is None:
            raise ApiError(404, "MODEL_NOT_FOUND", "Model not found")
        return model

    def workflow_of(self, request: Request) -> Model:
        """Return the workflow that the path names; a model is none."""
        model = self.model_of(request)
        if not model.workflow:
            raise ApiError(404, "COMFYUI_WORKFLOW_NOT_FOUND", "ComfyUI workflow not found")
        return model

    async def body(self, request: Request) -> Mapping[str, Any]:
        raw = await request.body()
        try:
            body = json.loads(raw)
            if b"\\ud" in raw.lower():
                json.dumps(body, ensure_ascii=False).encode()  # no half of a pair by itself
        except (ValueError, RecursionError):
            raise bad_request("the body is not JSON") from None
        if not isinstance(body, dict):
            raise bad_request("the body is not an object")
        if len(str(body.get("client_ref") or "")) > 255:
            raise bad_request("client_ref has more than 255 characters")
        return body

    def asked(
        self, request: Request, fields: frozenset[str], sort: str, *, descending: bool
    ) -> Asked:
        try:
            return paging.read(
                request.query_params, fields=fields, sort=(sort,), descending=descending
            )
        except ValueError as error:
            raise bad_request(str(error)) from None


def model_named(request: Request) -> str | None:
    """Return the id of the model in the path, None where there is none."""
    name: str | None = request.path_params.get("model")
    return name


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "upper": str.upper,
    "cut": lambda ref: ref[:16],
    "prefix": lambda ref: f"org/{ref}",
    "blank": lambda ref: f" {ref}",
}
"""The ways in which lists spell references otherwise."""


def base_of(request: Request) -> str:
    """Return the URL at which the caller has found us."""
    return str(request.base_url).rstrip("/")
