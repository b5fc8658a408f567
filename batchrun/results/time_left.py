"""How long a call still takes, once that is known well enough. Pure.

The pace is this call's own: the time so far, for the cells that have ended in it. It is nothing to
go by at first. As long as the first runs are under way hardly any cell has ended, and each of them
stands for a whole run's time: the time left would be many times too long, and fall by the second.
So nothing is said until as many cells have ended as are in flight, and a few at least. From then on
the slots have been filled and emptied once.
"""

from typing import Final

LEAST: Final = 5
"""Cells that have to have ended in this call."""

SHORTEST: Final = 3.0
"""Seconds that the call has to have taken: before, uploads and look-ups are most of it."""


def time_left(*, ended: int, left: int, in_flight: int, seconds: float) -> float | None:
    """Return the seconds that the cells that are *left* take, None where it isn't known.

    *ended* cells ended in this call's *seconds*, and *in_flight* ones are under way.
    """
    if left <= 0 or ended < max(LEAST, in_flight) or seconds < SHORTEST:
        return None
    return seconds / ended * left
