"""When a wave is looked at next: rules of a pure function. Its figures are in benchmarks/."""

import pytest

from batchrun.engine.poll_schedule import LARGE, LONGEST, SINGLE_POLL_VALUE, next_wait, poll_value
from batchrun.engine.waves import best_size

EVENLY = [float(second) for second in range(6, 55)]
CONSTANT = [30.0] * 20


def wait(
    ages: list[float],
    durations: list[float],
    *,
    interval: float = 2.0,
    idle_looks: int = 0,
    in_flight: int = LARGE,
) -> float:
    return next_wait(ages, durations, interval=interval, idle_looks=idle_looks, in_flight=in_flight)


def test_no_look_is_closer_than_the_interval() -> None:
    assert wait([30.0] * 100, CONSTANT, interval=2.0) == 2.0
    assert wait([0.0] * 500, [0.1] * 9, interval=7.0) == 7.0


def test_nothing_is_asked_before_the_shortest_duration_known() -> None:
    assert 30 < wait([0.0] * 50, CONSTANT) < 33
    assert wait([0.0] * 50, EVENLY) > 6


def test_without_knowledge_waits_grow_and_stay_bounded() -> None:
    waits = [wait([5.0] * 3, [1.0, 2.0], idle_looks=looks) for looks in range(12)]

    assert waits[0] == 2.0
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST * 2.0


def test_a_run_older_than_all_that_is_known_is_asked_for_less_and_less_often() -> None:
    waits = [wait([100.0], EVENLY, idle_looks=looks) for looks in range(12)]

    assert waits == sorted(waits)
    assert waits[-1] == LONGEST * 2.0


def test_the_more_runs_are_open_the_sooner_a_look_is_worth_it() -> None:
    waits = [wait([10.0] * count, EVENLY) for count in (1, 10, 100, 400)]

    assert waits == sorted(waits, reverse=True)


def test_a_small_sweep_is_looked_at_sooner() -> None:
    assert wait([10.0] * 4, EVENLY, in_flight=4) < wait([10.0] * 4, EVENLY, in_flight=LARGE)
    assert poll_value(1, in_flight=1, interval=2.0, value=SINGLE_POLL_VALUE) < 2.0


@pytest.mark.parametrize("count", [1, 7, 100])
def test_interval_and_durations_scale_together(count: int) -> None:
    ages = [10.0] * count

    assert wait([10 * age for age in ages], [10 * each for each in EVENLY], interval=20.0) == (
        pytest.approx(10 * wait(ages, EVENLY))
    )


@pytest.mark.parametrize(
    ("most_shown", "page_cap", "size"),
    [
        (0, None, 100),
        (40, None, 100),
        (100, None, 200),
        (400, None, 500),
        (500, None, 500),
        (100, 100, 100),
        (300, 200, 200),
        (10, 10, 50),
    ],
)
def test_waves_grow_to_what_a_page_shows(most_shown: int, page_cap: int | None, size: int) -> None:
    assert best_size(most_shown=most_shown, page_cap=page_cap) == size
