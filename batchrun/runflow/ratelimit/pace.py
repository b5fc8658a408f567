"""When the next call may leave. Pure: the time always comes in as an argument.

The rules:

* Two departures are never closer than one interval of the rate that was asked for. So any window
  w holds at most floor(rate * w) + 1 of them, and nothing is saved up for a burst.
* A 429 pauses all calls for a moment and cuts the pace, once for all the calls that left before the
  cut; what the pace is then, and how it climbs again, is in `adaptive_rate.py`. After the pause a
  single call of each kind is let out as a probe. If it is refused as well, the pause was too short,
  and the pace had no part in it: only the pause grows.
* The wait that a 429 names holds back the calls of its kind alone (`quota.py`). Once the other kind
  is answered, further refusals of the first pause none of its calls. A named wait that is too short
  counts no less than a silent one: pauses grow from refusal to refusal in any case.
* Trouble (5xx, no answer) pauses all calls, longer each time, and after it a single call is let
  out as a probe. The others follow once any call is answered well; after a 429 they don't wait
  for a slow answer. A wait that is named with it is kept for a minute at most: it may be a word of
  one broken host.
* One failed call among answered ones is its own bad luck and pauses no other call.
"""

from collections.abc import Callable
from typing import Final

from batchrun.runflow.ratelimit.adaptive_rate import AdaptiveRate
from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.quota import Quota

_MARGIN: Final = 1e-6  # keeps the first rule exact in floating point, at any clock reading
_LONGEST_PAUSE: Final = 32.0
_LONGEST_TROUBLED: Final = 8.0  # shorter: one call for all of them asks whether it is over
_FIRST_PAUSE_THROTTLED: Final = 1.0
_FIRST_PAUSE_TROUBLED: Final = 0.5
_PROBE_PATIENCE: Final = 120.0  # a probe without an end does not hold the gate for ever
LONGEST_NAMED_TROUBLE: Final = 60.0


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
        self._quotas = {kind: Quota() for kind in Kind}
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

    def delay(self, now: float, kind: Kind = Kind.READS) -> float:
        """Return how long a call that is ready at *now* has to wait; asked again after news."""
        return max(self.pause(now), self.held(now, kind))

    def pause(self, now: float) -> float:
        """Return how long calls of either kind have to wait."""
        earliest = self._earliest
        if self._probe_left_at is not None:
            earliest = max(earliest, self._probe_left_at + _PROBE_PATIENCE)
        return max(0.0, earliest - now)

    def held(self, now: float, kind: Kind) -> float:
        """Return how long calls of this kind have to wait for a reason of their own."""
        return self._quotas[kind].held(now)

    def named(self, now: float, kind: Kind) -> float:
        """Return how much is left of the wait that the service named to calls of this kind."""
        return self._quotas[kind].named(now)

    def leave(self, now: float, kind: Kind = Kind.READS) -> None:
        """Note that a call left at *now*."""
        quota = self._quotas[kind]
        if self._left_at > float("-inf"):
            held = min(max(self._earliest, quota.held_until), now)
            self._allowance.left(max(0.0, held - self._left_at))
        self._left_at = now
        self._earliest = now + 1 / self.rate + _MARGIN
        self._probe_left_at = now if self._troubles else None
        quota.leave(now)

    def well(self, *, sent_at: float, now: float, kind: Kind = Kind.READS) -> None:
        """Note that a call was answered by the API itself, with anything but 429 and 5xx."""
        self._allowance.took()
        self._good_at = now
        self._troubles = 0
        if self._probe_left_at is not None:
            self._probe_left_at = None
            self._earliest = max(self._earliest, now)  # the wait for it was the pace's doing
        self._quotas[kind].well(sent_at=sent_at, now=now)

    def throttled(
        self, *, sent_at: float, now: float, pause: float | None = None, kind: Kind = Kind.READS
    ) -> None:
        """Note a 429; *pause* is what the service asked for, in seconds, where it did."""
        self._troubles, self._probe_left_at = 0, None
        quota, other = self._quotas[kind], self._quotas[kind.other]
        cuts = sent_at > self._cut_at and self._is_about_the_pace(quota, other)
        if quota.refused(sent_at=sent_at, now=now):
            own = self._pause(_FIRST_PAUSE_THROTTLED, quota.refusals)
            quota.hold(now, own)
            if other.good_at <= quota.began:  # else the other kind is seen to go on
                self._earliest = max(self._earliest, now + own)
                other.doubt(now)
        if cuts:
            self._cut_at = now
            self._allowance.refused()
        if pause is not None:
            quota.hold(now, pause, named=True)

    def _is_about_the_pace(self, quota: Quota, other: Quota) -> bool:
        """Say whether a refusal is the first one of its kind, and no echo of the other kind's."""
        return not quota.refusals and (not other.refusals or quota.good_at > self._cut_at)

    def troubled(
        self, *, sent_at: float, now: float, pause: float | None = None, kind: Kind = Kind.READS
    ) -> bool:
        """Note a failed call; return whether the service seems to be in trouble for all calls.

        *pause* is what it asked for with a 5xx; calls of this kind wait so long if none of them was
        answered meanwhile.
        """
        quota = self._quotas[kind]
        if pause is not None and quota.good_at < sent_at:
            quota.hold(now, min(pause, LONGEST_NAMED_TROUBLE))
        if self._good_at >= sent_at:
            return False
        self._probe_left_at = None
        if sent_at > self._trouble_at:
            self._trouble_at = now
            self._troubles += 1
            own = self._pause(_FIRST_PAUSE_TROUBLED, self._troubles, _LONGEST_TROUBLED)
            self._earliest = max(self._earliest, now + own)
        return True

    def abandoned(self, *, sent_at: float) -> None:
        """Note that the outcome of the call that left at *sent_at* stays unknown."""
        if self._probe_left_at == sent_at:
            self._probe_left_at = None
        for quota in self._quotas.values():
            quota.abandoned(sent_at=sent_at)

    def backoff(self, tries: int) -> float:
        """Return how long a call waits by itself that has failed *tries* times out of bad luck."""
        return self._pause(_FIRST_PAUSE_TROUBLED, tries)

    def _pause(self, first: float, count: int, longest: float = _LONGEST_PAUSE) -> float:
        doubled: float = first * 2 ** min(count - 1, 10)
        return min(longest, doubled) * (1 + 0.5 * self._jitter())
