"""How old a run is: by the service's word, within what our own sight of it allows."""

import pytest

from batchrun.engine.run_age import Sight

HOUR = 3600.0


@pytest.mark.parametrize(
    ("said", "age"),
    [
        (40.0, 40.0),  # as it should be
        (5 * HOUR, 60.0),  # a time without its zone: no older than its request
        (80 * 365 * 86_400.0, 60.0),  # a wrong Date
        (-HOUR, 50.0),  # a time that is still to come
        (None, 50.0),
        (0.0, 50.0),  # a time that moves with the clock: this call knows the run for 30 s
    ],
)
def test_a_time_counts_that_is_between_the_request_and_our_sight_of_the_run(
    said: float | None, age: float
) -> None:
    assert Sight(asked=40.0, since=50.0, met=70.0).age(said, 100.0) == age


@pytest.mark.parametrize(("said", "age"), [(40.0, 40.0), (5 * HOUR, 5 * HOUR), (None, 30.0)])
def test_where_no_line_says_when_it_was_asked_for_the_service_is_believed(
    said: float | None, age: float
) -> None:
    sight = Sight()
    sight.meet(70.0)

    assert sight.age(said, 100.0) == age
