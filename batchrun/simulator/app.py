"""The application: which path leads to which method."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchrun.simulator import mishaps
from batchrun.simulator.api import Api
from batchrun.simulator.batches import batch_routes
from batchrun.simulator.callbacks import callback_routes
from batchrun.simulator.control import control_routes
from batchrun.simulator.media import media_routes
from batchrun.simulator.posts import post_routes
from batchrun.simulator.world import World


def create_app(world: World) -> mishaps.Wire:
    """Return the ASGI application that serves *world*."""
    api = Api(world)
    routes = [
        Route("/v1/health", api.guarded("health", api.health, public=True)),
        Route("/v1/readiness", api.guarded("readiness", api.health, public=True)),
        Route("/v1/public/models", api.guarded("public_models", api.public_models, public=True)),
        Route("/v1/auth/me", api.guarded("auth", api.account)),
        Route("/v1/billing/balance", api.guarded("balance", api.balance)),
        Route("/v1/runs/statuses", api.guarded("statuses", api.statuses)),
        Route("/v1/runs", api.guarded("list", api.list_runs)),
        Route("/v1/runs/{run_id}", api.guarded("get", api.get_run)),
        Route("/v1/runs/{run_id}/logs", api.guarded("logs", api.logs)),
        Route("/v1/runs/{run_id}/node-runs", api.guarded("node_runs", api.node_runs)),
        Route("/v1/models", api.guarded("models", api.models)),
        *post_routes(api),
        Route("/v1/models/{model:path}", api.guarded("model", api.model)),
        *batch_routes(api),
        *callback_routes(api),
        *media_routes(api),
        Route("/files/{run_id}/{name}", api.guarded("download", api.file, public=True)),
        *control_routes(world),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})
    return mishaps.Wire(app)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return mishaps.refusal(404, "NOT_FOUND", "Not found")
