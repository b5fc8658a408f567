"""The gate: first come, first served; only the head sleeps, and it listens for news."""

import random

import anyio
import pytest

from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace


def limiter(rate: float = 10.0) -> Limiter:
    return Limiter(Pace(rate, jitter=random.Random(1).random))


async def test_callers_leave_in_the_order_they_came() -> None:
    gate, left = limiter(), []

    async def caller(number: int) -> None:
        await gate.wait()
        left.append(number)

    async with anyio.create_task_group() as tg:
        for number in range(20):
            tg.start_soon(caller, number)
            await anyio.wait_all_tasks_blocked()

    assert left == list(range(20))
    assert gate.departures == 20


async def test_a_cancelled_wait_uses_nothing_up() -> None:
    gate = limiter(rate=1.0)
    started = await gate.wait()

    with anyio.move_on_after(0.5):
        await gate.wait()
    sent_at = await gate.wait()

    assert sent_at - started == pytest.approx(1.0, abs=1e-5)
    assert gate.departures == 2


async def test_a_429_that_comes_while_the_head_sleeps_holds_it_back() -> None:
    gate = limiter(rate=1.0)
    first = await gate.wait()

    async with anyio.create_task_group() as tg:
        tg.start_soon(gate.wait)
        await anyio.sleep(0.5)
        gate.throttled(first, 10.0)

    assert anyio.current_time() - first == pytest.approx(10.5)


async def test_after_trouble_one_probe_leaves_and_its_answer_frees_the_others_at_once() -> None:
    gate, left = limiter(rate=10.0), []
    gate.troubled(await gate.wait())

    async def caller() -> None:
        left.append(await gate.wait())

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(caller)
        await anyio.sleep(5.0)
        assert len(left) == 1, "the probe alone"
        gate.well(left[0])

    assert left[1] - left[0] < 5.0
    assert left[2] - left[1] == pytest.approx(0.1, abs=1e-5)


async def test_a_cancelled_probe_makes_way_for_the_next() -> None:
    gate = limiter(rate=10.0)
    gate.troubled(await gate.wait())
    probe = await gate.wait()

    gate.abandoned(probe)

    assert await gate.wait() - probe == pytest.approx(0.1, abs=1e-5)


class Others:
    """Processes of which one sends first, and none may send while the service is left alone."""

    def __init__(self) -> None:
        self.intervals: list[float] = []
        self.held: list[float] = []
        self.free_at = float("-inf")

    def claim(self, interval: float) -> float:
        self.intervals.append(interval)
        return max(0.0, self.free_at - anyio.current_time())

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)


def shared_with(others: Others) -> Limiter:
    return Limiter(Pace(10.0, jitter=random.Random(1).random), others)


async def test_a_call_waits_for_other_processes_and_asks_again() -> None:
    others = Others()
    gate, others.free_at = shared_with(others), anyio.current_time() + 5.0

    left = await gate.wait()

    assert left == pytest.approx(others.free_at)
    assert others.intervals == [pytest.approx(0.1)] * 2


async def test_it_claims_nothing_before_its_own_turn_nor_for_a_wait_that_is_cancelled() -> None:
    others = Others()
    gate = shared_with(others)
    await gate.wait()

    with anyio.move_on_after(0.05):
        await gate.wait()

    assert len(others.intervals) == 1
    assert gate.departures == 1


async def test_a_429_is_told_to_the_other_processes() -> None:
    others = Others()
    gate = shared_with(others)

    gate.throttled(await gate.wait(), 10.0)

    assert others.held == [pytest.approx(10.0)]
