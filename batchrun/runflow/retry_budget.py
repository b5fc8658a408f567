"""How long one call is tried again. Pure: the time comes in."""

from typing import Final

_ENOUGH_TRIES: Final = 10


class Patience:
    """What is left to one call that has failed, before we say that the API is out of reach.

    Counted from its first failure, or from the last good answer to anybody, whichever is later:
    what waits while others are answered is only waiting. But a call that fails ten times over all
    that time while others are answered would fail for ever.
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

    def left(self, now: float, good_at: float) -> float:
        """Return the seconds left, with the last good answer to anybody at *good_at*."""
        if self._failed_at is None:
            return float("inf")
        since = self._failed_at if self._tries >= _ENOUGH_TRIES else max(self._failed_at, good_at)
        return since + self._give_up - now
