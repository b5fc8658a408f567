"""The application: which path leads to which method."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchrun.simulator import mishaps
from batchrun.simulator.account import account_routes
from batchrun.simulator.api import Api
from batchrun.simulator.batches import batch_routes
from batchrun.simulator.callbacks import callback_routes
from batchrun.simulator.cancelling import cancelling_routes
from batchrun.simulator.control import control_routes
from batchrun.simulator.media import media_routes
from batchrun.simulator.model_routes import model_routes
from batchrun.simulator.posts import post_routes
from batchrun.simulator.run_parts import run_part_routes
from batchrun.simulator.world import World


def create_app(world: World) -> mishaps.Wire:
    """Return the ASGI application that serves *world*."""
    api = Api(world)
    routes = [
        Route("/v1/health", api.guarded("health", api.health, public=True)),
        Route("/v1/readiness", api.guarded("readiness", api.health, public=True)),
        *account_routes(api),
        Route("/v1/runs", api.guarded("list", api.list_runs)),
        Route("/v1/runs/{run_id}", api.guarded("get", api.get_run)),
        *run_part_routes(api),
        *post_routes(api),
        *model_routes(api),
        *cancelling_routes(api),
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
