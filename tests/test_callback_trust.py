"""When callbacks are relied on, and whose they are: the parts that decide, alone."""

from typing import Any

import pytest

from batchrun.engine.callback_hints import MOST_KEPT, CallbackHints
from batchrun.engine.callback_trust import (
    DELIVERY,
    ENOUGH,
    RARE,
    CallbackTrust,
    late_after,
    rare_wait,
)
from batchrun.engine.in_flight import Attempt, Callback, InFlight
from batchrun.engine.phases import Phase
from batchrun.engine.waves import GATHERING, MOST_GATHERED, NEVER, Wave, Waves
from batchrun.ledger.facts import ModelFacts
from batchrun.runflow.callbacks import Ended

URL = "https://me.example/batchrun"
MODEL = "a/b"


def facts(*durations: float) -> ModelFacts:
    known = ModelFacts()
    known.read.extend(durations)
    return known


def attempt(key: str, **changes: Any) -> Attempt:
    given: dict[str, Any] = {
        "number": 1,
        "alias": "a",
        "model": MODEL,
        "name": key,
        "client_ref": "br1.x.1",
        "run_id": f"run-{key}",
        "callback_url": URL,
        "phase": Phase.RUNNING,
    }
    return Attempt(key=key, **given | changes)


class Sweep:
    """A wave with attempts under way, and what is heard of them."""

    def __init__(self, *attempts: Attempt, durations: tuple[float, ...] = (30.0,) * 20) -> None:
        self.in_flight = InFlight(2, {})
        self.waves = Waves("x", last=0, size=lambda: 100)
        self.wave = self.waves.adopt("br1.x.1", MODEL)
        self.trust = CallbackTrust(URL, lambda _: facts(*durations))
        self.hints = CallbackHints(self.in_flight, self.waves, self.trust)
        for each in attempts:
            self.add(each)

    def add(self, each: Attempt) -> None:
        self.in_flight.begin(each)
        self.wave.join(each)

    def trusting(self) -> "Sweep":
        for _ in range(ENOUGH):
            self.trust.note(MODEL)
        return self


@pytest.mark.parametrize("few", range(5))
def test_of_too_few_durations_none_is_late(few: int) -> None:
    assert late_after([30.0] * few) is None


def test_a_callback_is_late_after_what_95_of_100_runs_took() -> None:
    assert late_after([float(n) for n in range(1, 101)]) == 95.0 + DELIVERY
    assert late_after([1.0, 2.0, 3.0, 4.0, 50.0]) == 50.0 + DELIVERY


def test_the_next_look_is_when_the_first_is_late_and_in_a_few_minutes_at_most() -> None:
    assert rare_wait([3.0, 20.0, 10.0], 35.0, interval=2.0) == 15.0
    assert rare_wait([34.0], 35.0, interval=2.0) == 2.0
    assert rare_wait([0.0], 7200.0, interval=2.0) == RARE
    assert rare_wait([], 35.0, interval=2.0) == RARE


def test_a_model_is_relied_on_only_after_five_callbacks_of_its_own() -> None:
    trust = CallbackTrust(URL, lambda _: facts(*[30.0] * 20))

    for number in range(ENOUGH):
        assert trust.late_after(MODEL) is None, number
        trust.note(MODEL)
        trust.note("other/model")

    assert trust.late_after(MODEL) == 35.0
    assert trust.late_after("third/model") is None
    trust.doubt(MODEL)
    assert trust.late_after(MODEL) is None
    assert trust.late_after("other/model") == 35.0


@pytest.mark.parametrize(
    "changes",
    [
        {"callback_url": None},
        {"callback_url": f"{URL}/moved"},
        {"index": 0},
        {"callback": Callback.LATE},
    ],
)
def test_a_run_without_a_callback_to_come_is_watched_as_ever(changes: dict[str, Any]) -> None:
    """Of a batch one comes, with its last run."""
    one, other = attempt("1"), attempt("2", **changes)
    sweep = Sweep(one, other).trusting()

    assert sweep.trust.parted(sweep.wave) == ([one], [other])
    assert not sweep.trust.suffices(sweep.wave, 0.0)


def test_callbacks_suffice_until_one_is_late() -> None:
    sweep = Sweep(attempt("1", started=0.0), attempt("2", started=10.0))
    assert not sweep.trust.suffices(sweep.wave, 20.0)

    sweep.trusting()

    assert sweep.trust.suffices(sweep.wave, 34.9)
    assert [each.key for each in sweep.trust.late(sweep.wave, 35.0)] == ["1"]
    assert not sweep.trust.suffices(sweep.wave, 35.0)


