"""How long one call that fails goes on. Pure: the time comes in as an argument."""

from typing import Final

_ENOUGH_TRIES: Final = 10


class RetryBudget:
    """The time left to one call that has failed, before we say that the API is out of reach.

    Counted from its first failure, or from the last good answer to any call, if that is later: a
    call that waits while others are answered is only waiting. But a call that fails ten times over
    all that time while others are answered would fail for ever. And a call that met nothing but 429
    has only the answers to calls of its kind in its favour: the service may allow kinds apart.
    """

    def __init__(self, give_up: float) -> None:
        self._give_up = give_up
        self._failed_at: float | None = None
        self._tries = 0
        self.reason = ""

    @property
    def tries(self) -> int:
        """How often the call has failed for a reason of its own, not by a 429."""
        return self._tries

    def failed(self, now: float, reason: str, *, counts: bool = True) -> None:
        """Note a failed try; a 429 does not count: it says nothing about this call."""
        self._failed_at = now if self._failed_at is None else self._failed_at
        self._tries += counts
        self.reason = reason

    def left(self, now: float, good_at: float, good_of_kind: float) -> float:
        """Return the seconds left, with the last good answers, to any call and to its kind."""
        if self._failed_at is None:
            return float("inf")
        good_at = good_at if self._tries else good_of_kind
        since = self._failed_at if self._tries >= _ENOUGH_TRIES else max(self._failed_at, good_at)
        return since + self._give_up - now
