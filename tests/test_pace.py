"""The arithmetic of the pace: spacing, cuts, climbing back, pauses and probes."""

import heapq
import itertools
import random
from collections.abc import Callable

import pytest
from throttles import Bucket, Window

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.pace import Pace


def pace(rate: float = 10.0) -> Pace:
    return Pace(rate, jitter=random.Random(1).random)


def depart(pace: Pace, now: float) -> float:
    now += pace.delay(now)
    pace.leave(now)
    return now


def test_the_first_call_leaves_at_once_and_nothing_is_saved_up_for_a_burst() -> None:
    gate = pace(rate=10.0)

    assert gate.delay(1000.0) == 0
    gate.leave(1000.0)

    assert gate.delay(1000.0) == pytest.approx(0.1, abs=1e-5)
    assert gate.delay(2000.0) == 0
    gate.leave(2000.0)
    assert gate.delay(2000.0) == pytest.approx(0.1, abs=1e-5), "a long rest earns nothing"


def test_one_429_cuts_the_pace_once_however_many_calls_met_it() -> None:
    gate = pace(rate=10.0)
    left = [depart(gate, 0.0) for _ in range(5)]

    for sent_at in left:
        gate.throttled(sent_at=sent_at, now=1.0)

    assert gate.rate == pytest.approx(5.0)
    assert 1.0 <= gate.delay(1.0) <= 1.5


def test_a_429_without_headers_pauses_longer_each_time_until_a_call_is_answered() -> None:
    gate, now, pauses = pace(), 0.0, []
    for _ in range(8):
        sent_at = depart(gate, now)
        now = sent_at + 0.1
        gate.throttled(sent_at=sent_at, now=now)
        pauses.append(gate.delay(now))

    assert all(
        base <= pause <= 1.5 * base
        for base, pause in zip((1, 2, 4, 8, 16, 32, 32, 32), pauses, strict=True)
    )
    assert gate.rate >= 5.0, "only the first of them was about the pace"

    sent_at = depart(gate, now)
    gate.well(sent_at=sent_at, now=sent_at + 0.1)
    sent_at = depart(gate, sent_at)
    gate.throttled(sent_at=sent_at, now=sent_at)
    assert gate.delay(sent_at) <= 1.5


def test_after_a_429_a_single_probe_is_let_out_and_a_slow_answer_to_it_holds_up_little() -> None:
    gate = pace()
    sent_at = depart(gate, 0.0)
    gate.throttled(sent_at=sent_at, now=0.1)
    probe = depart(gate, 0.1)

    assert gate.delay(probe) == pytest.approx(1.5)
    gate.well(sent_at=probe, now=probe + 0.3)
    assert gate.delay(probe + 0.3) == 0


def test_a_probe_that_is_refused_lengthens_the_pause_and_leaves_the_pace_alone() -> None:
    gate = pace()
    sent_at = depart(gate, 0.0)
    gate.throttled(sent_at=sent_at, now=0.1)
    probe = depart(gate, 0.1)
    rate = gate.rate

    gate.throttled(sent_at=probe, now=probe + 0.1)

    assert gate.rate == rate
    assert 2.0 <= gate.delay(probe + 0.1) <= 3.0


def test_what_the_service_asks_for_is_waited_also_when_an_earlier_call_is_told() -> None:
    gate = pace()
    first = depart(gate, 0.0)
    second = depart(gate, 0.0)

    gate.throttled(sent_at=second, now=1.0, pause=3.0)
    gate.throttled(sent_at=first, now=1.5, pause=9.0)

    assert gate.delay(1.5) == pytest.approx(9.0)
    assert gate.rate == pytest.approx(5.0)


def test_a_shorter_demand_does_not_shorten_a_pause() -> None:
    gate = pace()
    sent_at = depart(gate, 0.0)

    gate.throttled(sent_at=sent_at, now=0.0, pause=10.0)
    gate.throttled(sent_at=sent_at, now=0.0, pause=0.0)

    assert gate.delay(0.0) == pytest.approx(10.0)


def test_the_pace_climbs_back_to_the_rate_once_refusals_cease() -> None:
    gate = pace(rate=10.0)
    gate.throttled(sent_at=depart(gate, 0.0), now=0.0)
    now, rates = 0.0, [gate.rate]
    for _ in range(600):
        now = depart(gate, now)
        gate.well(sent_at=now, now=now + 0.01)
        rates.append(gate.rate)

    assert rates == sorted(rates), "step by step"
    assert max(b / a for a, b in itertools.pairwise(rates)) <= 1.05
    assert gate.rate == 10.0


