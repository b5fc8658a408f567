"""How old a run is: by the service's word, within what our own sight of it allows."""

import pytest

from batchrun.engine.run_age import UNKNOWN, run_age

HOUR = 3600.0


@pytest.mark.parametrize(
    ("said", "age"),
    [
        (40.0, 40.0),  # as it should be
        (5 * HOUR, 60.0),  # a time without its zone: no older than its request
        (80 * 365 * 86_400.0, 60.0),  # a wrong Date
        (-HOUR, 60.0),  # a time that is still to come
        (None, 60.0),
        (0.0, 30.0),  # a time that moves with the clock: no younger than our sight of it
    ],
)
def test_a_run_is_no_older_than_its_request_and_no_younger_than_our_sight_of_it(
    said: float | None, age: float
) -> None:
    assert run_age(said, now=100.0, asked=40.0, met=70.0) == age


@pytest.mark.parametrize(("said", "age"), [(40.0, 40.0), (5 * HOUR, 5 * HOUR), (None, 30.0)])
def test_where_no_line_says_when_it_was_asked_for_the_service_is_believed(
    said: float | None, age: float
) -> None:
    assert run_age(said, now=100.0, asked=UNKNOWN, met=70.0) == age
