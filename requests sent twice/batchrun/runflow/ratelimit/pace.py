"""When the next call may leave. Pure: the time always comes in as an argument.

The rules:

* Two departures are never closer than one interval of the rate that was asked for. So any window
  w holds at most floor(rate * w) + 1 of them, and nothing is saved up for a burst.
* A 429 pauses all calls and cuts the pace, once for all the calls that left before the cut; what
  the pace is then, and how it climbs again, is in `adaptive_rate.py`. After the pause a single call
  is let out as a probe. If it is refused as well, the pause was too short and the pace had no
  part in it: only the pause grows.
* Trouble (5xx, no answer) pauses all calls, longer each time, and after it a single call is let
  out as a probe. The others follow once any call is answered well; after a 429 they don't wait
  for a slow answer.
* One failed call among answered ones is its own bad luck and pauses no other call.
"""

from collections.abc import Callable
from typing import Final

from batchrun.runflow.ratelimit.adaptive_rate import AdaptiveRate

_MARGIN: Final = 1e-6  # keeps the first rule exact in floating point, at any clock reading
_LONGEST_PAUSE: Final = 32.0
_LONGEST_TROUBLED: Final = 8.0  # shorter: one call for all of them asks whether it is over
_FIRST_PAUSE_THROTTLED: Final = 1.0
_FIRST_PAUSE_TROUBLED: Final = 0.5
_PROBE_PATIENCE: Final = 120.0  # a probe without an end does not hold the gate for ever
_THROTTLED_PROBE_PATIENCE: Final = 1.5  # refusals come at once, good answers may take their time


class Pace:
    """One call an interval, slower after a 429, single-file after trouble.

    *rate* is in calls a second. *jitter* returns a number from 0 to 1 and spreads the pauses, so
    that two processes which met the same 429 do not come back together.
    """

    def __init__(self, rate: float, *, jitter: Callable[[], float]) -> None:
        self._allowance = AdaptiveRate(rate)
        self._jitter = jitter
        self._left_at = float("-inf")
        self._earliest = float("-inf")
        self._cut_at = float("-inf")
        self._cuts = 0  # since a call was last answered
        self._trouble_at = float("-inf")
        self._troubles = 0  # likewise
        self._good_at = float("-inf")
        self._probe_left_at: float | None = None

    def __repr__(self) -> str:
        refused_at, fastest = self._allowance.refused_at, self._allowance.fastest
        refused = "" if refused_at is None else f", refused at {refused_at:.2f}/s"
        return f"<Pace {self.rate:.2f}/s of {fastest:.2f}/s{refused}>"

    @property
    def rate(self) -> float:
        """The calls a second that leave at present."""
        return self._allowance.rate

    def delay(self, now: float) -> float:
        """Return how long a call that is ready at *now* has to wait; asked again after news."""
        earliest = self._earliest
        if self._probe_left_at is not None:
            patience = _PROBE_PATIENCE if self._troubles else _THROTTLED_PROBE_PATIENCE
            earliest = max(earliest, self._probe_left_at + patience)
        return max(0.0, earliest - now)

    def leave(self, now: float) -> None:
        """Note that a call left at *now*."""
        if self._left_at > float("-inf"):
            self._allowance.left(max(0.0, min(self._earliest, now) - self._left_at))
        self._left_at = now
        self._earliest = now + 1 / self.rate + _MARGIN
        self._probe_left_at = now if self._troubles or self._cuts else None

    def well(self, *, sent_at: float, now: float) -> None:
        """Note that a call was answered by the API itself, with anything but 429 and 5xx."""
        self._allowance.took()
        self._good_at = now
        self._troubles = 0
        if self._probe_left_at is not None:
            self._probe_left_at = None
            self._earliest = max(self._earliest, now)  # the wait for it was the pace's doing
        if sent_at > self._cut_at:
            self._cuts = 0

    def throttled(self, *, sent_at: float, now: float, pause: float | None = None) -> None:
        """Note a 429; *pause* is what the service asked for, in seconds, where it did."""
        self._troubles, self._probe_left_at = 0, None
        if sent_at > self._cut_at:
            self._cut_at = now
            self._cuts += 1
            if self._cuts == 1:
                self._allowance.refused()
            if pause is None:
                pause = self._pause(_FIRST_PAUSE_THROTTLED, self._cuts)
        if pause is not None:
            self._earliest = max(self._earliest, now + pause)

    def troubled(self, *, sent_at: float, now: float) -> bool:
        """Note a failed call; return whether the service seems to be in trouble for all calls."""
        if self._good_at >= sent_at:
            return False
        self._probe_left_at = None
        if sent_at > self._trouble_at:
            self._trouble_at = now
            self._troubles += 1
            pause = self._pause(_FIRST_PAUSE_TROUBLED, self._troubles, _LONGEST_TROUBLED)
            self._earliest = max(self._earliest, now + pause)
        return True

    def abandoned(self, *, sent_at: float) -> None:
        """Note that the outcome of the call that left at *sent_at* stays unknown."""
        if self._probe_left_at == sent_at:
            self._probe_left_at = None

    def backoff(self, tries: int) -> float:
        """Return how long a call waits by itself that has failed *tries* times out of bad luck."""
        return self._pause(_FIRST_PAUSE_TROUBLED, tries)

    def _pause(self, first: float, count: int, longest: float = _LONGEST_PAUSE) -> float:
        doubled: float = first * 2 ** min(count - 1, 10)
        return min(longest, doubled) * (1 + 0.5 * self._jitter())
