"""One POST and one GET a run, against a server that answers at once: runs per second, CPU per run.

    python -m benchmarks.lifecycles [--runs N] [--in-flight C] [--only NAME,NAME]

batchrun does with its ledger, its limiter and its durable intents what the others do without. Each
case runs in a process of its own. The yardstick is `httpx` as one would write it by hand; aiohttp
is left out where it isn't installed.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import anyio
import httpx

from benchmarks.instant import instant

Post = Callable[[], Awaitable[str]]
Get = Callable[[str], Awaitable[str]]
PATH = "/v1/models/a/b/runs"
TYPE = {"Content-Type": "application/json"}
BODY = json.dumps({"client_ref": "x", "input": {"prompt": "p", "seed": 1}, "metadata": {}}).encode()
CASES = ("httpx", "aiohttp", "batchrun")


async def lifecycles(post: Post, get: Get, *, runs: int, in_flight: int) -> None:
    todo = iter(range(runs))

    async def worker() -> None:
        for _ in todo:
            assert await get(await post()) == "succeeded"

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(worker)


async def with_httpx(url: str, runs: int, in_flight: int) -> None:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(base_url=url, limits=limits) as client:

        async def post() -> str:
            answer = await client.post(PATH, content=BODY, headers=TYPE)
            return str(answer.json()["id"])

        async def get(run: str) -> str:
            return str((await client.get(f"/v1/runs/{run}")).json()["status_code"])

        await lifecycles(post, get, runs=runs, in_flight=in_flight)


async def with_aiohttp(url: str, runs: int, in_flight: int) -> None:
    import aiohttp  # noqa: PLC0415  (only measured)

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def post() -> str:
            async with session.post(PATH, data=BODY, headers=TYPE) as answer:
                return str((await answer.json())["id"])

        async def get(run: str) -> str:
            async with session.get(f"/v1/runs/{run}") as answer:
                return str((await answer.json())["status_code"])

        await lifecycles(post, get, runs=runs, in_flight=in_flight)


def with_batchrun(url: str, runs: int, in_flight: int) -> None:
    from batchrun.cli import main  # noqa: PLC0415  (not part of what the others pay)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.yaml")
        path.write_text(
            f"models: [a/b]\ninputs: {{prompt: p, seed: {{$range: [1, {runs}]}}}}\n"
            f"limits: {{concurrency: {in_flight}, rate: 100000/s}}\n"
            "poll: {interval: 100ms}\noutputs: {download: false}\n",
            encoding="utf-8",
        )
        os.environ["RUNFLOW_API_KEY"] = "rf_live_benchmark"
        code = main([str(path), "--endpoint", url, "--json", "--no-progress"])
        assert code == 0


def measure(case: str, url: str, runs: int, in_flight: int) -> dict[str, float]:
    """Return runs per second and milliseconds of CPU per run, imports left out."""
    began, used = time.monotonic(), _cpu()
    if case == "batchrun":
        with_batchrun(url, runs, in_flight)
    else:
        bare = with_httpx if case == "httpx" else with_aiohttp
        asyncio.run(bare(url, runs, in_flight))
    return {
        "rate": runs / (time.monotonic() - began),
        "cpu": (_cpu() - used) / runs * 1000,
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        case, url = options.measure
        found = measure(case, url, options.runs, options.in_flight)
        print("\n" + json.dumps(found))
        return
    print(f"{'':<10}runs/s  ms CPU/run  times httpx")
    yardstick = 0.0
    for case in options.only.split(","):
        if case == "aiohttp" and find_spec("aiohttp") is None:
            continue
        with instant() as url:
            command = [sys.executable, "-m", "benchmarks.lifecycles", "--measure", case, url]
            command += ["--runs", str(options.runs), "--in-flight", str(options.in_flight)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = json.loads(text.splitlines()[-1])
        yardstick = yardstick or found["rate"]
        times = found["rate"] / yardstick
        print(f"{case:<10}{found['rate']:>6.0f}{found['cpu']:>12.2f}{times:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
