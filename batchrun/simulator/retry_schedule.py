"""When a callback is sent again (pure).

The documents say that the receiver has "a few seconds" to answer, and that the service tries on an
exponential schedule and stops "after a few attempts" (fact sheet, section 9). No number is
published; all of these are made up.
"""

from typing import Final

TIMEOUT: Final = 5.0  # seconds that a receiver has to answer
ATTEMPTS: Final = 5
FIRST_WAIT: Final = 5.0  # seconds between the first failure and the second attempt


def wait_after(attempt: int) -> float | None:
    """Return the seconds from the end of a failed *attempt*, from 1, to the next; None: give up."""
    return FIRST_WAIT * 2.0 ** (attempt - 1) if attempt < ATTEMPTS else None
