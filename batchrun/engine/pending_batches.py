"""Which cells travel together in one request, and when it leaves. Pure.

A batch saves the calls that single requests take. But it is a wave of its own, and a small wave
costs more looks for each of its runs than a large one: so few cells go alone. And a freed slot that
waits for company is idle: so it waits only where enough of it is to be expected soon. Where calls
wait for the limiter anyway, that may be later.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from batchrun.engine.in_flight import Attempt

ENOUGH: Final = 10
"""Cells that share a request rather than each having its own, where the model takes batches."""

LINGER: Final = 0.5
"""Intervals of `poll` that a freed slot waits for company, where enough is to be expected. Chosen,
like the number above, by `benchmarks/batches.py`."""

MOST: Final = 20
"""Pending batches at once. Where there are so many, each cell has something of its own."""

BACKLOG: Final = 4.0
"""So many times as long where calls wait for the limiter anyway."""


def linger(interval: float, *, in_flight: int, durations: Sequence[float], backlog: bool) -> float:
    """Return the seconds that a freed slot waits: none where not enough others will come in them.

    A slot comes free whenever a run ends, and *durations* are those of the model's last runs.
    """
    wait = LINGER * interval * (BACKLOG if backlog else 1.0)
    mean = sum(durations) / len(durations) if durations else float("inf")
    return wait if in_flight * wait >= ENOUGH * mean else 0.0


@dataclass(slots=True, eq=False)
class PendingBatch:
    """Attempts that may share a request; *since* is when the first of them came."""

    model: str
    since: float
    attempts: list[Attempt] = field(default_factory=list)

    def take(self, most: int) -> list[Attempt]:
        """Return the first of them, which leave; the others wait on."""
        leaving, self.attempts = self.attempts[:most], self.attempts[most:]
        return leaving


class PendingBatches:
    """Those that wait, by what they must have in common to share a request."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, PendingBatch] = {}

    def __bool__(self) -> bool:
        return any(batch.attempts for batch in self._waiting.values())

    def have_room(self, model: str, kind: Hashable) -> bool:
        """Say whether one more of that *kind* is let in."""
        return len(self._waiting) < MOST or (model, kind) in self._waiting

    def __iter__(self) -> Iterator[PendingBatch]:
        self._waiting = {kind: each for kind, each in self._waiting.items() if each.attempts}
        return iter(list(self._waiting.values()))

    def join(self, model: str, kind: Hashable, attempt: Attempt, now: float) -> None:
        batch = self._waiting.get((model, kind))
        if batch is None or not batch.attempts:
            batch = self._waiting[model, kind] = PendingBatch(model, now)
        batch.attempts.append(attempt)

    def withdraw(self) -> list[Attempt]:
        """Return all that wait; nobody does any more."""
        waiting = [attempt for batch in self._waiting.values() for attempt in batch.attempts]
        self._waiting.clear()
        return waiting
