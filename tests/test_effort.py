"""How many calls and how much time a plan expects."""

import pytest
from msgspec.structs import replace

from batchrun.planning.effort import Work, effort
from batchrun.settings import Settings, settings_from

SETTINGS: Settings = settings_from({}, model_concurrency={}, model_prices={})


def work(alias: str = "banana", cells: int = 160, *durations: float) -> Work:
    return Work(alias=alias, cells=cells, durations=durations)


def test_the_slots_are_shared_and_a_run_takes_what_runs_took() -> None:
    found = effort([work("banana", 160, 20, 10, 30)], SETTINGS, batched={})

    assert found.seconds == pytest.approx(200)  # 160 runs of 20 s, 16 at once
    assert 165 < found.calls < 400


def test_a_model_with_a_limit_of_its_own_takes_as_long_as_that_lets_it() -> None:
    settings = replace(SETTINGS, model_concurrency={"banana": 2})
    found = effort([work("banana", 10, 20.0), work("gpt", 10, 1.0)], settings, batched={})

    assert found.seconds == pytest.approx(100)


def test_the_rate_is_a_bound_of_its_own() -> None:
    found = effort([work("banana", 10_000, 0.1)], SETTINGS, batched={})

    assert found.seconds is not None
    assert found.seconds >= 1000  # 10 calls a second


def test_batches_and_uploads_count() -> None:
    single = effort([work("banana", 160, 1.0)], SETTINGS, batched={})
    batched = effort([work("banana", 160, 1.0)], SETTINGS, batched={"banana": True})
    uploads = effort([work("banana", 160, 1.0)], SETTINGS, uploads=7, batched={})

    assert single.calls - batched.calls == 150
    assert uploads.calls - single.calls == 14


def test_without_a_run_the_time_is_not_known_and_the_calls_are_the_least() -> None:
    found = effort([work("banana", 10, 1.0), work("gpt", 10)], SETTINGS, batched={})

    assert (found.seconds, found.unknown) == (None, ("gpt",))
    assert found.calls >= 20


def test_nothing_to_do_takes_nothing() -> None:
    found = effort([work("banana", 0)], SETTINGS, batched={})

    assert (found.calls, found.seconds) == (0, 0.0)
