"""Whether the callbacks of a model come, and how long one may be awaited. Pure.

As long as they come, its runs are hardly asked for. A run whose callback is late puts its model
back to normal at once, since others may be missing, too: a sweep whose callbacks are lost is then
watched as if there were none (rule 39 of the contract).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from batchrun.engine.in_flight import Attempt, Callback
from batchrun.engine.waves import Wave
from batchrun.ledger.facts import ModelFacts

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
    """Counts the callbacks of each model since the last one that was late.

    *url* is where this call receives them. A run whose request named none, or another, is watched
    as if there were no callbacks, and so are the runs of batches.
    """

    def __init__(self, url: str | None, facts: Callable[[str], ModelFacts]) -> None:
        self._url = url
        self._facts = facts
        self._came: Counter[str] = Counter()
        self.missed = 0  # runs that ended, and whose callbacks had not come

    def ended(self, attempt: Attempt) -> None:
        """A run has ended, as the API says."""
        self.missed += attempt.callback is not Callback.HEARD and self._calls_here(attempt)

    def note(self, model: str) -> None:
        """A callback of a run of *model* has come."""
        self._came[model] += 1

    def doubt(self, model: str) -> None:
        """A callback of *model* is late, or was not true."""
        self._came[model] = 0

    def late_after(self, model: str) -> float | None:
        """Return the age at which a callback of *model* is late; None where none is relied on."""
        if self._came[model] < ENOUGH:
            return None
        return late_after(sorted(self._facts(model).durations))

    def parted(self, wave: Wave) -> tuple[list[Attempt], list[Attempt]]:
        """Return the running attempts whose callbacks are relied on, and the others."""
        running = [attempt for attempt in wave.open() if attempt.key not in wave.announced]
        if self.late_after(wave.model) is None:
            return [], running
        awaited: list[Attempt] = []
        others: list[Attempt] = []
        for attempt in running:
            (awaited if self._is_awaited(attempt) else others).append(attempt)
        return awaited, others

    def late(self, wave: Wave, now: float) -> list[Attempt]:
        """Return the attempts whose callback is late, and was not before."""
        awaited, _ = self.parted(wave)
        return self._late_of(awaited, wave.model, now)

    def suffices(self, wave: Wave, now: float) -> bool:
        """Say whether callbacks are relied on to say of each run of *wave* that it has ended."""
        awaited, others = self.parted(wave)
        return bool(awaited) and not others and not self._late_of(awaited, wave.model, now)

    def _late_of(self, awaited: Sequence[Attempt], model: str, now: float) -> list[Attempt]:
        after = self.late_after(model)
        return [a for a in awaited if after is not None and now - a.started >= after]

    def _is_awaited(self, attempt: Attempt) -> bool:
        return attempt.callback is Callback.AWAITED and self._calls_here(attempt)

    def _calls_here(self, attempt: Attempt) -> bool:
        # Of a batch one callback comes, with its last run: its first ones would wait for that.
        alone = attempt.index is None
        return alone and attempt.callback_url is not None and attempt.callback_url == self._url
