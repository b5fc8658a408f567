"""What a request costs under each of the ways to send it: milliseconds of CPU, and ratios.

    python -m benchmarks.transports [--runs N] [--in-flight C,C] [--rounds R] [--only CASE,CASE]

One POST and one GET a run against a server that answers at once, each case in a process of its
own, in turns; the figures are medians. `ours` is the client as batchrun makes it, `none` is httpx
over a transport that does nothing: the share of its client layer. `aiohttp` is that library alone,
`httpx over aiohttp` a transport as short as it can be; both are left out where it isn't installed.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any

import anyio
import httpx

from batchrun.runflow.http.client import api_client
from benchmarks.instant import instant

Ask = Callable[[str, str, bytes | None], Awaitable[Any]]
PATH = "/v1/models/a/b/runs"
TYPE = {"Content-Type": "application/json"}
BODY = json.dumps({"client_ref": "x", "input": {"prompt": "p", "seed": 1}, "metadata": {}}).encode()
CASES = ("httpx", "ours", "none", "httpx over aiohttp", "aiohttp")


class Nothing(httpx.AsyncBaseTransport):
    """Answers from memory, in the loop's next round."""

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        text = b'{"id":"r","status_code":"succeeded"}'
        return httpx.Response(200, headers=TYPE, stream=httpx.ByteStream(text))


class OverAiohttp(httpx.AsyncBaseTransport):
    """As short as it can be: errors, time-outs and TLS are not what is measured."""

    def __init__(self) -> None:
        import aiohttp  # noqa: PLC0415  (only measured)

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        from yarl import URL  # noqa: PLC0415  (as above)

        answer = await self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
            data=await request.aread() or None,
            allow_redirects=False,
        )
        body = await answer.read()
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body)
        )

    async def aclose(self) -> None:
        await self._session.close()


def client(case: str, url: str, in_flight: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    match case:
        case "ours":
            return api_client(url, "rf_live_benchmark", connections=in_flight)
        case "none":
            return httpx.AsyncClient(base_url=url, transport=Nothing())
        case "httpx over aiohttp":
            return httpx.AsyncClient(base_url=url, transport=OverAiohttp())
        case _:
            return httpx.AsyncClient(base_url=url, limits=limits)


async def measure(case: str, url: str, runs: int, in_flight: int) -> float:
    """Return milliseconds of CPU per request, connections and imports left out."""
    plain = case == "aiohttp"
    async with _aiohttp(url) if plain else _httpx(client(case, url, in_flight)) as ask:
        await lifecycles(ask, runs=in_flight, in_flight=in_flight)
        used = _cpu()
        await lifecycles(ask, runs=runs, in_flight=in_flight)
        return (_cpu() - used) / runs / 2 * 1000


async def lifecycles(ask: Ask, *, runs: int, in_flight: int) -> None:
    todo = iter(range(runs))

    async def worker() -> None:
        for _ in todo:
            run = await ask("POST", PATH, BODY)
            assert (await ask("GET", f"/v1/runs/{run['id']}", None))["status_code"] == "succeeded"

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(worker)


@asynccontextmanager
async def _httpx(http: httpx.AsyncClient) -> AsyncIterator[Ask]:
    async with http:

        async def ask(method: str, path: str, body: bytes | None) -> Any:
            request = http.build_request(method, path, content=body, headers=TYPE)
            return (await http.send(request)).json()

        yield ask


@asynccontextmanager
async def _aiohttp(url: str) -> AsyncIterator[Ask]:
    import aiohttp  # noqa: PLC0415  (only measured)

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(method: str, path: str, body: bytes | None) -> Any:
            async with session.request(method, path, data=body, headers=TYPE) as answer:
                return await answer.json()

        yield ask


def compare(
    cases: Sequence[str], *, runs: int = 2000, in_flight: int = 64, rounds: int = 3
) -> dict[str, float]:
    """Return each case's median of milliseconds of CPU per request."""
    found: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            with instant() as url:
                command = [sys.executable, "-m", "benchmarks.transports", "--measure", case, url]
                command += ["--runs", str(runs), "--in-flight", str(in_flight)]
                text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[case].append(float(text))
    return {case: median(each) for case, each in found.items()}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--in-flight", default="64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        case, url = options.measure
        print(asyncio.run(measure(case, url, options.runs, int(options.in_flight))))
        return
    cases = options.only.split(",")
    if find_spec("aiohttp") is None:
        cases = [case for case in cases if "aiohttp" not in case]
    print(f"{'':<20}in flight  ms CPU/request  of {cases[0]}'s")
    for in_flight in map(int, options.in_flight.split(",")):
        costs = compare(cases, runs=options.runs, in_flight=in_flight, rounds=options.rounds)
        for case, cost in costs.items():
            print(f"{case:<20}{in_flight:>9}{cost:>16.3f}{cost / costs[cases[0]]:>12.2f}")


if __name__ == "__main__":
    main()
