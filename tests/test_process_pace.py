"""Calls of one process share one pace: promise 4 holds for the process, not for each call of it."""

import threading
from pathlib import Path

import anyio
import pytest

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.ratelimit.process_pace import ProcessPace, process_pace


def most_in(window: float, times: list[float]) -> int:
    """Return the most of *times* that any window has."""
    return max(sum(start <= each < start + window for each in times) for start in times)


def silent(_message: str) -> None:
    pass


class Calls:
    """Two calls of one process, each with a limiter, and when their requests left."""

    def __init__(self, *rates: float) -> None:
        self.pace = ProcessPace(clock=anyio.current_time)
        self.left: list[list[float]] = [[] for _ in rates]
        self.members = [self.pace.join() for _ in rates]
        self.limiters = [
            Limiter(Pace(rate, jitter=lambda: 0.0), member)
            for rate, member in zip(rates, self.members, strict=True)
        ]

    @property
    def all(self) -> list[float]:
        return sorted(each for times in self.left for each in times)

    async def send(self, number: int, until: float) -> None:
        """Have a call send one request after another."""
        limiter = self.limiters[number]
        while anyio.current_time() < until:
            sent_at = await limiter.wait()
            self.left[number].append(anyio.current_time())
            limiter.well(sent_at)

    async def send_all(self, until: float) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(len(self.limiters)):
                tasks.start_soon(self.send, number, until)


async def test_two_calls_together_are_never_over_the_stricter_rate() -> None:
    calls = Calls(10.0, 5.0)

    await calls.send_all(20.0)

    for window in (0.5, 1.0, 3.0, 10.0):
        assert most_in(window, calls.all) <= int(5.0 * window) + 1
    assert len(calls.all) > 90  # and the rate is used


async def test_neither_of_two_calls_starves() -> None:
    calls = Calls(10.0, 10.0)

    await calls.send_all(20.0)

    assert min(map(len, calls.left)) > 0.4 * len(calls.all)


async def test_a_call_that_ends_gives_its_part_to_the_other() -> None:
    calls = Calls(10.0, 1.0)
    calls.pace.leave(calls.members[1])

    await calls.send(0, until=10.0)

    assert len(calls.all) > 95


async def test_a_wait_that_the_service_named_to_one_call_holds_for_the_other() -> None:
    calls = Calls(10.0, 10.0)
    sent_at = await calls.limiters[0].wait(Kind.READS)
    calls.limiters[0].throttled(sent_at, 7.0, Kind.READS)

    await calls.limiters[1].wait(Kind.READS)

    assert anyio.current_time() >= 7.0


def test_calls_of_two_threads_leave_one_after_the_other(tmp_path: Path) -> None:
    left: list[str] = []
    clock = 0.0

    def call(name: str) -> None:
        with process_pace(tmp_path / "pace", "https://a", "key", log=silent) as member:
            ready.wait()
            left.extend(name for _ in range(50) if member.claim(60.0, Kind.READS) == clock)

    ready = threading.Barrier(4)
    threads = [threading.Thread(target=call, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(left) == 1


@pytest.mark.parametrize("folder", ["", "pace"])
def test_the_pace_is_one_for_an_endpoint_and_a_key(folder: str, tmp_path: Path) -> None:
    there = tmp_path / folder if folder else None
    with (
        process_pace(there, "https://a", "key", log=silent) as first,
        process_pace(there, "https://a", "key", log=silent) as second,
        process_pace(there, "https://b", "key", log=silent) as elsewhere,
        process_pace(there, "https://a", "other", log=silent) as anothers,
    ):
        assert first.claim(60.0, Kind.READS) == 0.0

        assert second.claim(60.0, Kind.READS) > 0.0
        assert elsewhere.claim(60.0, Kind.READS) == 0.0
        assert anothers.claim(60.0, Kind.READS) == 0.0