def test_a_call_that_asks_for_no_callbacks_relies_on_none() -> None:
    trust = CallbackTrust(None, lambda _: facts(*[30.0] * 20))
    wave, one = Wave("br1.x.1", MODEL), attempt("1", callback_url=None)
    wave.join(one)
    for _ in range(ENOUGH):
        trust.note(MODEL)

    assert trust.parted(wave) == ([], [one])
    trust.ended(one)
    assert trust.missed == 0


def test_one_is_heard_of_once() -> None:
    one = attempt("1")
    sweep = Sweep(one, attempt("2"))

    assert sweep.hints.take(Ended("run-1")) == [one]
    assert sweep.hints.take(Ended("run-1")) == []
    assert sweep.hints.take(Ended("run-1", batch=True)) == []
    assert one.callback is Callback.HEARD


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.ENDED])
def test_what_has_ended_already_is_no_news(phase: Phase) -> None:
    sweep = Sweep(attempt("1", phase=phase))

    assert sweep.hints.take(Ended("run-1")) == []


def test_a_batch_is_all_its_runs_and_one_callback() -> None:
    attempts = [attempt(str(n), index=n) for n in range(7)]
    sweep = Sweep(*attempts)
    sweep.wave.batch_id = "b-1"

    assert sweep.hints.take(Ended("b-1", batch=True)) == attempts
    assert sweep.hints.take(Ended("b-1", batch=True)) == []

    for _ in range(ENOUGH - 1):
        assert sweep.trust.late_after(MODEL) is None
        sweep.trust.note(MODEL)
    assert sweep.trust.late_after(MODEL) is not None


def test_an_early_one_counts_with_the_answer_and_only_for_its_run() -> None:
    sweep = Sweep()
    assert sweep.hints.take(Ended("run-1")) == []
    one, other = attempt("1"), attempt("2")
    for each in (one, other):
        sweep.add(each)

    assert sweep.hints.catch_up([other]) == []
    assert sweep.hints.catch_up([one]) == [one]
    assert sweep.hints.catch_up([one]) == []


def test_the_early_one_of_a_batch_counts_for_each_of_its_runs_as_they_come() -> None:
    sweep = Sweep(attempt("1", index=0))
    sweep.wave.batch_id = "b-1"
    later = attempt("2", index=1, run_id=None, phase=Phase.IN_DOUBT)
    sweep.add(later)

    assert [each.key for each in sweep.hints.take(Ended("b-1", batch=True))] == ["1"]
    later.run_id, later.phase = "run-2", Phase.RUNNING

    assert sweep.hints.catch_up([later]) == [later]


def test_what_is_kept_is_bounded_and_the_newest_stay() -> None:
    sweep = Sweep()
    for number in range(MOST_KEPT + 1):
        sweep.hints.take(Ended(f"run-{number}"))
    first, last = attempt("0"), attempt(str(MOST_KEPT))
    for each in (first, last):
        sweep.add(each)

    assert len(sweep.hints._early) == MOST_KEPT
    assert sweep.hints.catch_up([first, last]) == [last]


def test_a_slot_is_free_as_long_as_its_run_is_said_to_be_over() -> None:
    one, other = attempt("1"), attempt("2", alias="b")
    live = InFlight(2, {"a": 1})
    for each in (one, other):
        live.begin(each)
    assert live.full()
    assert not live.has_room("a")

    live.free(one)
    live.free(one)
    assert (live.full(), live.has_room("a"), live.under_way("a"), len(live)) == (False, True, 0, 2)
    assert live.flying() == 1
    live.hold(one)
    live.hold(one)
    assert (live.full(), live.has_room("a"), live.under_way("a")) == (True, False, 1)
    live.free(one)
    live.end(one)
    live.end(other)
    assert (live.full(), live.under_way("a"), live.under_way("b"), len(live)) == (False, 0, 0, 0)
    assert live.with_run("run-1") is None


def test_ends_are_gathered_for_two_seconds_or_until_there_are_fifty() -> None:
    wave = Wave("br1.x.1", MODEL)
    wave.last_look = 99.0
    assert wave.due(settle=30.0, interval=2.0) == NEVER

    wave.announced = {"1": 100.0, "2": 101.5}
    assert wave.due(settle=30.0, interval=2.0) == 100.0 + GATHERING
    assert wave.due(settle=30.0, interval=5.0) == 104.0, "never closer than the interval"

    wave.announced = dict.fromkeys(map(str, range(MOST_GATHERED)), 101.5)
    assert wave.due(settle=30.0, interval=2.0) == 101.0

    wave.forget_announced(103.4)
    assert len(wave.announced) == MOST_GATHERED
    wave.forget_announced(103.5)
    assert not wave.announced
