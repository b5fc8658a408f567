"""Looks per run, and how late an end is discovered: the real engine in virtual time.

    python -m benchmarks.watching [--cells N] [--wave 50,100,200,500] [--page 100,500]

A service in memory runs what the engine submits: durations of a mean of 30 s, spread evenly over
±80 % unless said otherwise. A look is a page of a listing or the reading of one run. Peers that
poll each run every 2 s need 15 looks a run.
"""

import argparse
import json
import math
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from virtual_time import VirtualTimeLoop

from batchrun.engine.runner import Outside, Runner
from batchrun.engine.settings import from_manifest
from batchrun.engine.sweep import open_sweep
from batchrun.ledger.disk import InlineDisk
from batchrun.ledger.file import open_ledger
from batchrun.manifest.load import load_manifest
from batchrun.results.progress import Silent
from batchrun.runflow.client import Client
from batchrun.runflow.http import api_client, download_client
from batchrun.runflow.limiter import Limiter
from batchrun.runflow.pace import Pace

MEAN = 30.0
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ROUND_TRIP = 0.05

SHAPES: dict[str, Callable[[Random], float]] = {
    "even": lambda chance: MEAN * chance.uniform(0.2, 1.8),
    "constant": lambda _: MEAN,
    "lognormal": lambda chance: chance.lognormvariate(math.log(MEAN) - 0.18, 0.6),
}


class MemoryDisk(InlineDisk):
    """The looks are measured here, and not the disk."""

    async def write(self, fd: int, data: bytes) -> None:
        os.write(fd, data)


@dataclass
class Service:
    """Runs that end when they should; knows when each end was first told."""

    duration: Callable[[Random], float]
    page: int
    chance: Random = field(default_factory=lambda: random.Random(7))
    by_ref: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    creates: int = 0
    lists: int = 0
    gets: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(ROUND_TRIP)
        path = request.url.path
        if request.method == "POST":
            return httpx.Response(201, json=self._create(json.loads(request.content)))
        if path == "/v1/runs":
            return httpx.Response(200, json=self._list(request.url.params))
        if path.startswith("/v1/runs/"):
            self.gets += 1
            return httpx.Response(200, json=self._shown(self.by_id[path.rpartition("/")[2]]))
        return httpx.Response(404, json={"code": "NOT_FOUND", "message": "no"})

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        now = anyio.current_time()
        run = {
            "id": f"r{self.creates}",
            "client_ref": body["client_ref"],
            "metadata": body["metadata"],
            "status_code": "queued",
            "created_at": _date(now),
        }
        self.creates += 1
        self.by_id[run["id"]] = run
        self.by_ref[run["client_ref"]].append(run)
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

    @property
    def lag(self) -> float:
        """Return the mean seconds from a run's end to the look that told it."""
        return sum(told - self.ends[run] for run, told in self.told.items()) / len(self.told)


def _date(moment: float) -> str:
    return (BEGINNING + timedelta(seconds=moment)).isoformat()


async def sweep(
    folder: Path, service: Service, *, cells: int, in_flight: int, rate: float, wave: int
) -> float:
    """Run a sweep of *cells*; return its makespan in virtual seconds."""
    path = folder / "m.yaml"
    path.write_text(
        f"models: [a/b]\ninputs: {{seed: {{$range: [1, {cells}]}}}}\noutputs: {{download: false}}\n"
        f"limits: {{concurrency: {in_flight}, rate: {rate}/s}}\n"
    )
    manifest = load_manifest(path, {})
    settings = replace(from_manifest(manifest), **({"wave_size": wave} if wave else {}))
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
            outside = Outside(client=client, downloads=downloads, progress=Silent())
            await Runner(manifest, settings, identity, ledger, outside).run()
    return anyio.current_time() - began


def measure(
    *, shape: str, page: int, wave: int, cells: int, in_flight: int, rate: float
) -> dict[str, float]:
    """Return looks per run, the mean lag in seconds, and the makespan against the bound."""
    service = Service(duration=SHAPES[shape], page=page)
    with tempfile.TemporaryDirectory() as folder:

        async def run() -> float:
            return await sweep(
                Path(folder), service, cells=cells, in_flight=in_flight, rate=rate, wave=wave
            )

        options = {"loop_factory": VirtualTimeLoop}
        makespan = anyio.run(run, backend="asyncio", backend_options=options)
    looks = service.lists + service.gets
    bound = oracle(service, cells=cells, in_flight=in_flight, rate=rate, looks=looks / cells)
    return {
        "looks": looks / cells,
        "lists": service.lists / cells,
        "gets": service.gets / cells,
        "lag": service.lag,
        "makespan": makespan / bound,
    }


def oracle(service: Service, *, cells: int, in_flight: int, rate: float, looks: float) -> float:
    """Return the least time in which anybody could do it, with these looks and no lag."""
    durations = [end - _created(service, run) for run, end in service.ends.items()]
    mean = sum(durations) / len(durations)
    return max(
        (cells * (1 + looks) - 1) / rate,
        (cells - 1) / rate + mean + 2 * ROUND_TRIP,
        cells / in_flight * (mean + 2 * ROUND_TRIP),
    )


def _created(service: Service, run: str) -> float:
    moment = datetime.fromisoformat(service.by_id[run]["created_at"])
    return (moment - BEGINNING).total_seconds()


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--wave", type=numbers, default=[0], help="0 is the default")
    parser.add_argument("--page", type=numbers, default=[100, 500])
    parser.add_argument("--shape", default="even,constant,lognormal")
    options = parser.parse_args()
    print("shape      page  wave  looks/run  (lists   gets)  lag s  makespan/bound")
    for shape in options.shape.split(","):
        for page in options.page:
            for wave in options.wave:
                found = measure(
                    shape=shape,
                    page=page,
                    wave=wave,
                    cells=options.cells,
                    in_flight=options.in_flight,
                    rate=options.rate,
                )
                print(
                    f"{shape:<9}{page:>6}{wave or 'auto':>6}{found['looks']:>11.3f}"
                    f"  ({found['lists']:.3f}, {found['gets']:.3f}){found['lag']:>7.2f}"
                    f"{found['makespan']:>10.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
