"""Which cells travel together in one request, and when it leaves. Pure.

A batch saves calls. A freed slot that waits for company to fill it costs time instead, so a wait is
short, and shorter where few runs are in flight: there calls are plenty. Where calls are scarce,
and wait for the limiter anyway, waiting for company costs nothing.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from batchrun.engine.live import Attempt

LARGEST: Final = 100
"""Items of one batch (runflow-api.md, section 8)."""

LINGER: Final = 0.75
"""Intervals of `poll` that a freed slot waits for company in a large sweep; chosen by
`benchmarks/batches.py`."""

BACKLOG: Final = 4.0
"""So many times as long where calls wait for the limiter anyway."""

LARGE: Final = 200
"""Attempts under way from which on a sweep is large, as in `schedule.py`."""


def linger(interval: float, *, under_way: int) -> float:
    """Return how many seconds a freed slot waits for company."""
    return LINGER * interval * min(1.0, under_way / LARGE)


@dataclass(slots=True, eq=False)
class Company:
    """Attempts that may share a request; *since* is when the first of them came."""

    model: str
    since: float
    attempts: list[Attempt] = field(default_factory=list)

    def take(self, most: int) -> list[Attempt]:
        """Return the first of them, which leave; the others wait on."""
        leaving, self.attempts = self.attempts[:most], self.attempts[most:]
        return leaving


class Companies:
    """Those that wait, by what they must have in common to share a request."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Company] = {}

    def __iter__(self) -> Iterator[Company]:
        self._waiting = {kind: each for kind, each in self._waiting.items() if each.attempts}
        return iter(list(self._waiting.values()))

    def join(self, model: str, kind: Hashable, attempt: Attempt, now: float) -> None:
        company = self._waiting.get((model, kind))
        if company is None or not company.attempts:
            company = self._waiting[model, kind] = Company(model, now)
        company.attempts.append(attempt)

    def withdraw(self) -> list[Attempt]:
        """Return all that wait; nobody does any more."""
        waiting = [attempt for company in self._waiting.values() for attempt in company.attempts]
        self._waiting.clear()
        return waiting