def test_trouble_pauses_everybody_and_then_lets_a_single_probe_out() -> None:
    gate = pace()
    sent_at = depart(gate, 0.0)

    assert gate.troubled(sent_at=sent_at, now=0.2)
    assert 0.5 <= gate.delay(0.2) <= 0.75
    probe = depart(gate, 0.2)

    assert gate.delay(probe + 5.0) > 60.0, "nobody follows a probe that is not answered"
    gate.well(sent_at=probe, now=probe + 5.0)
    assert gate.delay(probe + 5.0) == 0


def test_a_probe_that_fails_doubles_the_pause_and_those_of_one_time_count_once() -> None:
    gate = pace()
    old = [depart(gate, 0.0) for _ in range(3)]
    for sent_at in old:
        gate.troubled(sent_at=sent_at, now=1.0)
    assert gate.delay(1.0) <= 0.75
    probe = depart(gate, 1.0)

    gate.troubled(sent_at=probe, now=3.0)

    assert 1.0 <= gate.delay(3.0) <= 1.5


def test_in_a_long_outage_one_call_asks_every_8_to_12_seconds_whether_it_is_over() -> None:
    gate, now, pauses = pace(), 0.0, []
    for _ in range(9):
        sent_at = depart(gate, now)
        now = sent_at + 0.1
        gate.troubled(sent_at=sent_at, now=now)
        pauses.append(gate.delay(now))

    assert all(
        base <= pause <= 1.5 * base
        for base, pause in zip((0.5, 1, 2, 4, 8, 8, 8, 8, 8), pauses, strict=True)
    )


def test_a_probe_nobody_hears_of_does_not_hold_the_gate_for_ever() -> None:
    gate = pace()
    gate.troubled(sent_at=depart(gate, 0.0), now=0.0)
    probe = depart(gate, 0.0)

    assert gate.delay(probe + 119.0) > 0
    assert gate.delay(probe + 120.0) == 0


def test_one_failed_call_among_answered_ones_pauses_nobody_else() -> None:
    gate = pace()
    failed, answered = depart(gate, 0.0), depart(gate, 0.1)
    gate.well(sent_at=answered, now=0.3)

    assert not gate.troubled(sent_at=failed, now=30.0)
    assert gate.delay(30.0) == 0


