"""How the service takes calls of one kind, by its answers to them. Pure.

A service may allow fewer runs than questions: it once refused new runs for an hour, and six runs
that were paid were not asked for. So the wait that a 429 names holds back its own kind alone. After
a wait a single call of the kind is let out as a probe.
"""

from typing import Final

_PROBE_PATIENCE: Final = 1.5  # refusals come at once, good answers may take their time
_NEVER: Final = float("-inf")


class Quota:
    """The refusals of one kind. Moments are of one clock, waits are seconds.

    *refusals* counts those in a row, since *began*; *good_at* is when a call was last answered.
    """

    def __init__(self) -> None:
        self.refusals = 0
        self.began = _NEVER
        self.good_at = _NEVER
        self.held_until = _NEVER
        self._refused_at = _NEVER
        self._named_until = _NEVER
        self._unsure_since: float | None = None
        self._probe_left_at: float | None = None

    def held(self, now: float) -> float:
        """Return for how many seconds no call of this kind may leave."""
        until = self.held_until
        if self._probe_left_at is not None:
            until = max(until, self._probe_left_at + _PROBE_PATIENCE)
        return max(0.0, until - now)

    def named(self, now: float) -> float:
        """Return how much is left of the wait that the service named."""
        return max(0.0, self._named_until - now)

    def leave(self, now: float) -> None:
        """Note that a call left: it is a probe as long as no answer shows how things stand."""
        self._probe_left_at = None if self._unsure_since is None else now

    def well(self, *, sent_at: float, now: float) -> None:
        """Note that a call was answered with anything but 429 and 5xx."""
        self.good_at = now
        if self._probe_left_at is not None:
            self._probe_left_at = None
            self.held_until = max(self.held_until, now)  # the wait for it was the pace's doing
        if self._unsure_since is not None and sent_at > self._unsure_since:
            self._unsure_since = None
        if sent_at > self._refused_at:
            self.refusals = 0

    def refused(self, *, sent_at: float, now: float) -> bool:
        """Note a 429; return whether it is news: the call left after the last one had come."""
        self._probe_left_at = None
        self._unsure_since = now
        if sent_at <= self._refused_at:
            return False
        self.began = self.began if self.refusals else now
        self._refused_at = now
        self.refusals += 1
        return True

    def doubt(self, now: float) -> None:
        """Let a single call out first: the other kind was refused at *now*."""
        self._unsure_since = now

    def hold(self, now: float, seconds: float, *, named: bool = False) -> None:
        """Let no call leave for so many seconds; *named* where the service asked for them."""
        self.held_until = max(self.held_until, now + seconds)
        if named:
            self._named_until = max(self._named_until, now + seconds)

    def abandoned(self, *, sent_at: float) -> None:
        """Note that the outcome of the call that left at *sent_at* stays unknown."""
        if self._probe_left_at == sent_at:
            self._probe_left_at = None
