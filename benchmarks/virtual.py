"""The real engine in virtual time, against a service in memory that counts what it is asked.

Durations have a mean of 30 s. What a run's end is told late by, and what a sweep takes against the
least time anybody could take, are the service's to say: it knows when each run ended.
"""

import json
import math
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
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

MEAN = 30.0
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ROUND_TRIP = 0.05

SHAPES: dict[str, Callable[[Random], float]] = {
    "even": lambda chance: MEAN * chance.uniform(0.2, 1.8),
    "constant": lambda _: MEAN,
    "lognormal": lambda chance: chance.lognormvariate(math.log(MEAN) - 0.18, 0.6),
}


class MemoryDisk(InlineDisk):
    """The calls are measured here, and not the disk."""

    async def write(self, fd: int, data: bytes) -> None:
        os.write(fd, data)


@dataclass
class Service:
    """Runs that end when they should; knows when each end was first told."""

    duration: Callable[[Random], float]
    page: int = 500
    batches: bool = False
    chance: Random = field(default_factory=lambda: random.Random(7))
    by_ref: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    begins: dict[str, float] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    creates: int = 0
    lists: int = 0
    gets: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(ROUND_TRIP)
        path = request.url.path
        if request.method == "POST":
            return self._post(path, json.loads(request.content))
        if path == "/v1/runs":
            return httpx.Response(200, json=self._list(request.url.params))
        if path.startswith("/v1/runs/"):
            self.gets += 1
            return httpx.Response(200, json=self._shown(self.by_id[path.rpartition("/")[2]]))
        return _refusal(404)

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        if not path.endswith("/batches"):
            self.creates += 1
            return httpx.Response(201, json=self._create(body["client_ref"], body["metadata"]))
        if not self.batches:
            return _refusal(422)
        self.creates += 1
        runs = [self._create(item["client_ref"], None) for item in body["input"]]
        items = [{"sequence_index": n, "run_id": run["id"]} for n, run in enumerate(runs)]
        return httpx.Response(201, json={"id": f"b{self.creates}", "items": items})

    def _create(self, client_ref: str, metadata: Any) -> dict[str, Any]:
        now = anyio.current_time()
        run = {
            "id": f"r{len(self.by_id)}",
            "client_ref": client_ref,
            "metadata": metadata,
            "status_code": "queued",
            "created_at": _date(now),
        }
        self.by_id[run["id"]] = run
        self.by_ref[client_ref].append(run)
        self.begins[run["id"]] = now
        self.ends[run["id"]] = now + self.duration(self.chance)
        return run

    def _list(self, params: httpx.QueryParams) -> dict[str, Any]:
        self.lists += 1
        runs = self.by_ref.get(params.get("q", "").partition("'")[2].rstrip("'"), [])
        start = int(params.get("pq", "0"))
        end = start + min(self.page, int(params["limit"]))
        following = str(end) if end < len(runs) else None
        return {"items": [self._shown(run) for run in runs[start:end]], "next": following}

    def _shown(self, run: dict[str, Any]) -> dict[str, Any]:
        now, run_id = anyio.current_time(), run["id"]
        if now >= self.ends[run_id] and run_id not in self.told:
            self.told[run_id] = now
            run |= {"status_code": "succeeded", "cost": "0.01"}
            run["completed_at"] = _date(self.ends[run_id])
        return run


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


def play(service: Service, *, cells: int, in_flight: int, rate: float, **changes: Any) -> Sweep:
    """Run a sweep of *cells* against *service*; *changes* are settings of the call."""
    with tempfile.TemporaryDirectory() as folder:

        async def run() -> float:
            return await _sweep(Path(folder), service, cells, in_flight, rate, changes)

        options = {"loop_factory": VirtualTimeLoop}
        makespan = anyio.run(run, backend="asyncio", backend_options=options)
    looks = (service.lists + service.gets) / cells
    return Sweep(
        submits=service.creates / cells,
        lists=service.lists / cells,
        gets=service.gets / cells,
        lag=sum(told - service.ends[run] for run, told in service.told.items()) / cells,
        makespan=makespan,
        bound=_least(service, cells=cells, in_flight=in_flight, rate=rate, looks=looks),
    )


async def _sweep(
    folder: Path,
    service: Service,
    cells: int,
    in_flight: int,
    rate: float,
    changes: dict[str, Any],
) -> float:
    path = folder / "m.yaml"
    path.write_text(
        f"models: [a/b]\ninputs: {{seed: {{$range: [1, {cells}]}}}}\noutputs: {{download: false}}\n"
        f"limits: {{concurrency: {in_flight}, rate: {rate}/s}}\n"
    )
    manifest = load_manifest(path, {})
    settings = replace(manifest.settings(), **changes)
    began = anyio.current_time()

    def clock() -> datetime:
        return BEGINNING + timedelta(seconds=anyio.current_time())

    with open_ledger(folder / "out", disk=MemoryDisk(), clock=clock) as ledger:
        identity = await open_sweep(folder / "out", ledger, manifest, endpoint="x", label=None)
        transport = httpx.MockTransport(service.answer)
        async with (
            api_client("https://x", "key", connections=4, transport=transport) as http,
            download_client(transport=transport) as downloads,
        ):
            pace = Pace(settings.rate.per_second, jitter=Random(1).random)
            client = Client(http, Limiter(pace), give_up=60, clock=clock)
            services = Services(client=client, downloads=downloads, progress=Silent())
            await Runner(manifest, settings, identity, ledger, services).run()
    assert len(service.told) == cells
    return anyio.current_time() - began


def _least(service: Service, *, cells: int, in_flight: int, rate: float, looks: float) -> float:
    """Return the least time in which anybody could do it, with these calls and no lag."""
    mean = sum(service.ends[run] - service.begins[run] for run in service.ends) / cells
    return max(
        (service.creates + cells * looks - 1) / rate,
        (service.creates - 1) / rate + mean + 2 * ROUND_TRIP,
        cells / in_flight * (mean + 2 * ROUND_TRIP),
    )


def _date(moment: float) -> str:
    return (BEGINNING + timedelta(seconds=moment)).isoformat()


def _refusal(status: int) -> httpx.Response:
    return httpx.Response(status, json={"code": "REFUSED", "message": "not this"})
