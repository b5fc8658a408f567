"""The routes that show what belongs to a run: its log lines, and its node runs.

Instead of a run's id the path may say `any`: then it is a search over all runs, in their order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import paging, query
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.errors import ApiError
from batchrun.simulator.logs import log_lines
from batchrun.simulator.paging import Asked, Position
from batchrun.simulator.store import Run

ANY: Final = "any"
LOG_FIELDS: Final = frozenset({"id", "run_id", "level_code", "message", "timestamp"})
NODE_FIELDS: Final = frozenset(
    [
        *("id", "run_id", "node_id", "flow_id", "state_code", "retry_count", "error_message"),
        *("cost", "duration_ms", "created_at", "started_at", "completed_at"),
    ]
)

Part = Mapping[str, Any]
PartsOf = Callable[[Run], Sequence[Part]]


def run_part_routes(api: Api) -> Sequence[Route]:
    """Return the routes of log lines and node runs."""
    parts = RunParts(api)
    node_runs = "/v1/runs/{run_id}/node-runs"
    return (
        Route("/v1/runs/{run_id}/logs", api.guarded("logs", parts.logs)),
        Route(node_runs, api.guarded("node_runs", parts.node_runs)),
        Route(f"{node_runs}/{{part}}", api.guarded("node_runs", parts.node_run)),
    )


class RunParts:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def logs(self, request: Request, org: str) -> Response:
        asked = self._api.asked(request, LOG_FIELDS, "timestamp", descending=False)
        now, models = self._world.now(), self._world.models

        def lines(run: Run) -> Sequence[Part]:
            return log_lines(run, models[run.model], now)

        return self._page(request, asked, lines, org=org, now=now, route="logs")

    async def node_runs(self, request: Request, org: str) -> Response:
        asked = self._api.asked(request, NODE_FIELDS, "created_at", descending=False)
        now = self._world.now()
        nodes = self._nodes(request, now)
        return self._page(request, asked, nodes, org=org, now=now, route="node_runs")

    async def node_run(self, request: Request, org: str) -> Response:
        now, wanted = self._world.now(), request.path_params["part"]
        nodes = self._nodes(request, now)
        for run in self._runs(request, None, org=org, now=now, route="node_runs"):
            for each in nodes(run):
                if each["id"] == wanted:
                    return JSONResponse(each)
        raise ApiError(404, "NODE_RUN_NOT_FOUND", "Node run not found")

    def _nodes(self, request: Request, now: int) -> PartsOf:
        def nodes(run: Run) -> Sequence[Part]:
            base_url = base_of(request)
            return self._world.node_runs(run, now=now, base_url=base_url, route="node_runs")

        return nodes

    def _page(
        self, request: Request, asked: Asked, parts: PartsOf, *, org: str, now: int, route: str
    ) -> Response:
        asked = self._api.capped(asked, route)
        runs = self._runs(request, asked, org=org, now=now, route=route)
        concept_names = self._world.faults.strike("next_pq", route) is not None
        page = paging.gather(_found(runs, asked, parts), asked, concept_names=concept_names)
        return JSONResponse(self._api.ended(page, route))

    def _runs(
        self, request: Request, asked: Asked | None, *, org: str, now: int, route: str
    ) -> Iterator[Run]:
        """Yield the run that the path names, or all that the organisation can see."""
        world, run_id = self._world, request.path_params["run_id"]
        if run_id != ANY:
            yield world.find(run_id, org=org, now=now, route=route)
            return
        yield from world.runs_beside(asked, org=org, now=now)


def _found(runs: Iterator[Run], asked: Asked, parts: PartsOf) -> Iterator[tuple[Position, Part]]:
    """Yield the parts that match, with their positions: the run's number, their place in it."""
    descending = asked.descending != asked.backwards
    for run in runs:
        placed = list(enumerate(parts(run)))
        for place, part in reversed(placed) if descending else placed:
            position = (run.number, place)
            if asked.after is not None and not _beside(position, asked.after, descending):
                continue
            if asked.wanted is None or query.matches(asked.wanted, part):
                yield position, part


def _beside(position: Position, mark: Position, descending: bool) -> bool:  # noqa: FBT001
    return position < mark if descending else position > mark
