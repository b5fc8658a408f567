"""What the pace learns of a service from the calls it took and those it refused."""

import pytest

from batchrun.runflow.ratelimit.adaptive_rate import AdaptiveRate


def refused_once(pace: float) -> AdaptiveRate:
    allowance = AdaptiveRate(pace)
    allowance.refused()
    return allowance


def test_nobody_refused_it_goes_as_fast_as_it_may() -> None:
    allowance = AdaptiveRate(10.0)
    for _ in range(100):
        allowance.left(0.1)
        allowance.took()

    assert allowance.rate == 10.0


def test_the_first_refusal_halves_the_pace_and_from_the_second_on_it_is_what_was_taken() -> None:
    allowance = refused_once(100.0)
    assert allowance.rate == 50.0
    for _ in range(60):
        allowance.left(1 / 40)  # pauses and all
        allowance.took()

    pace = allowance.rate
    allowance.refused()

    assert pace > 50.0
    assert allowance.rate == pytest.approx(40.0)
    assert allowance.refused_at == pace


def test_few_calls_taken_say_little() -> None:
    allowance = refused_once(100.0)
    allowance.left(1.5)
    allowance.took()

    pace = allowance.rate
    allowance.refused()

    assert allowance.rate == pytest.approx(0.4 * pace)


def test_fewer_than_ten_are_counted_on_from_the_refusal_before() -> None:
    allowance = refused_once(100.0)
    for _ in range(9):
        allowance.left(0.1)
        allowance.took()
    allowance.refused()
    for _ in range(21):
        allowance.left(0.05)
        allowance.took()

    allowance.refused()

    assert allowance.rate == pytest.approx(30 / (9 * 0.1 + 21 * 0.05))


def test_seen_to_take_it_all_the_pace_falls_a_little_all_the_same() -> None:
    allowance = refused_once(100.0)
    for _ in range(100):
        allowance.left(0.01)
        allowance.took()

    pace = allowance.rate
    allowance.refused()

    assert allowance.rate == pytest.approx(0.9 * pace)


def test_it_climbs_quickly_to_the_middle_then_hardly_at_all_then_ever_faster() -> None:
    allowance = refused_once(1000.0)
    rates = []
    for _ in range(1000):
        allowance.left(0.1)
        rates.append(allowance.rate)

    assert rates == sorted(rates)
    assert rates[20] == pytest.approx(750.0, rel=0.01), "two seconds later"
    assert rates[70] < 1.02 * 750.0
    assert rates[-1] == 1000.0


def test_time_without_calls_hardly_counts() -> None:
    allowance = refused_once(1000.0)
    for _ in range(100):
        allowance.left(0.1)
    before = allowance.rate

    allowance.left(3600.0)
    for _ in range(10):
        allowance.left(0.01)

    assert allowance.rate <= 1.05 * before


def test_many_calls_a_second_climb_no_faster_than_few() -> None:
    allowance = refused_once(10000.0)
    for _ in range(100):
        allowance.left(0.001)

    assert allowance.rate == pytest.approx(5000.0 * 1.06, rel=0.01)


def test_it_never_falls_below_a_call_a_minute() -> None:
    allowance = AdaptiveRate(1.0)
    for _ in range(100):
        allowance.refused()

    assert allowance.rate == pytest.approx(1 / 60)


def test_a_rate_below_that_is_not_raised_to_it() -> None:
    assert refused_once(0.01).rate == 0.01
