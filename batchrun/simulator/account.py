"""The routes of an account: its key, its balance, and the words for how a run can stand."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import paging, views
from batchrun.simulator.api import Api
from batchrun.simulator.checks import amount
from batchrun.simulator.errors import invalid
from batchrun.simulator.life import TERMINAL

STATUSES: Final = {
    "queued": "accepted; waits for its turn",
    "dispatching": "on its way to the provider",
    "running": "being carried out",
    "succeeded": "ended, with all of its outputs",
    "partial_succeeded": "ended, with some of its outputs",
    "failed": "ended without outputs",
    "canceled": "ended by a cancellation",
}


def account_routes(api: Api) -> Sequence[Route]:
    """Return the routes of accounts."""
    account = Account(api)
    threshold = api.guarded("balance", account.set_threshold)
    return (
        Route("/v1/auth/me", api.guarded("auth", account.me)),
        Route("/v1/billing/balance", api.guarded("balance", account.balance)),
        Route("/v1/billing/balance", threshold, methods=["PATCH"]),
        Route("/v1/credit-balances", api.guarded("balance", account.balances)),
        Route("/v1/runs/statuses", api.guarded("statuses", account.statuses)),
    )


class Account:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def me(self, _request: Request, org: str) -> Response:
        return JSONResponse({"id": views.made_id("user", org), "org_id": org, "simulated": True})

    async def balance(self, _request: Request, org: str) -> Response:
        return JSONResponse(self._balance(org))

    async def balances(self, _request: Request, org: str) -> Response:
        """Answer the balance as a list, in the names that a deployed client reads."""
        whole = self._balance(org)
        item = {**whole, "balance_usd": whole["balance"]}
        return JSONResponse(paging.envelope([item], before=None, after=None))

    async def set_threshold(self, request: Request, org: str) -> Response:
        body = await self._api.body(request)
        given = body.get("low_balance_threshold")
        if given is not None and (given := amount(given)) is None:
            message = "expected an amount in USD such as 5.00"
            where = ["body", "low_balance_threshold"]
            raise invalid([{"loc": where, "msg": message, "type": "value_error"}])
        with self._world.store.transaction():
            self._world.store.set_threshold(org, given)
        return JSONResponse(self._balance(org))

    async def statuses(self, _request: Request, _org: str) -> Response:
        """Answer the words of runs; of the answer's shape only the route is documented."""
        items = [
            {
                "code": code,
                "name": code.replace("_", " ").capitalize(),
                "description": description,
                "is_terminal": code in TERMINAL,
            }
            for code, description in STATUSES.items()
        ]
        return JSONResponse(paging.envelope(items, before=None, after=None))

    def _balance(self, org: str) -> dict[str, Any]:
        """Return the balance as the reference has it, and as the concept page does."""
        world, moment = self._world, views.iso(views.RELEASED)
        left = world.balance(org, world.now())
        return {
            "id": views.made_id("balance", org),
            "org_id": org,
            "balance": str(left),
            "low_balance_threshold": world.store.threshold(org),
            "low_balance_notified_at": None,
            "created_at": moment,
            "updated_at": moment,
            "balance_cents": int(left * Decimal(100)),
            "currency": "USD",
        }
