"""What sharing processes write down: the next departure of anybody, and how it is kept."""

import math
import struct

import pytest

from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.shared_pace_state import SLOTS, SharedPaceState, decode, encode


def test_the_slowest_of_them_sets_the_pace_of_all() -> None:
    register = SharedPaceState(last=100.0, intervals=[0.1, 0.5, 0.0, 0.2])

    assert register.wait(100.1) == pytest.approx(0.4, abs=1e-5)
    assert register.wait(100.6) == 0.0


def test_who_comes_counts_at_once_and_who_is_gone_no_more() -> None:
    register = SharedPaceState(last=100.0, intervals=[0.1])

    register.enter(2, 2.0)
    assert register.intervals == [0.1, 0.0, 2.0]
    assert register.wait(100.5) == pytest.approx(1.5, abs=1e-5)
    register.enter(2, 0.0)

    assert register.wait(100.5) == 0.0


def test_a_pause_is_everybody_s() -> None:
    register = SharedPaceState(last=100.0, hold=130.0, intervals=[0.1])

    assert register.wait(101.0) == 29.0


def test_the_first_waits_for_nobody() -> None:
    assert SharedPaceState().wait(0.0) == 0.0


def test_a_long_pause_does_not_outlive_those_who_were_told_of_it_by_much() -> None:
    register, shorter = encode(SharedPaceState(hold=1000.0)), encode(SharedPaceState(hold=50.0))

    assert decode(register, now=0.0).wait(0.0) == 0.0
    assert decode(shorter, now=0.0).wait(0.0) == 50.0


def test_what_is_kept_is_what_was_written() -> None:
    register = SharedPaceState(last=1.5, hold=2.5, intervals=[0.1, 0.0, 3.0])

    assert decode(encode(register), now=10.0) == register


def test_a_call_in_two_hours_is_a_pace_like_any_other() -> None:
    kept = encode(SharedPaceState(last=5.0, intervals=[7200.0]))

    assert decode(kept, now=10.0).wait(10.0) == pytest.approx(7195.0)


def test_a_call_that_left_in_the_future_left_before_the_machine_was_started() -> None:
    kept = encode(SharedPaceState(last=1e6, hold=1e9, intervals=[0.5]))

    assert decode(kept, now=7.0).wait(7.0) <= 0.5 + 1e-5


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0" * 64,
        b"something else altogether",
        encode(SharedPaceState(last=5.0, intervals=[0.1]))[:-1],
        encode(SharedPaceState(last=math.nan)),
        encode(SharedPaceState(hold=math.nan)),
        encode(SharedPaceState(last=5.0, intervals=[math.inf])),
        encode(SharedPaceState(last=5.0, intervals=[-1.0])),
        encode(SharedPaceState(last=5.0, intervals=[math.nan])),
        encode(SharedPaceState(last=5.0, intervals=[0.1] * (SLOTS + 1))),
        b"batchrun pace 2\n" + struct.pack("<dd", 5.0, 5.0),
        b"batchrun pace 2\n" + struct.pack("<dddd", 5.0, 5.0, math.nan, 5.0),
        b"batchrun pace 3\n" + struct.pack("<dd", 5.0, 5.0),
    ],
)
def test_a_broken_register_is_begun_anew(text: bytes) -> None:
    assert decode(text, now=5.0) == SharedPaceState()


def test_a_wait_of_a_kind_is_kept_beside_the_pause_of_all() -> None:
    register = SharedPaceState(last=1.5, intervals=[0.1, 0.5])
    register.let_wait(Kind.CREATES, 50.0)

    kept = decode(encode(register), now=10.0)

    assert kept == register
    assert kept.held(10.0, Kind.CREATES) == 40.0
    assert kept.held(10.0, Kind.READS) == kept.wait(10.0) == 0.0


def test_the_form_of_earlier_versions_is_written_but_while_a_kind_waits() -> None:
    register = SharedPaceState(last=1.5, hold=2.5, intervals=[0.1])
    register.let_wait(Kind.CREATES, 50.0)
    text = encode(register)

    assert text.startswith(b"batchrun pace 2\n")
    assert encode(decode(text, now=50.0)) == FIRST_FORM
    assert decode(FIRST_FORM, now=50.0) == SharedPaceState(last=1.5, hold=2.5, intervals=[0.1])


def test_a_wait_of_a_kind_that_cannot_be_is_none() -> None:
    text = encode(SharedPaceState(last=1.0, holds={Kind.READS: 1000.0}))

    assert decode(text, now=5.0).holds == {}


FIRST_FORM = b"batchrun pace 1\n" + struct.pack("<ddd", 1.5, 2.5, 0.1)