@pytest.mark.parametrize(
    ("service", "least", "refusals"),
    [
        (lambda: Bucket(5, 10), 0.94, 60),
        (lambda: Bucket(20, 10), 0.90, 60),
        (lambda: Window(5, 1), 0.90, 30),
        (lambda: Window(20, 1), 0.88, 40),
        (lambda: Window(5, 60), 0.94, 40),
        (lambda: Bucket(5, 1), 0.75, 20),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_learns_what_a_stricter_service_allows_with_few_refusals(
    service: Callable[[], Bucket | Window], least: float, refusals: int, seed: int
) -> None:
    server, spread = service(), random.Random(seed)
    allowed = server.rate
    gate, now, taken, refused = Pace(2 * allowed, jitter=spread.random), 0.0, 0, 0

    while now < 300:
        now = depart(gate, now)
        arrives = now + 0.02 * spread.random()
        if server.takes(arrives):
            taken += 1
            gate.well(sent_at=now, now=arrives)
        else:
            refused += 1
            gate.throttled(sent_at=now, now=arrives)

    assert taken / 300 / allowed >= least
    assert refused <= refusals


def saturate(
    gate: Pace, service: Bucket, *, start: float = 0.0, end: float, chance: random.Random
) -> tuple[int, int]:
    """Let calls leave as soon as they may; return how many were taken and how many refused."""
    now, taken, refused = start, 0, 0
    answers: list[tuple[float, float, bool]] = []
    while now < end:
        leaves = now + gate.delay(now)
        if answers and answers[0][0] <= leaves:
            now, sent_at, well = heapq.heappop(answers)
            (gate.well if well else gate.throttled)(sent_at=sent_at, now=now)
            continue
        now = leaves
        gate.leave(now)
        well = service.takes(now + 0.025)
        taken, refused = taken + well, refused + (not well)
        heapq.heappush(answers, (now + 0.04 + 0.02 * chance.random(), now, well))
    return taken, refused


@pytest.mark.parametrize("allowed", [2, 20, 200])
@pytest.mark.parametrize("seed", range(5))
def test_asked_for_ten_times_too_much_it_finds_from_cold_what_a_silent_service_allows(
    allowed: int, seed: int
) -> None:
    chance = random.Random(seed)
    gate, service = Pace(10 * allowed, jitter=chance.random), Bucket(allowed, burst=allowed)

    taken, refused = saturate(gate, service, end=60, chance=chance)

    assert taken / (60 * allowed) >= 0.85
    assert refused / (taken + refused) < 0.05


@pytest.mark.parametrize(("change", "within"), [(0.5, 20), (2.0, 100)])
def test_it_follows_when_the_service_allows_more_or_less(change: float, within: float) -> None:
    chance = random.Random(1)
    gate, service = Pace(200, jitter=chance.random), Bucket(20, burst=20)
    saturate(gate, service, end=60, chance=chance)
    service.rate *= change
    service.burst *= change

    _, refused = saturate(gate, service, start=60, end=60 + within, chance=chance)
    taken, _ = saturate(gate, service, start=60 + within, end=120 + within, chance=chance)

    assert refused <= 10
    assert 0.9 <= taken / 60 / service.rate <= 1.05


CREATES, READS = Kind.CREATES, Kind.READS


def throttled(gate: Pace, kind: Kind, now: float, pause: float | None = None) -> float:
    """Let a call of this kind leave as soon as it may, and be refused; return when."""
    now += gate.delay(now, kind)
    gate.leave(now, kind)
    gate.throttled(sent_at=now, now=now, pause=pause, kind=kind)
    return now


def answered(gate: Pace, kind: Kind, now: float) -> float:
    now += gate.delay(now, kind)
    gate.leave(now, kind)
    gate.well(sent_at=now, now=now, kind=kind)
    return now


@pytest.mark.parametrize("kind", Kind)
def test_a_named_wait_is_for_its_kind_and_the_other_kind_waits_a_moment(kind: Kind) -> None:
    gate = pace()

    now = throttled(gate, kind, 0.0, pause=3600.0)

    assert gate.delay(now, kind) == 3600.0
    assert gate.named(now, kind) == 3600.0
    assert 1.0 <= gate.delay(now, kind.other) <= 1.5
    assert gate.named(now, kind.other) == 0.0


def test_one_call_of_the_other_kind_goes_first_and_its_answer_frees_the_rest() -> None:
    gate = pace()
    now = throttled(gate, CREATES, 0.0, pause=3600.0)
    probe = now + gate.delay(now, READS)
    gate.leave(probe, READS)

    assert gate.delay(probe + 0.3, READS) == pytest.approx(1.2)
    gate.well(sent_at=probe, now=probe + 0.3, kind=READS)

    assert gate.delay(probe + 0.3, READS) == 0.0
    assert gate.delay(probe + 0.3, CREATES) > 3500.0


def test_where_the_other_kind_is_refused_too_both_wait_and_the_pace_is_cut_once() -> None:
    gate = pace(rate=10.0)
    now = throttled(gate, CREATES, 0.0, pause=50.0)

    now = throttled(gate, READS, now, pause=50.0)

    assert gate.delay(now, READS) == 50.0
    assert gate.delay(now, CREATES) > 40.0
    assert gate.rate >= 5.0


def test_refusals_of_one_kind_pause_no_call_of_the_other_that_goes_on() -> None:
    gate = pace(rate=10.0)
    now = answered(gate, READS, throttled(gate, CREATES, 0.0))
    for number in range(1, 6):
        refused = throttled(gate, CREATES, now)
        pause = gate.delay(refused, CREATES)
        assert 2**number <= pause <= 1.5 * 2**number, "its own pauses grow"
        assert gate.delay(refused, READS) <= 0.3, "no more than the pace"
        now = answered(gate, READS, refused)

    assert gate.rate >= 5.0, "only the first of them was about the pace"


def test_a_named_wait_that_is_too_short_grows_from_refusal_to_refusal() -> None:
    gate, now, pauses = pace(), 0.0, []
    for _ in range(7):
        now = throttled(gate, READS, now, pause=0.0)
        pauses.append(gate.delay(now, READS))

    assert all(
        base <= pause <= 1.5 * base
        for base, pause in zip((1, 2, 4, 8, 16, 32, 32), pauses, strict=True)
    )


def test_a_kind_that_is_taken_again_is_refused_anew() -> None:
    gate = pace(rate=10.0)
    now = throttled(gate, CREATES, 0.0)
    now = answered(gate, CREATES, now)
    before = gate.rate

    now = throttled(gate, CREATES, now + 1.0)

    assert gate.rate < before
    assert gate.delay(now, CREATES) <= 1.5


def test_a_wait_that_a_503_names_is_for_its_kind_and_a_minute_at_most() -> None:
    gate = pace()
    sent_at = depart(gate, 0.0)

    gate.troubled(sent_at=sent_at, now=0.2, pause=3600.0, kind=READS)

    assert gate.delay(0.2, READS) == 60.0
    assert gate.delay(0.2, CREATES) <= 0.75
    assert gate.named(0.2, READS) == 0.0, "the end of the call is not its to name"


def test_a_503_among_answered_calls_holds_up_no_other() -> None:
    gate = pace()
    failed, taken = depart(gate, 0.0), depart(gate, 0.1)
    gate.well(sent_at=taken, now=0.3)

    gate.troubled(sent_at=failed, now=0.4, pause=30.0)

    assert gate.delay(0.4) == 0.0
