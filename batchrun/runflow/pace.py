"""When the next call may leave. Arithmetic only: the time always comes in as an argument.

The rules:

* Two departures are never closer than one interval of the rate that was asked for. So any window
  w holds at most floor(rate * w) + 1 of them, and nothing is saved up for a burst.
* A 429 pauses everybody and cuts the pace, once for all the calls that left before the cut. It
  also teaches where the service refuses: the pace climbs back quickly to a little under that,
  and from there upward in small steps, because the service may have changed its mind.
* Trouble (5xx, no answer) pauses everybody, longer each time, and after it a single call is let
  out as a probe. The others follow once any call is answered well.
* One failed call among answered ones is its own bad luck and pauses nobody else.
"""

from collections.abc import Callable
from typing import Final

_MARGIN: Final = 1e-6  # keeps the first rule exact in floating point, at any clock reading
_CUT: Final = 0.5  # of the pace, where nothing is known yet about what the service allows
_BELOW: Final = 0.75  # of the rate that was refused: up to here the pace climbs quickly again
_GENTLE_CUT: Final = 0.85  # both again, where we were refused close to the last time
_JUST_BELOW: Final = 0.95
_NEAR: Final = 0.9
_CLIMB: Final = 1.04  # a departure
_PROBE: Final = 1.001  # a departure, after the hold
_HOLD: Final = 100  # departures; doubles each time we are refused close to the last time
_LONGEST_HOLD: Final = 6400
_FORGOTTEN: Final = 1.05  # so far above it and not refused: what we had learnt is outdated
_SLOWEST: Final = 60.0  # seconds between calls, at the very least one a minute
_LONGEST_PAUSE: Final = 32.0
_FIRST_PAUSE_THROTTLED: Final = 1.0
_FIRST_PAUSE_TROUBLED: Final = 0.5
_PROBE_PATIENCE: Final = 120.0  # a probe nobody hears of again does not hold the gate for ever


class Pace:
    """One call an interval, slower after a 429, single-file after trouble.

    *rate* is in calls a second. *jitter* returns a number from 0 to 1 and spreads the pauses, so
    that two processes which met the same 429 do not come back together.
    """

    def __init__(self, rate: float, *, jitter: Callable[[], float]) -> None:
        self.fastest = rate
        self.rate = rate
        self.refused_at: float | None = None
        self._jitter = jitter
        self._safe = rate
        self._hold = _HOLD
        self._held = 0
        self._earliest = float("-inf")
        self._cut_at = float("-inf")
        self._cuts = 0  # since a call was last answered
        self._trouble_at = float("-inf")
        self._troubles = 0  # likewise
        self._good_at = float("-inf")
        self._probe_left_at: float | None = None

    def __repr__(self) -> str:
        refused = "" if self.refused_at is None else f", refused at {self.refused_at:.2f}/s"
        return f"<Pace {self.rate:.2f}/s of {self.fastest:.2f}/s{refused}>"

    def delay(self, now: float) -> float:
        """Return how long a call that is ready at *now* has to wait; asked again after news."""
        earliest = self._earliest
        if self._probe_left_at is not None:
            earliest = max(earliest, self._probe_left_at + _PROBE_PATIENCE)
        return max(0.0, earliest - now)

    def leave(self, now: float) -> None:
        """Note that a call left at *now*."""
        self._climb()
        self._earliest = now + 1 / self.rate + _MARGIN
        self._probe_left_at = now if self._troubles else None

    def well(self, *, sent_at: float, now: float) -> None:
        """Note that a call was answered by the API itself, whatever it said but 429 and 5xx."""
        self._good_at = now
        self._troubles = 0
        self._probe_left_at = None
        if sent_at > self._cut_at:
            self._cuts = 0

    def throttled(self, *, sent_at: float, now: float, pause: float | None = None) -> None:
        """Note a 429; *pause* is what the service asked for, in seconds, where it did."""
        self._troubles, self._probe_left_at = 0, None
        if sent_at > self._cut_at:
            self._cut(now)
            if pause is None:
                pause = self._pause(_FIRST_PAUSE_THROTTLED, self._cuts)
        if pause is not None:
            self._earliest = max(self._earliest, now + pause)

    def troubled(self, *, sent_at: float, now: float) -> bool:
        """Note a failed call; return whether the service seems to be in trouble for everybody."""
        if self._good_at >= sent_at:
            return False
        self._probe_left_at = None
        if sent_at > self._trouble_at:
            self._trouble_at = now
            self._troubles += 1
            pause = self._pause(_FIRST_PAUSE_TROUBLED, self._troubles)
            self._earliest = max(self._earliest, now + pause)
        return True

    def abandoned(self, *, sent_at: float) -> None:
        """Note that nobody will hear how the call that left at *sent_at* went."""
        if self._probe_left_at == sent_at:
            self._probe_left_at = None

    def backoff(self, tries: int) -> float:
        """Return how long a call waits by itself that has failed *tries* times out of bad luck."""
        return self._pause(_FIRST_PAUSE_TROUBLED, tries)

    def _pause(self, first: float, count: int) -> float:
        doubled: float = first * 2 ** min(count - 1, 10)
        return min(_LONGEST_PAUSE, doubled) * (1 + 0.5 * self._jitter())

    def _cut(self, now: float) -> None:
        self._cut_at = now
        self._cuts += 1
        if self._cuts > 1:
            return  # refused right after a pause: that was too short, the pace had no part in it
        near = self.refused_at is not None and self.rate >= _NEAR * self.refused_at
        self._hold = min(_LONGEST_HOLD, 2 * self._hold) if near else _HOLD
        self._held = 0
        self.refused_at = self.rate
        self._safe = self.rate * (_JUST_BELOW if near else _BELOW)
        self.rate = max(min(1 / _SLOWEST, self.rate), self.rate * (_GENTLE_CUT if near else _CUT))

    def _climb(self) -> None:
        """Climb quickly to what seems safe, stay for the hold, then feel the way upward."""
        if self.refused_at is None:
            self.rate *= _CLIMB
        elif self.rate < self._safe:
            # Not past it in one step: the next one over the line would be refused at once.
            self.rate = min(self.rate * _CLIMB, self._safe)
        elif self._held < self._hold:
            self._held += 1
        else:
            self.rate *= _PROBE
            if self.rate > self.refused_at * _FORGOTTEN:
                self.refused_at = None
        self.rate = min(self.rate, self.fastest)
