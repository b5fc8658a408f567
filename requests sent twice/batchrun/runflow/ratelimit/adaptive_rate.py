"""How many calls a second the service seems to take, learnt from what it took and refused. Pure.

Every pace that was refused is more than the service allows. The calls that it took between two
refusals, divided by the seconds between, are no more than it allows: all that was saved up was used
up at the first refusal. (This is an under-estimate: it includes our pauses, during which a service
without burst credit could have taken more.) So after a refusal:

* The first time nothing is known but that the pace was too much: it is halved.
* From then on the pace goes to what the service has been seen to take; but never below _DEEPEST
  of what was refused, because a few calls say little, nor above _HIGHEST of it.
* From there it climbs quickly towards the middle of the two (the geometric one: they may be
  a factor of a hundred apart), and past it first hardly at all, then ever faster, because the
  service may have changed its mind. The closer the two, the slower this is.

With these constants `benchmarks/pacing.py` uses most of a service's allowance at few refusals,
whether it lets a second's calls be saved up, or none, or counts by the window.
"""

import math
from typing import Final

_FIRST_CUT: Final = 0.5
_FIRST_SAFE: Final = 0.75  # of the first pace refused: up to here the pace climbs quickly again
_DEEPEST: Final = 0.4
_HIGHEST: Final = 0.9
_ENOUGH: Final = 10  # calls taken; fewer are counted on from the refusal before
_CLIMB: Final = 0.6  # a second, while the pace climbs quickly
_STEEPEST: Final = 0.04  # a call, at any time
_DOUBLING: Final = 100.0  # seconds in which the pace doubles past what is thought safe
_SOONEST: Final = 0.25  # of them, where what was taken and what was refused are far apart
_STEP: Final = 0.25  # the most seconds that one call can add to the time spent climbing
_SLOWEST: Final = 60.0  # seconds between calls, at the very least one a minute


class AdaptiveRate:
    """The calls a second to send at now, never more than *fastest*."""

    def __init__(self, fastest: float) -> None:
        self.fastest = fastest
        self.rate = fastest
        self.refused_at: float | None = None
        self._safe = fastest
        self._doubling = _DOUBLING
        self._climbing = 0.0  # seconds since the pace reached what is thought safe
        self._taken = 0
        self._seconds: float | None = None  # in which they were taken; None before any refusal

    def took(self) -> None:
        """Note that the service took a call."""
        self._taken += 1

    def left(self, seconds: float) -> None:
        """Note that a call left, which the pace and its pauses had made wait for *seconds*.

        Time in which there was nothing to send teaches nothing.
        """
        if self._seconds is None:
            return
        self._seconds += seconds
        if self.rate < self.fastest:
            self.rate = min(self._climbed(seconds), self.fastest)

    def refused(self) -> None:
        """Note that the present pace was too much."""
        pace = self.rate
        if self._seconds is None:
            self.rate, self._safe = _FIRST_CUT * pace, _FIRST_SAFE * pace
            self._doubling = _SOONEST * _DOUBLING
        else:
            seen = self._taken / self._seconds if self._seconds else 0.0
            self.rate = min(max(seen, _DEEPEST * pace), _HIGHEST * pace)
            self._safe = min(max(math.sqrt(seen * pace), self.rate), _HIGHEST * pace)
            self._doubling = min(max(seen / pace, _SOONEST), 1.0) * _DOUBLING
        self.rate = max(self.rate, min(1 / _SLOWEST, pace))
        self.refused_at = pace
        self._climbing = 0.0
        if self._seconds is None or self._taken >= _ENOUGH:
            self._taken, self._seconds = 0, 0.0

    def _climbed(self, seconds: float) -> float:
        steepest = self.rate * (1 + _STEEPEST)
        if self.rate < self._safe:
            # Not past it in one step: the next one over the line would be refused at once.
            return min(self.rate * (1 + _CLIMB * seconds), steepest, self._safe)
        self._climbing += min(seconds, _STEP)
        grown = self._safe * (1 + (self._climbing / self._doubling) ** 3)
        return max(self.rate, min(grown, steepest))
