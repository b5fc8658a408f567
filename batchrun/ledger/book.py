"""What all lines of a ledger add up to: each cell's history, and the totals.

Totals are folds like the histories, so they survive any number of restarts. Pure: it is given the
records and the offsets at which they stand.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from batchrun.ledger.history import OPEN, History, apply
from batchrun.ledger.records import (
    AnyRecord,
    Dropped,
    Extra,
    Finished,
    Intent,
    Looked,
    Rejected,
    Submitted,
    Sweep,
    Uploaded,
)

REMEMBERED: Final = 200
"""How many of a model's newest durations are kept."""


@dataclass(slots=True)
class ModelFacts:
    """What the ledger knows of one model: seconds from creation to end, and what runs cost."""

    durations: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    runs: int = 0
    cost: Decimal = Decimal(0)
    dearest: Decimal | None = None


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that the ledger knows, and the wave that shows it."""

    run_id: str
    client_ref: str


class Book:
    """The fold of a ledger."""

    def __init__(self) -> None:
        self.sweep: Sweep | None = None
        self.histories: dict[str, History] = {}
        self.models: dict[str, ModelFacts] = {}
        self.uploads: dict[str, Uploaded] = {}
        self.open: set[str] = set()
        self.doubted: dict[str, str] = {}  # waves owed a last look, and their models
        self.cost = Decimal(0)
        self.spent: defaultdict[str, Decimal] = defaultdict(Decimal)  # by alias
        self.extra_runs: dict[str, Decimal | None] = {}
        self.newest: KnownRun | None = None
        self.last_wave = 0
        self.last_ref = ""

    @property
    def extras(self) -> int:
        """How many runs came to light that no attempt should have made."""
        return len(self.extra_runs)

    def history(self, cell: str) -> History:
        """Return where *cell* stands; one that has no line yet is pending."""
        return self.histories.get(cell) or History()

    def facts(self, model: str) -> ModelFacts:
        return self.models.setdefault(model, ModelFacts())

    def open_cells(self) -> Iterator[tuple[str, History]]:
        """Yield the cells whose newest attempt may be running."""
        for cell in sorted(self.open):
            yield cell, self.histories[cell]

    def check(self, records: Sequence[AnyRecord]) -> None:
        """Raise ValueError if *records* cannot follow in their order; changes nothing."""
        trial: dict[str, History] = {}
        for record in records:
            if not isinstance(record, Sweep | Uploaded | Looked):
                history = trial.get(record.cell) or copy(self.history(record.cell))
                apply(history, record)
                trial[record.cell] = history

    def add(self, record: AnyRecord, line: int) -> None:
        """Fold the record that stands at offset *line*; ValueError if it cannot follow."""
        match record:
            case Sweep():
                self.sweep = record
            case Uploaded():
                self.uploads[record.sha256] = record
            case Looked():
                self.doubted.pop(record.client_ref, None)
            case _:
                history = self.histories.get(record.cell) or History()
                apply(history, record, line)
                self.histories[record.cell] = history
                (self.open.add if history.state in OPEN else self.open.discard)(record.cell)
                self._count(record, history)

    def _count(self, record: AnyRecord, history: History) -> None:
        match record:
            case Intent():
                self.last_wave = max(self.last_wave, wave_number(record.client_ref))
                self.last_ref = record.client_ref
            case Submitted():
                self.newest = KnownRun(record.run_id, history.client_ref)
                self._owe(record, history)
            case Rejected() | Dropped():
                self._owe(record, history)
            case Finished():
                self._spend(history, record.cost or 0)
                self._learn(history.model, record)
            case Extra():
                # Told again, for instance with a cost that was not known before, it is one run.
                self._spend(history, -(self.extra_runs.get(record.run_id) or 0))
                self.extra_runs[record.run_id] = record.cost
                self._spend(history, record.cost or 0)
            case _:
                pass

    def _spend(self, history: History, cost: Decimal | int) -> None:
        self.cost += cost
        self.spent[history.alias] += cost

    def _owe(self, record: Submitted | Rejected | Dropped, history: History) -> None:
        if record.doubted:
            self.doubted[history.client_ref] = history.model

    def _learn(self, model: str, record: Finished) -> None:
        facts = self.facts(model)
        facts.runs += 1
        if (seconds := duration(record)) is not None:
            facts.durations.append(seconds)
        if record.cost is not None:
            facts.cost += record.cost
            facts.dearest = max(record.cost, facts.dearest or record.cost)


def wave_number(client_ref: str) -> int:
    """Return the number of the wave that *client_ref* names, or 0 if it is not a wave's."""
    number = client_ref.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


def duration(record: Finished) -> float | None:
    """Return the seconds from a run's creation to its end, as the service counts them."""
    if record.created_at and record.completed_at:
        # The times are the service's own words: one that is no time must not break the ledger.
        with suppress(ValueError, TypeError):
            created = datetime.fromisoformat(record.created_at)
            completed = datetime.fromisoformat(record.completed_at)
            return max(0.0, (completed - created).total_seconds())
    return None if record.duration_ms is None else record.duration_ms / 1000
