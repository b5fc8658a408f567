"""Promise 4: at most floor(rate * w) + 1 departures in any window w, whatever happens."""

import itertools
import math
import random
from bisect import bisect_right

import anyio
import httpx
import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.runflow.client import Client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.ratelimit.shared_pace_state import SharedPaceState, decode, encode

GAPS = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.sampled_from(["well", "throttled", "asked", "troubled", "abandoned", "silence"]),
    ),
    min_size=2,
    max_size=120,
)


def assert_never_over(rate: float, left: list[float]) -> None:
    """Check every window that begins with a departure: no other window can hold more."""
    for first, start in enumerate(left):
        for window in (1 / rate, 1.0, 2.5 / rate, 7.3, 60.0):
            held = bisect_right(left, start + window) - first
            assert held <= math.floor(rate * window) + 1
    assert all(b - a >= 1 / rate for a, b in itertools.pairwise(left))


@settings(max_examples=examples(300), deadline=None)
@given(rate=st.floats(0.02, 500), start=st.floats(0, 1e8), steps=GAPS, seed=st.integers())
def test_no_window_holds_more_departures_than_the_rate_allows(
    rate: float, start: float, steps: list[tuple[float, str]], seed: int
) -> None:
    pace, now, left = Pace(rate, jitter=random.Random(seed).random), start, []
    for gap, news in steps:
        now += gap * (seed % 2)
        now += pace.delay(now)
        if pace.delay(now) > 0:  # less than the clock can tell apart
            now = math.nextafter(now, math.inf)
        pace.leave(now)
        left.append(now)
        match news:
            case "well":
                pace.well(sent_at=now, now=now + gap)
            case "throttled":
                pace.throttled(sent_at=left[-len(left) // 2], now=now + gap)
            case "asked":
                pace.throttled(sent_at=now, now=now + gap, pause=gap)
            case "troubled":
                pace.troubled(sent_at=now, now=now + gap)
            case "abandoned":
                pace.abandoned(sent_at=now)
            case _:
                pass

    assert_never_over(rate, left)


@settings(max_examples=examples(200), deadline=None)
@given(
    rates=st.lists(st.floats(0.1, 300), min_size=2, max_size=4),
    start=st.floats(0, 1e7),
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=2, max_size=80),
    hurry=st.booleans(),
)
def test_processes_that_share_their_pace_keep_to_the_lowest_of_their_rates_together(
    rates: list[float], start: float, steps: list[tuple[int, float]], *, hurry: bool
) -> None:
    paces = [Pace(rate, jitter=random.Random(1).random) for rate in rates]
    register, now, left = (
        SharedPaceState(intervals=[1 / rate for rate in rates]),
        start,
        list[float](),
    )
    for number, gap in steps:
        who = number % len(paces)
        now += gap * (not hurry)
        while wait := max(paces[who].delay(now), register.wait(now)):
            now = max(now + wait, math.nextafter(now, math.inf))
        paces[who].leave(now)
        register.last = now
        register = decode(encode(register), now)
        left.append(now)

    assert_never_over(min(rates), left)


@pytest.mark.parametrize("seed", range(5))
async def test_submits_looks_and_repeats_together_stay_under_the_rate_in_a_429_storm(
    seed: int,
) -> None:
    left: list[float] = []
    chance = random.Random(seed)

    async def api(request: httpx.Request) -> httpx.Response:
        left.append(anyio.current_time())
        await anyio.sleep(chance.expovariate(5))
        if chance.random() < 0.3:
            headers = {} if chance.random() < 0.5 else {"Retry-After": str(chance.randrange(3))}
            return httpx.Response(429, headers=headers)
        if chance.random() < 0.05:
            raise httpx.ConnectError("no route")
        return httpx.Response(200, json={"id": "r", "status_code": "running"})

    http = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(api))
    limiter = Limiter(Pace(20.0, jitter=chance.random))
    client = Client(http, limiter, give_up=1e9)

    async def caller() -> None:
        await anyio.sleep(chance.random() * 10)
        for _ in range(5):
            await client.create_run("a/b", b"{}", idempotency_key="k")
            await client.get_run("r")

    async with anyio.create_task_group() as tg:
        for _ in range(50):
            tg.start_soon(caller)

    assert len(left) > 500
    assert_never_over(20.0, left)
    assert client.requests == limiter.departures == len(left)
    assert client.rate_limited > 100


async def test_a_thousand_waiters_at_one_429_are_slowed_down_once_and_do_not_return_together() -> (
    None
):
    limiter = Limiter(Pace(10.0, jitter=random.Random(1).random))
    left: list[float] = []

    async def caller() -> None:
        left.append(await limiter.wait())

    async with anyio.create_task_group() as tg:
        for _ in range(1000):
            tg.start_soon(caller)
        await anyio.sleep(5)
        for sent_at in left:
            limiter.throttled(sent_at)

    assert_never_over(10.0, left)
    assert max(b - a for a, b in itertools.pairwise(left)) <= 1.7


async def test_at_saturation_nothing_of_the_rate_is_wasted() -> None:
    limiter = Limiter(Pace(10.0, jitter=random.Random(1).random))
    left: list[float] = []

    async def caller() -> None:
        for _ in range(20):
            left.append(await limiter.wait())  # noqa: PERF401  (one by one, as they leave)

    async with anyio.create_task_group() as tg:
        for _ in range(50):
            tg.start_soon(caller)

    assert (len(left) - 1) / (left[-1] - left[0]) >= 0.97 * 10.0
    assert_never_over(10.0, left)
