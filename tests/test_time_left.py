"""The time left: not said before it is known well enough, and never wild."""

import pytest

from batchrun.results.time_left import LEAST, SHORTEST, time_left


@pytest.mark.parametrize(
    ("ended", "left", "in_flight", "seconds", "known"),
    [
        (0, 120, 16, 60.0, None),  # nothing has ended
        (1, 119, 16, 5.0, None),  # one run's time says little: it would be ten minutes
        (4, 116, 16, 55.0, None),
        (15, 105, 16, 60.0, None),
        (16, 104, 16, 60.0, 390.0),  # each slot has been filled and emptied once
        (60, 60, 16, 240.0, 240.0),
        (4, 4, 0, 60.0, None),  # too few to go by
        (5, 5, 0, 60.0, 60.0),
        (16, 4, 4, 60.0, 15.0),  # at the end fewer are in flight
        (500, 500, 16, 2.9, None),  # refused at once, or a call that has hardly begun
        (500, 500, 16, 3.0, 3.0),
        (500, 0, 0, 60.0, None),  # nothing is left
        (500, -3, 0, 60.0, None),  # more cells than the bound said
    ],
)
def test_the_time_left_is_said_once_it_is_known_well_enough(
    ended: int, left: int, in_flight: int, seconds: float, known: float | None
) -> None:
    assert time_left(ended=ended, left=left, in_flight=in_flight, seconds=seconds) == known


@pytest.mark.parametrize("concurrency", [1, 16, 100])
def test_from_the_first_word_on_it_is_near_what_it_turns_out_to_be(concurrency: int) -> None:
    """Runs of one length, begun in as many slots at once: nothing ends for a whole length."""
    cells, length = 12 * concurrency, 60.0
    end = cells / concurrency * length
    said = []
    for second in range(int(end)):
        ended = min(cells, int(second // length) * concurrency)
        flying = min(concurrency, cells - ended)
        found = time_left(ended=ended, left=cells - ended, in_flight=flying, seconds=float(second))
        if found is not None:
            said.append((found, end - second))

    first, truth = said[0]
    assert 0.9 < first / truth < 1.1
    assert all(0.9 * true < each for each, true in said)
    assert all(each < 2.2 * true for each, true in said if true > length)


def test_the_least_is_what_its_page_says() -> None:
    assert (LEAST, SHORTEST) == (5, 3.0)
