"""The gate: first come, first served; only the head sleeps, and it listens for news."""

import random

import anyio
import pytest

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.limiter import HeldError, Limiter
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
        self.held: list[tuple[float, Kind | None]] = []
        self.free_at = float("-inf")

    def claim(self, interval: float, kind: Kind) -> float:
        self.intervals.append(interval)
        return max(0.0, self.free_at - anyio.current_time())

    def pause(self, kind: Kind) -> float:
        return 0.0

    def hold(self, seconds: float, kind: Kind | None = None) -> None:
        self.held.append((seconds, kind))


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

    gate.throttled(await gate.wait(Kind.CREATES), 10.0, Kind.CREATES)

    (everybody, both), (creates, kind) = others.held
    assert both is None
    assert 1.0 <= everybody <= 1.5
    assert kind is Kind.CREATES
    assert creates == pytest.approx(10.0)


async def test_calls_that_are_held_back_step_aside_for_the_other_kind_and_keep_order() -> None:
    gate, left = limiter(rate=10.0), list[str]()
    gate.throttled(await gate.wait(Kind.CREATES), 100.0, Kind.CREATES)
    began = anyio.current_time()

    async def caller(name: str, kind: Kind) -> None:
        sent_at = await gate.wait(kind)
        left.append(name)
        gate.well(sent_at, kind)
        if kind is Kind.READS:
            assert sent_at - began < 4.0

    async with anyio.create_task_group() as tg:
        for number in range(5):
            tg.start_soon(caller, f"create {number}", Kind.CREATES)
            tg.start_soon(caller, f"read {number}", Kind.READS)
            await anyio.wait_all_tasks_blocked()

    creates = [name for name in left if name.startswith("create")]
    assert left[:5] == [f"read {number}" for number in range(5)]
    assert creates == sorted(creates)
    assert anyio.current_time() - began >= 100.0


async def test_a_caller_in_the_queue_learns_of_a_wait_that_is_too_long_for_it() -> None:
    gate, ends = limiter(rate=0.5), list[float]()
    first = await gate.wait(Kind.CREATES)

    async def caller() -> None:
        with pytest.raises(HeldError):
            await gate.wait(Kind.CREATES, patience=60.0)
        ends.append(anyio.current_time() - first)

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(caller)
        await anyio.sleep(0.5)
        gate.throttled(first, 3600.0, Kind.CREATES)

    assert ends == [pytest.approx(0.5)] * 3
    assert gate.departures == 1
