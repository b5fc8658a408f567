"""How long one call that fails goes on. Pure: the time comes in as an argument."""

from typing import Final

_ENOUGH_TRIES: Final = 10
_ENOUGH_REFUSALS: Final = 3
_LONG_REFUSED: Final = 20.0  # seconds: where many calls fail at once, they wait for each other


class RetryBudget:
    """The time left to one call that has failed, before we say that the API is out of reach.

    Counted from its first failure, or from the last good answer to any call, if that is later: a
    call that waits while others are answered is only waiting. But a call that fails ten times over
    all that time while others are answered would fail for ever. And a call that met nothing but 429
    has only the answers to calls of its kind in its favour: the service may allow kinds apart.

    Where only this question is refused, which *alone* says, the answers to others count no more
    after a few refusals: it would wait for ever.

    Other refusals than 429 are counted in a row: see `get_outcomes.py`.

    The wait that a first 429 names is obeyed before the count begins. Where a 429 came last, one
    more try is due after the end, when the pause is over: it may have been over in time.
    """

    def __init__(self, give_up: float) -> None:
        self._give_up = give_up
        self._failed_at: float | None = None
        self._tries = 0
        self._refusals = 0
        self._last_try = False
        self._throttled = False
        self.reason = ""
        self.alone = False
        self._refused_at = 0.0
        self._refused_in_a_row = 0  # by other statuses than 429
        self.answered = False

    @property
    def tries(self) -> int:
        """How often the call has failed for a reason of its own, not by a 429."""
        return self._tries

    @property
    def refused(self) -> bool:
        """Whether the last try was a refusal."""
        return self._refused_in_a_row > 0

    def is_refused(self, now: float, in_a_row: int) -> bool:
        """Say whether the last refusals were no passing ones: by their number, or for long."""
        row = self._refused_in_a_row
        return row >= in_a_row or (row > 1 and self.refused_for(now) >= _LONG_REFUSED)

    def refused_for(self, now: float) -> float:
        """Return for how many seconds nothing but refusals came."""
        return now - self._refused_at if self.refused else 0.0

    def failed(
        self, now: float, reason: str, *, answered: bool = False, refused: bool = False
    ) -> None:
        """Note a failed try: whether anything *answered*, and whether that was a refusal.

        One that was none ends the row of refusals.
        """
        if refused and not self.refused:
            self._refused_at = now
        self._refused_in_a_row = self._refused_in_a_row + 1 if refused else 0
        self._failed_at = now if self._failed_at is None else self._failed_at
        self._tries += 1
        self._throttled = False
        self.answered = answered
        self.reason = reason

    def outlived_by(self, good_at: float) -> bool:
        """Say whether there was a good answer, to another call, since this one failed first."""
        return self._failed_at is not None and good_at > self._failed_at

    def throttled(self, now: float, reason: str, named: float) -> None:
        """Note a 429 and the wait that it names; it is no try: it says nothing about this call."""
        if self._failed_at is None:
            self._failed_at = now + (named if named <= self._give_up else 0.0)
        self._refusals += 1
        self._throttled = True
        self.reason = reason

    @property
    def last_try_due(self) -> bool:
        """Whether one more try is due at the end."""
        return self._throttled and not self._last_try

    def take_last_try(self) -> bool:
        """Say whether one more try is due at the end; it is taken with that."""
        due = self.last_try_due
        self._last_try = True
        return due

    def left(self, now: float, good_at: float, good_of_kind: float) -> float:
        """Return the seconds left, with the last good answers, to any call and to its kind."""
        if self._failed_at is None:
            return float("inf")
        good_at = good_at if self._tries else good_of_kind
        stuck = self._tries >= _ENOUGH_TRIES or (self.alone and self._refusals >= _ENOUGH_REFUSALS)
        since = self._failed_at if stuck else max(self._failed_at, good_at)
        return since + self._give_up - now
