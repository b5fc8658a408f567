"""How much of a service's allowance is used, at how many refusals: the real limiter.

    python -m benchmarks.pacing [--allowed 2,20,200] [--seeds N]

Cold: a service that allows so many calls a second, with a burst of one second's worth, and says
nothing but 429; asked for ten times as many for 60 s, in virtual time, by callers who always
wait. Beside it what one would otherwise write: aiometer at that rate, and a semaphore, both of
which sleep 1, 2, 4, … s and try again when refused. Saturated: a service that takes everything,
at the real clock. Changes: what is lost, in seconds of the allowance, when it changes or fails.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from typing import Protocol

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from throttles import Bucket, Window
from virtual_time import VirtualTimeLoop

from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

SECONDS = 60.0
TIMES = 10  # what is asked for, of what is allowed
SEMAPHORE = 16
SERVICE = "burst of 1 s"
LATENCIES = (0.01, 0.05, 0.5)
ROUNDS, ROUND_SECONDS = 5, 2.0


class Throttle(Protocol):
    def takes(self, now: float) -> bool: ...


SERVICES: dict[str, Callable[[float], Throttle]] = {
    SERVICE: lambda allowed: Bucket(allowed, allowed),
    "burst of 1": lambda allowed: Bucket(allowed, 1),
    "windows of 1 s": lambda allowed: Window(allowed, 1),
}


class Service:
    """Answers "well", "throttled" or "troubled"; half of *latency* is the way to it."""

    def __init__(self, throttle: Throttle, *, latency: float, chance: Random) -> None:
        self.throttle = throttle
        self.taken: list[float] = []
        self.refused = 0
        self.troubled = False
        self._latency = latency
        self._chance = chance

    async def call(self) -> str:
        await anyio.sleep(self._latency / 2)
        answer = "troubled"
        if not self.troubled and self.throttle.takes(now := anyio.current_time()):
            self.taken.append(now)
            answer = "well"
        elif not self.troubled:
            self.refused += 1
            answer = "throttled"
        await anyio.sleep(self._latency * (0.3 + 0.4 * self._chance.random()))
        return answer

    def shares(self, allowed: float) -> dict[str, float]:
        """Return the share of what it allows that was used, and of the calls it refused."""
        taken = len(self.taken)
        return {
            "used": taken / (allowed * SECONDS),
            "refused": self.refused / (taken + self.refused),
        }


async def batchrun(service: Service, rate: float, chance: Random) -> None:
    limiter = Limiter(Pace(rate, jitter=chance.random))
    news: Mapping[str, Callable[[float], None]] = {
        "well": limiter.well,
        "throttled": limiter.throttled,
        "troubled": limiter.troubled,
    }

    async def caller() -> None:
        while True:
            sent_at = await limiter.wait()
            news[await service.call()](sent_at)

    async with anyio.create_task_group() as tg:
        for _ in range(int(rate) + 10):  # enough that some always wait
            tg.start_soon(caller)


async def insistent(service: Service, chance: Random) -> None:
    """Call, and sleep and call again while refused, as one would without a limiter that knows."""
    pause = 1.0
    while await service.call() != "well":
        await anyio.sleep(pause * (1 + chance.random()))
        pause = min(2 * pause, 32.0)


async def aiometer(service: Service, rate: float, chance: Random) -> None:
    from aiometer import amap  # noqa: PLC0415  (only measured)

    async def one(_: int) -> None:
        await insistent(service, chance)

    async with amap(one, range(int(rate * SECONDS)), max_per_second=rate) as done:
        async for _ in done:
            pass


async def semaphore(service: Service, _rate: float, chance: Random) -> None:
    async def caller() -> None:
        while True:
            await insistent(service, chance)

    async with anyio.create_task_group() as tg:
        for _ in range(SEMAPHORE):
            tg.start_soon(caller)


CALLERS: dict[str, Callable[[Service, float, Random], Awaitable[None]]] = {
    "batchrun": batchrun,
    "aiometer": aiometer,
    "semaphore": semaphore,
}


def cold(
    who: str, allowed: float, *, service: str = SERVICE, latency: float = 0.05, seed: int = 1
) -> dict[str, float]:
    """Return "used" of what is allowed in the first 60 s, and "refused" of the calls."""
    chance = Random(seed)
    served = Service(SERVICES[service](allowed), latency=latency, chance=chance)

    async def run() -> None:
        with anyio.move_on_after(SECONDS):
            await CALLERS[who](served, TIMES * allowed, chance)

    virtually(run)
    return served.shares(allowed)


def saturated(rate: float, rounds: int = ROUNDS) -> dict[str, float]:
    """Return "used" of *rate* at the real clock by callers who are answered at once, and "bare".

    That is what a loop uses that does nothing but look at the clock, in rounds between: no call
    may make up for a late one, so what a busy machine takes away is lost to both.
    """
    both = [(anyio.run(limited, rate), bare(rate)) for _ in range(rounds)]
    used, yardstick = zip(*both, strict=True)
    return {"used": median(used), "bare": median(yardstick)}


async def limited(rate: float) -> float:
    limiter = Limiter(Pace(rate, jitter=Random(1).random))
    left: list[float] = []

    async def caller() -> None:
        while True:
            left.append(sent_at := await limiter.wait())
            limiter.well(sent_at)

    with anyio.move_on_after(ROUND_SECONDS):
        async with anyio.create_task_group() as tg:
            for _ in range(50):
                tg.start_soon(caller)
    return (len(left) - 1) / (left[-1] - left[0]) / rate


def bare(rate: float) -> float:
    left = [time.monotonic()]
    while (now := time.monotonic()) < left[0] + ROUND_SECONDS:
        if now >= left[-1] + 1 / rate:
            left.append(now)
    return (len(left) - 1) / (left[-1] - left[0]) / rate


@contextlib.asynccontextmanager
async def asked(service: Service, rate: float, chance: Random) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tg:
        tg.start_soon(batchrun, service, rate, chance)
        yield
        tg.cancel_scope.cancel()


CHANGES = ("half", "double", "5xx for 20 s", "outage of 60 s")
WATCHED = 120.0  # seconds, from the change or from the end of the trouble


def changed(change: str, allowed: float = 20.0, seed: int = 1) -> dict[str, float]:
    """Return "lost" seconds of the allowance in the two minutes after *change*, and "refused"."""
    chance = Random(seed)
    bucket = Bucket(allowed, allowed)
    service = Service(bucket, latency=0.05, chance=chance)
    began = 0.0

    async def run() -> None:
        nonlocal began
        async with asked(service, TIMES * allowed, chance):
            await anyio.sleep(SECONDS)
            if change in {"half", "double"}:
                bucket.rate = bucket.burst = allowed * (0.5 if change == "half" else 2)
            else:
                service.troubled = True
                await anyio.sleep(20.0 if "20" in change else 60.0)
                service.troubled = False
            service.refused, began = 0, anyio.current_time()
            await anyio.sleep(WATCHED)

    virtually(run)
    taken = sum(moment >= began for moment in service.taken)
    return {
        "lost": WATCHED - taken / bucket.rate,
        "refused": service.refused / (taken + service.refused),
    }


def virtually(run: Callable[[], Awaitable[None]]) -> None:
    anyio.run(run, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop})


def worst(runs: list[dict[str, float]]) -> dict[str, float]:
    return {"used": min(r["used"] for r in runs), "refused": max(r["refused"] for r in runs)}


def shares(found: dict[str, float]) -> str:
    return f"{found['used']:>7.1%}{found['refused']:>9.1%}"


def numbers(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allowed", type=numbers, default=[2.0, 20.0, 200.0], help="a second")
    parser.add_argument("--seeds", type=int, default=3, help="of batchrun; the worst is shown")
    options = parser.parse_args()
    print("cold, 50 ms     allowed/s  who         used  refused")
    for allowed in options.allowed:
        for who in CALLERS:
            if who == "aiometer" and find_spec(who) is None:
                continue
            seeds = range(options.seeds if who == "batchrun" else 1)
            found = worst([cold(who, allowed, seed=seed) for seed in seeds])
            print(f"{SERVICE:<16}{allowed:>9g}  {who:<10}{shares(found)}", flush=True)
    print("\nbatchrun, 20/s allowed  latency   used  refused")
    for service in SERVICES:
        for latency in LATENCIES:
            runs = [
                cold("batchrun", 20, service=service, latency=latency, seed=seed)
                for seed in range(options.seeds)
            ]
            print(f"{service:<23}{latency * 1000:>5.0f} ms{shares(worst(runs))}", flush=True)
    print("\nsaturated, real clock  rate/s   used   bare loop")
    for rate in (20.0, 200.0, 1000.0):
        found = saturated(rate)
        print(f"{'':<23}{rate:>6g}{found['used']:>7.1%}{found['bare']:>12.1%}", flush=True)
    print("\nchange          lost s  refused")
    for change in CHANGES:
        found = changed(change)
        print(f"{change:<15}{found['lost']:>7.1f}{found['refused']:>9.1%}", flush=True)


if __name__ == "__main__":
    main()
