"""Whether the callbacks of a model come, and how long one may be awaited. Pure.

As long as they come, its runs are hardly asked for. A run whose callback is late puts its model
back to normal at once, since others may be missing, too: a sweep whose callbacks are lost is then
watched as if there were none (rule 39 of the contract).
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

ENOUGH: Final = 5
"""Callbacks of a model that must have come before it is asked less; durations, too."""

SHARE: Final = 0.95
"""The part of a model's runs by whose durations a callback is late."""

DELIVERY: Final = 5.0
"""Seconds that a callback may be on its way."""

RARE: Final = 300.0
"""Seconds after which a wave is looked at even where nothing is late."""


def late_after(durations: Sequence[float]) -> float | None:
    """Return the age at which a run's callback is late; None where too little is known.

    *durations* are sorted.
    """
    if len(durations) < ENOUGH:
        return None
    return durations[math.ceil(SHARE * len(durations)) - 1] + DELIVERY


def rare_wait(ages: Sequence[float], late: float, *, interval: float) -> float:
    """Return the seconds to the next look at runs whose callbacks are awaited: the first is late.

    Never under *interval*, and a few minutes at most.
    """
    return max(interval, min([RARE, *(late - age for age in ages)]))


class CallbackTrust:
    """Counts the callbacks of each model since the last one that was late."""

    def __init__(self) -> None:
        self._came: Counter[str] = Counter()

    def note(self, model: str) -> None:
        """A callback of a run of *model* has come."""
        self._came[model] += 1

    def doubt(self, model: str) -> None:
        """A callback of *model* is late, or was not true."""
        self._came[model] = 0

    def has(self, model: str) -> bool:
        """Say whether enough callbacks of *model* have come to rely on the next."""
        return self._came[model] >= ENOUGH
