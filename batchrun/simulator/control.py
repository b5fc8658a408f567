"""The routes of the simulator itself, for tests and people: its counters, its runs, its faults."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import life
from batchrun.simulator.faults import fault_from_json
from batchrun.simulator.views import status_of
from batchrun.simulator.world import World


def control_routes(world: World) -> Sequence[Route]:
    """Return the routes below `/_simulator`, which need no key."""

    async def stats(_request: Request) -> Response:
        return JSONResponse(counters(world))

    async def runs(_request: Request) -> Response:
        return JSONResponse([_lean(world, row) for row in _rows(world)])

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            world.faults.clear()
        elif request.method == "POST":
            try:
                asked = await request.json()
                wanted = [fault_from_json(each) for each in asked]
            except (ValueError, TypeError) as error:
                return JSONResponse({"code": "BAD_REQUEST", "message": str(error)}, 400)
            world.faults.add(wanted)
        return JSONResponse([fault.as_json() for fault in world.faults.faults])

    return (
        Route("/_simulator/stats", stats),
        Route("/_simulator/runs", runs),
        Route("/_simulator/faults", faults, methods=["GET", "POST", "DELETE"]),
    )


def counters(world: World) -> dict[str, Any]:
    """Return what was asked and what was made; `cells` counts what batchrun says runs are for."""
    rows = _rows(world)
    cells = Counter(cell for row in rows if (cell := row["cell_key"]) is not None)
    return {
        "requests": {
            f"{route} {status}": count
            for (route, status), count in sorted(world.meter.requests.items())
        },
        "runs": len(rows),
        "batches": len({row["batch_id"] for row in rows} - {None}),
        "cells": len(cells),
        "twice": {cell: count for cell, count in cells.items() if count > 1},
        "most_in_flight": _most_in_flight(rows),
        "callbacks": _callbacks(world),
    }


def _callbacks(world: World) -> dict[str, int]:
    """Return how many deliveries there are, in all and by what became of them, and attempts."""
    count = world.store.all("SELECT status, COUNT(*) AS n FROM deliveries GROUP BY status")
    [attempts] = world.store.all("SELECT COUNT(*) AS n FROM delivery_attempts")
    states = {"pending": 0, "delivered": 0, "failed": 0} | {
        row["status"]: row["n"] for row in count
    }
    return {"deliveries": sum(states.values()), **states, "attempts": attempts["n"]}


def _rows(world: World) -> list[Any]:
    return world.store.all(
        "SELECT id, model, client_ref, batch_id, cell_key, committed, ended, cost "
        "FROM runs WHERE outcome != ? ORDER BY number",
        life.NO_RUN.outcome,
    )


def _lean(world: World, row: Any) -> dict[str, Any]:
    run = world.store.run(row["id"])
    assert run is not None
    return {
        "id": row["id"],
        "model": row["model"],
        "client_ref": row["client_ref"],
        "batch_id": row["batch_id"],
        "cell": row["cell_key"],
        "input": json.loads(run.input),
        "status_code": status_of(run, world.now()),
        "cost": row["cost"],
    }


def _most_in_flight(rows: Sequence[Any]) -> int:
    changes = sorted([(row["committed"], 1) for row in rows] + [(row["ended"], -1) for row in rows])
    most = running = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most
