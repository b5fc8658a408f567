"""One run after another from POST to its end, against a server that answers at once.

    python -m benchmarks.lifecycles [--runs N] [--in-flight C] [--rounds R] [--only NAME,NAME]

Runs per second and CPU per run. batchrun does with its ledger, its limiter and its durable intents
what the others do without: one POST and one GET a run. Each case runs in a process of its own, the
cases in turn, and medians are told. The yardstick is httpx as one would write it by hand; aiohttp
and aiometer are left out where they aren't installed.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import httpx

import batchrun.commands.execute  # noqa: F401  (imported late by the command line)
from batchrun.cli import main as batchrun_main
from batchrun.runflow.http.client import api_client
from benchmarks.instant import instant

Post = Callable[[], Awaitable[str]]
Get = Callable[[str], Awaitable[str]]
PATH = "/v1/models/single/model/runs"
TYPE = {"Content-Type": "application/json"}
BODY = json.dumps({"client_ref": "x", "input": {"prompt": "p", "seed": 1}, "metadata": {}}).encode()
CASES = ("httpx", "aiometer", "fast httpx", "aiohttp", "single", "batches")
"""`fast httpx` is httpx over batchrun's own transport, as one would write it by hand."""

Found = dict[str, dict[str, float]]


async def lifecycles(post: Post, get: Get, *, runs: int, in_flight: int) -> None:
    todo = iter(range(runs))

    async def worker() -> None:
        for _ in todo:
            assert await get(await post()) == "succeeded"

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(worker)


async def with_httpx(client: httpx.AsyncClient, runs: int, in_flight: int) -> None:
    async with client:
        await lifecycles(*_calls(client), runs=runs, in_flight=in_flight)


async def with_aiometer(client: httpx.AsyncClient, runs: int, in_flight: int) -> None:
    import aiometer  # noqa: PLC0415  (only measured)

    async with client:
        post, get = _calls(client)

        async def life() -> None:
            assert await get(await post()) == "succeeded"

        await aiometer.run_all([life] * runs, max_at_once=in_flight)


def _calls(client: httpx.AsyncClient) -> tuple[Post, Get]:
    async def post() -> str:
        answer = await client.post(PATH, content=BODY, headers=TYPE)
        return str(answer.json()["id"])

    async def get(run: str) -> str:
        return str((await client.get(f"/v1/runs/{run}")).json()["status_code"])

    return post, get


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


def with_batchrun(url: str, runs: int, in_flight: int, *, model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.yaml")
        path.write_text(
            f"models: [{model}]\ninputs: {{prompt: p, seed: {{$range: [1, {runs}]}}}}\n"
            f"limits: {{concurrency: {in_flight}, rate: 100000/s}}\n"
            "poll: {interval: 2ms}\noutputs: {download: false}\n",
            encoding="utf-8",
        )
        os.environ["RUNFLOW_API_KEY"] = "rf_live_benchmark"
        code = batchrun_main([str(path), "--endpoint", url, "--quiet", "--no-progress"])
        assert code == 0


def by_hand(url: str, in_flight: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    return httpx.AsyncClient(base_url=url, limits=limits)


def work(case: str, url: str, runs: int, in_flight: int) -> Callable[[], Any]:
    """Return what runs a case to its end."""
    match case:
        case "single" | "batches":
            model = "single/model" if case == "single" else "runflow/model"
            return partial(with_batchrun, url, runs, in_flight, model=model)
        case "aiohttp":
            bare = partial(with_aiohttp, url, runs, in_flight)
        case "aiometer":
            bare = partial(with_aiometer, by_hand(url, in_flight), runs, in_flight)
        case "fast httpx":
            bare = partial(
                with_httpx, api_client(url, "key", connections=in_flight), runs, in_flight
            )
        case _:
            bare = partial(with_httpx, by_hand(url, in_flight), runs, in_flight)
    return lambda: asyncio.run(bare())


def measure(case: str, url: str, runs: int, in_flight: int) -> dict[str, float]:
    """Return runs per second and milliseconds of CPU per run, imports left out."""
    do = work(case, url, runs, in_flight)
    began, used = time.monotonic(), _cpu()
    do()
    return {
        "rate": runs / (time.monotonic() - began),
        "cpu": (_cpu() - used) / runs * 1000,
    }


def compare(cases: Sequence[str], *, runs: int, in_flight: int, rounds: int) -> Found:
    """Return the medians of each case."""
    each: dict[str, list[dict[str, float]]] = {case: [] for case in cases if _there(case)}
    for _ in range(rounds):
        for case, found in each.items():
            found.append(_in_process(case, runs, in_flight))
    return {
        case: {name: statistics.median(one[name] for one in found) for name in ("rate", "cpu")}
        for case, found in each.items()
    }


def crowded(
    cases: Sequence[str], *, runs: int, crowds: Sequence[int], rounds: int
) -> dict[str, dict[int, float]]:
    """Return the median milliseconds of CPU per run of each case with so many runs in flight."""
    found: dict[str, dict[int, list[float]]] = {
        case: {in_flight: [] for in_flight in crowds} for case in cases
    }
    for _ in range(rounds):
        for case, each in found.items():
            for in_flight, used in each.items():
                used.append(_in_process(case, runs, in_flight)["cpu"])
    return {
        case: {in_flight: statistics.median(used) for in_flight, used in each.items()}
        for case, each in found.items()
    }


def _there(case: str) -> bool:
    return case not in {"aiohttp", "aiometer"} or find_spec(case) is not None


def _in_process(case: str, runs: int, in_flight: int) -> dict[str, float]:
    with instant() as url:
        command = [sys.executable, "-m", "benchmarks.lifecycles", "--measure", case, url]
        command += ["--runs", str(runs), "--in-flight", str(in_flight)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(text.splitlines()[-1])
    return found


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(found: Found) -> Iterator[str]:
    yield f"{'':<12}runs/s  ms CPU/run  times httpx"
    yardstick = next(iter(found.values()))["rate"]
    for case, one in found.items():
        times = one["rate"] / yardstick
        yield f"{case:<12}{one['rate']:>6.0f}{one['cpu']:>12.3f}{times:>13.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        case, url = options.measure
        found = measure(case, url, options.runs, options.in_flight)
        print("\n" + json.dumps(found))
        return
    compared = compare(
        options.only.split(","),
        runs=options.runs,
        in_flight=options.in_flight,
        rounds=options.rounds,
    )
    for line in table(compared):
        print(line, flush=True)


if __name__ == "__main__":
    main()
