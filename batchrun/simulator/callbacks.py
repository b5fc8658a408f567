"""The routes of callbacks: what was sent about a run or a batch, once more, and the secrets."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import callback_views
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.callback_making import CallbackMaking
from batchrun.simulator.callback_secrets import Secrets
from batchrun.simulator.deliveries import Deliveries
from batchrun.simulator.errors import ApiError, invalid
from batchrun.simulator.store import Batch, Run

LONGEST_LABEL: Final = 255


def callback_routes(api: Api) -> Sequence[Route]:
    """Return the routes of histories, redeliveries and secrets."""
    calls = Callbacks(api)
    runs, batches = "/v1/runs/{run_id}", "/v1/batches/{batch}"
    again, batch_again = "redeliver", "batch_redeliver"
    return (
        Route(f"{runs}/callback", api.guarded("callback", calls.of_run)),
        Route(f"{batches}/callback", api.guarded("batch_callback", calls.of_batch)),
        Route(
            f"{runs}/callback-redeliveries", api.guarded(again, calls.run_again), methods=["POST"]
        ),
        Route(
            f"{batches}/callback-redeliveries",
            api.guarded(batch_again, calls.batch_again),
            methods=["POST"],
        ),
        Route("/v1/callback-secrets", api.guarded("secret", calls.secret), methods=["POST"]),
        Route(
            "/v1/callback-secrets/{secret}",
            api.guarded("secret", calls.change_secret),
            methods=["PATCH"],
        ),
    )


class Callbacks:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world
        self._making = CallbackMaking(api.world)
        self._deliveries = Deliveries(api.world.store)
        self._secrets = Secrets(api.world.store, api.world.settings.callback_secret)

    async def of_run(self, request: Request, org: str) -> Response:
        return JSONResponse(self._deliveries.history(self._run(request, org, "callback").id))

    async def of_batch(self, request: Request, org: str) -> Response:
        batch = self._batch(request, org, "batch_callback")
        return JSONResponse(self._deliveries.history(batch.id))

    async def run_again(self, request: Request, org: str) -> Response:
        return self._again(request, self._run(request, org, "redeliver"))

    async def batch_again(self, request: Request, org: str) -> Response:
        return self._again(request, self._batch(request, org, "batch_redeliver"))

    def _again(self, request: Request, subject: Run | Batch) -> Response:
        world = self._world
        delivery_id = self._making.redeliver(subject, world.now(), base_of(request))
        world.bell.ring()
        return JSONResponse(self._deliveries.shown(delivery_id), 201)

    def _run(self, request: Request, org: str, route: str) -> Run:
        world = self._world
        return world.find(request.path_params["run_id"], org=org, now=world.now(), route=route)

    def _batch(self, request: Request, org: str, route: str) -> Batch:
        world, batch_id = self._world, request.path_params["batch"]
        return world.find_batch(batch_id, org=org, now=world.now(), route=route)[0]

    async def secret(self, request: Request, org: str) -> Response:
        body = await self._api.body(request)
        label = _label(body)
        with self._world.store.transaction():
            row = self._secrets.create(org, label, self._world.now())
        shown = {"plain_secret": row["plain"], **callback_views.secret(row)}
        return JSONResponse(shown, 201)

    async def change_secret(self, request: Request, org: str) -> Response:
        """Rename a secret, or make it the current one; another has to take its place before."""
        body, now = await self._api.body(request), self._world.now()
        secret_id, label = request.path_params["secret"], _label(body)
        with self._world.store.transaction():
            row = self._known(secret_id, org, now)
            if "label" in body:
                self._secrets.rename(secret_id, label, now)
            if _wanted(body, row):
                self._secrets.promote(secret_id, org, now)
            row = self._known(secret_id, org, now)
        return JSONResponse(callback_views.secret(row))

    def _known(self, secret_id: str, org: str, now: int) -> Mapping[str, Any]:
        row = self._secrets.find(secret_id, org, now)
        if row is None:
            raise ApiError(404, "CALLBACK_SECRET_NOT_FOUND", "Callback secret not found")
        return row


def _label(body: Mapping[str, Any]) -> str | None:
    label = body.get("label")
    if label is None or (isinstance(label, str) and len(label) <= LONGEST_LABEL):
        return label
    raise _refused("label", f"expected text of at most {LONGEST_LABEL} characters")


def _wanted(body: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return whether the secret of *row* is to become the current one."""
    wanted = body.get("is_current")
    if not isinstance(wanted, bool | None):
        raise _refused("is_current", "expected a boolean")
    if wanted is False and row["is_current"]:
        raise _refused("is_current", "make another secret current instead")
    return bool(wanted) and not row["is_current"]


def _refused(field: str, message: str) -> ApiError:
    return invalid([{"loc": ["body", field], "msg": message, "type": "value_error"}])
