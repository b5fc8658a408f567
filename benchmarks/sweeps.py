"""The engine in virtual time, against the simulator, which counts the requests.

Durations have a mean of 30 s. How late the end of a run is first shown, and what a sweep takes by
the least time in which it could be done, follow from the simulator's state: it has each run's end.
"""

import math
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from virtual_time import VirtualTimeLoop

from batchrun.base.disk import InlineDisk
from batchrun.engine.open_sweep import open_sweep
from batchrun.engine.run import Runner, Services
from batchrun.ledger.file import open_ledger
from batchrun.manifest.load import load_manifest
from batchrun.results.progress_lines import Silent
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client, download_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.simulator.life import SECOND, TERMINAL
from batchrun.simulator.settings import Settings
from batchrun.simulator.store import Run
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.world import World

MEAN = 30.0
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ROUND_TRIP = 0.05

SHAPES: dict[str, Callable[[Random], float]] = {
    "even": lambda chance: MEAN * chance.uniform(0.2, 1.8),
    "constant": lambda _: MEAN,
    "lognormal": lambda chance: chance.lognormvariate(math.log(MEAN) - 0.18, 0.6),
}

Beside = Callable[[Runner], AbstractAsyncContextManager[None]]
"""What is there as long as a call runs."""


@asynccontextmanager
async def nothing(_runner: Runner) -> AsyncIterator[None]:
    yield


class MemoryDisk(InlineDisk):
    """The calls are measured here, and not the disk."""

    async def write(self, fd: int, data: bytes) -> None:
        os.write(fd, data)


class Service(SimulatedTransport):
    """The simulator, with durations of one shape; knows when each end was first shown."""

    def __init__(
        self,
        duration: Callable[[Random], float],
        *,
        page: int = 500,
        batches: bool = False,
        secret: str | None = None,
    ) -> None:
        chance = random.Random(7)
        settings = Settings(
            wishes=lambda _: {"seconds": duration(chance), "queued": 0},
            page_cap=page,
            batches="all" if batches else "none",
            callback_secret=secret,
            drawing=False,
        )
        world = World(None, settings=settings, clock=loop_clock(BEGINNING.timestamp()))
        super().__init__(world, latency=ROUND_TRIP)
        self.shown: dict[str, float] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        if request.method == "GET" and request.url.path.startswith("/v1/runs"):
            body = answer.json()
            for run in body.get("items", [body]):
                if run["status_code"] in TERMINAL:
                    self.shown.setdefault(run["id"], anyio.current_time())
        return answer

    def asked(self, *routes: str) -> int:
        """Return how many requests to *routes* went well."""
        requests = self.world.meter.requests
        return sum(requests[route, status] for route in routes for status in (200, 201))

    def runs(self) -> list[Run]:
        return list(self.world.store.runs_where([]))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep took: calls and looks per run, seconds, and its makespan against the least."""

    submits: float
    lists: float
    gets: float
    lag: float
    makespan: float
    bound: float

    @property
    def looks(self) -> float:
        return self.lists + self.gets


def play(
    service: Service,
    *,
    cells: int,
    in_flight: int,
    rate: float,
    beside: Beside = nothing,
    **changes: Any,
) -> Sweep:
    """Run a sweep of *cells* against *service*; *changes* are settings of the call."""
    with tempfile.TemporaryDirectory() as folder:

        async def run() -> float:
            return await _sweep(Path(folder), service, cells, in_flight, rate, beside, changes)

        options = {"loop_factory": VirtualTimeLoop}
        makespan = anyio.run(run, backend="asyncio", backend_options=options)
    lists, gets = service.asked("list"), service.asked("get")
    runs = service.runs()
    return Sweep(
        submits=_submits(service) / cells,
        lists=lists / cells,
        gets=gets / cells,
        lag=sum(service.shown[run.id] - _seconds(run.ended) for run in runs) / cells,
        makespan=makespan,
        bound=_least(runs, _submits(service), lists + gets, in_flight=in_flight, rate=rate),
    )


async def _sweep(
    folder: Path,
    service: Service,
    cells: int,
    in_flight: int,
    rate: float,
    beside: Beside,
    changes: dict[str, Any],
) -> float:
    path = folder / "m.yaml"
    path.write_text(
        "models: [google/nano-banana-2]\noutputs: {download: false}\n"
        f"inputs: {{prompt: a chair, seed: {{$range: [1, {cells}]}}}}\n"
        f"limits: {{concurrency: {in_flight}, rate: {rate}/s}}\n"
    )
    manifest = load_manifest(path, {})
    settings = replace(manifest.settings(), **changes)
    began = anyio.current_time()

    def clock() -> datetime:
        return BEGINNING + timedelta(seconds=anyio.current_time())

    with open_ledger(folder / "out", disk=MemoryDisk(), clock=clock) as ledger:
        identity = await open_sweep(folder / "out", ledger, manifest, endpoint="x", label=None)
        async with (
            api_client("https://x", "key", connections=4, transport=service) as http,
            download_client(transport=service) as downloads,
        ):
            pace = Pace(settings.rate.per_second, jitter=Random(1).random)
            client = Client(http, Limiter(pace), give_up=60, clock=clock)
            services = Services(client=client, downloads=downloads, progress=Silent())
            runner = Runner(manifest, settings, identity, ledger, services)
            async with beside(runner):
                await runner.run()
    assert len(service.shown) == cells
    return anyio.current_time() - began


def _least(runs: Sequence[Run], submits: int, looks: int, *, in_flight: int, rate: float) -> float:
    """Return the least time in which it could be done, with these calls and no lag."""
    cells = len(runs)
    mean = sum(run.ended - run.committed for run in runs) / SECOND / cells
    return max(
        (submits + looks - 1) / rate,
        (submits - 1) / rate + mean + 2 * ROUND_TRIP,
        cells / in_flight * (mean + 2 * ROUND_TRIP),
    )


def _submits(service: Service) -> int:
    return service.asked("create", "create_batch")


def _seconds(moment: int) -> float:
    return moment / SECOND - BEGINNING.timestamp()
