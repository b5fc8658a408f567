"""The sum of all lines of a ledger: each cell's history, and the totals.

Totals are folds like the histories, so they survive any number of restarts. Pure: it is given the
records and the offsets at which they stand.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import ClassVar, Final

from msgspec.structs import asdict, replace

from batchrun.ledger.facts import (
    MOST_UNPRICED,
    KnownRun,
    LateCosts,
    ModelFacts,
    OwedFiles,
    Refusals,
    UnpricedRun,
)
from batchrun.ledger.history import GOOD, History, State, apply
from batchrun.ledger.history_index import Histories
from batchrun.ledger.records import (
    FORMAT,
    REUSING,
    Absent,
    AnyRecord,
    CellLine,
    Dropped,
    Extra,
    Finished,
    Intent,
    Learnt,
    Looked,
    Lost,
    Mark,
    Marks,
    Parked,
    Priced,
    Rejected,
    Reused,
    Saved,
    Submitted,
    Sweep,
    Throttled,
    Uploaded,
    by_kind,
)
from batchrun.sweep.references import is_marker, wave_number

_OF_NO_CELL: Final = (Sweep, Uploaded, Looked, Throttled, Learnt, Marks)


class Book:
    """The fold of a ledger.

    *types* are those of columns, as its starts had them, no two alike; none where a start didn't
    know them, or its cells may have been paid under others: a ledger that was rebuilt.
    """

    types: tuple[Mapping[str, str], ...] = ()

    def __init__(self) -> None:
        self.sweep: Sweep | None = None
        self.histories = Histories()
        self.models: dict[str, ModelFacts] = {}
        self.refusals: defaultdict[str, Refusals] = defaultdict(Refusals)  # by model
        self.uploads: dict[str, Uploaded] = {}
        self.learnt: dict[str | None, Learnt] = {}  # by model; None is the service
        self.doubted: dict[str, str] = {}  # waves owed a last look, and their models
        self.looked: dict[str, str] = {}  # of these: when they were looked at first
        self.unlisted: dict[
            str, str
        ] = {}  # newest waves whose last look is not known, their models
        self.spent: defaultdict[str, Decimal] = defaultdict(Decimal)  # by alias
        self.extra_runs: dict[str, Decimal | None] = {}
        self.other_costs: dict[str, Decimal] = {}  # by cell: of its extras, and of runs that failed
        # The lines of second runs without a cost, by run.
        self.unpriced_duplicates: dict[str, Extra] = {}
        self.late_costs = LateCosts()
        self.files = OwedFiles()
        self.named = False  # a cell's files have a name without its key in it
        self.marks: dict[str, Mark] = {}  # cells to be made again, by the keys of what is made
        # By the first replicate's key: the keys of those that marks made, and their numbers.
        self.redone: dict[str, dict[str, int]] = {}
        self.reused: set[str] = set()  # the other sweeps whose results cells have
        self.last_wave = 0
        # A run was asked for under the sweep's marker; and under another reference, too.
        self.marked = self.past_opening = False
        self.recovered = False  # and nothing was sent since
        self.recovered_at: datetime | None = None
        self.filling: dict[str, str] = {}  # by model: the newest wave of the last call that sent
        self.batches: dict[str, str] = {}  # by model: the newest batch of that call
        self._new_call = True
        self._last_but_one: dict[tuple[str, bool], str] = {}  # of a model; of batches or not
        self.oldest: str | None = None  # the id of the first run that is known
        self._newest: tuple[str, str, str] | None = None
        self._reserved: dict[str, Decimal] = {}  # for cells that may have a run under way

    @property
    def format(self) -> int:
        """The format of the next `sweep` line."""
        return REUSING if self.reused else FORMAT

    @property
    def asked(self) -> bool:
        """Whether a run was asked for, ever."""
        return self.marked or self.past_opening

    @property
    def cost(self) -> Decimal:
        """The cost of all runs."""
        return sum(self.spent.values(), Decimal(0))

    @property
    def extras(self) -> int:
        """How many runs came to light that no attempt should have made."""
        return len(self.extra_runs)

    @property
    def newest(self) -> KnownRun | None:
        """The newest run that is known."""
        return None if self._newest is None else KnownRun(*self._newest)

    @property
    def open(self) -> frozenset[str]:
        """The cells whose newest attempt may be running."""
        return frozenset(self.histories.open())

    def history(self, cell: str) -> History:
        """Return where *cell* stands; a cell without a line is pending."""
        return self.histories.find(cell) or History()

    def facts(self, model: str) -> ModelFacts:
        return self.models.setdefault(model, ModelFacts())

    def open_cells(self) -> Iterator[tuple[str, History]]:
        """Yield the cells whose newest attempt may be running."""
        yield from sorted(self.histories.open().items(), key=itemgetter(0))

    def miss(self, cell: str, line: int) -> None:
        """Take *cell* for unsaved: of the files of its `saved` *line* one is gone."""
        self.histories.miss(cell)
        self.files.missing[cell] = line

    def had(self, cell: str) -> int | None:
        """Return the `saved` line of a cell that counts as unsaved, None where there is none."""
        return self.files.partly.get(cell, self.files.missing.get(cell))

    def check(self, records: Sequence[AnyRecord]) -> None:
        """Raise ValueError if *records* cannot follow in their order; changes nothing."""
        trial: dict[str, History] = {}
        for record in records:
            if not isinstance(record, _OF_NO_CELL):
                history = trial.get(record.cell) or copy(self.history(record.cell))
                apply(history, record)
                trial[record.cell] = history

    def add(self, record: AnyRecord, line: int) -> None:
        """Fold the record that stands at offset *line*; ValueError if it cannot follow."""
        self.adds[type(record)](self, record, line)

    def _sweep(self, record: Sweep, _line: int) -> None:
        self.sweep = record
        unknown: tuple[Mapping[str, str], ...] = ({},) if record.recovered else ()
        for types in (*unknown, record.types or {}):
            if types not in self.types:
                self.types = (*self.types, types)
        if record.recovered:
            self.recovered = True
            with suppress(ValueError):
                self.recovered_at = datetime.fromisoformat(record.at)
        self._new_call = True

    def _uploaded(self, record: Uploaded, _line: int) -> None:
        self.uploads[record.sha256] = record

    def _looked(self, record: Looked, _line: int) -> None:
        if record.server_at is not None:
            self.looked[record.client_ref] = record.server_at
            self.doubted.setdefault(record.client_ref, "")  # its last look showed too little
            return
        for owed in (self.doubted, self.looked, self.unlisted):
            owed.pop(record.client_ref, None)

    def _throttled(self, record: Throttled, _line: int) -> None:
        """Leave the book as it is: only the page of results asks for these, by a scan."""

    def _learnt(self, record: Learnt, _line: int) -> None:
        known = self.learnt.get(record.model)
        self.learnt[record.model] = record if known is None else _joined(known, record)

    def _marks(self, record: Marks, _line: int) -> None:
        for mark in record.marks:
            if mark.kind == "redo" and mark.makes not in self.marks:
                self.marks[mark.makes] = mark
                self.redone.setdefault(mark.first, {})[mark.makes] = mark.replicate

    def _intent(self, record: Intent, line: int) -> None:
        self.histories.fold(record, line)
        self.named = self.named or record.cell[:12] not in record.name
        if record.reserved is not None:
            self._reserved[record.cell] = record.reserved
        if record.body_sha256:  # else it was made again by `recover`, and not sent from here
            self.recovered = False
        newest = self.filling if record.batch is None else self.batches
        if newest.get(record.model) != record.client_ref:
            marker = is_marker(record.client_ref)
            self.marked, self.past_opening = self.marked or marker, self.past_opening or not marker
            self.last_wave = max(self.last_wave, wave_number(record.client_ref))
            if self._new_call:  # no call goes on with a wave of another
                self.filling.clear()
                self.batches.clear()
                self._new_call = False
            self._list_later(record, before=newest.get(record.model))
            newest[record.model] = record.client_ref

    def _list_later(self, record: Intent, before: str | None) -> None:
        """Owe a new wave a last look.

        The last wave but one was listed while it was full. The marker may have one run alone, which
        is asked for by its id: only a list shows a second one.
        """
        kind = record.model, record.batch is None
        listed = self._last_but_one.get(kind)
        if listed is not None and not is_marker(listed):
            self.unlisted.pop(listed, None)
        if before is not None:
            self._last_but_one[kind] = before
        self.unlisted[record.client_ref] = record.model

    def _submitted(self, record: Submitted, line: int) -> None:
        history = self.histories.fold(record, line)
        self.refusals[history.model].accepted = True
        self._newest = record.run_id, history.client_ref, record.cell
        self.oldest = self.oldest or record.run_id
        if record.doubted:
            self._owe(history)

    def _rejected(self, record: Rejected, line: int) -> None:
        self._no_run(record, line)
        if not record.at_upload:  # the model had no say in it
            self.refusals[self.history(record.cell).model].add(record)

    def _no_run(self, record: Rejected | Dropped, line: int) -> None:
        history = self.histories.fold(record, line)
        if record.doubted:
            self._owe(history)
        self._reserved.pop(record.cell, None)

    def _owe(self, history: History) -> None:
        self.doubted[history.client_ref] = history.model
        self.looked.pop(history.client_ref, None)

    def _finished(self, record: Finished, line: int) -> None:
        history = self.histories.fold(record, line)
        facts = self.models.get(history.model) or self.facts(history.model)
        facts.runs += 1
        facts.times.append((record.created_at, record.completed_at, record.duration_ms))
        reserved = self._reserved.pop(record.cell, None) if self._reserved else None
        cost = record.cost
        if cost is None:
            # Failed runs are not billed (runflow-api.md, section 11); others without a cost are.
            if record.status_code != State.FAILED:
                facts.count_unpriced(history.alias, 1, reserved)
                self._remember_unpriced(record, history, reserved)
            return
        self.spent[history.alias] += cost
        if cost and history.state not in GOOD:
            self._cost_more(record.cell, cost)
        facts.add_cost(cost)

    def _remember_unpriced(
        self, record: Finished, history: History, reserved: Decimal | None
    ) -> None:
        unpriced = self.late_costs.unpriced
        if len(unpriced) >= MOST_UNPRICED:
            del unpriced[next(iter(unpriced))]
        unpriced[record.run_id] = UnpricedRun(
            record.cell, record.attempt, history.client_ref, history.alias, record.at, reserved
        )

    def _priced(self, record: Priced, line: int) -> None:
        history = self.histories.fold(record, line)
        facts = self.models.get(history.model) or self.facts(history.model)
        if (run := self.late_costs.unpriced.pop(record.run_id, None)) is not None:
            facts.count_unpriced(run.alias, -1, run.reserved)
        more = record.cost - self.late_costs.came.get(record.run_id, Decimal(0))
        self.late_costs.came[record.run_id] = record.cost
        self.spent[history.alias] += more
        if more:
            self._cost_more(record.cell, more)
        facts.add_cost(more)

    def _extra(self, record: Extra, line: int) -> None:
        history = self.histories.fold(record, line)
        # The line may come again, with a cost that was not known before: it is one run.
        known = self.extra_runs.get(record.run_id) or 0
        self.spent[history.alias] += (record.cost or 0) - known
        if record.cost is not None:
            self._cost_more(record.cell, record.cost - known)
        self.extra_runs[record.run_id] = record.cost
        owed = self.unpriced_duplicates.pop(record.run_id, None) is not None
        if record.cost is None:
            self.unpriced_duplicates[record.run_id] = record
        change = (record.cost is None) - owed
        facts = self.models.get(history.model) or self.facts(history.model)
        facts.count_unpriced(history.alias, change, None)

    def _saved(self, record: Saved, line: int) -> None:
        self.histories.fold(record, line)
        if record.owed:
            self.files.partly[record.cell] = line
        elif self.files.partly:
            self.files.partly.pop(record.cell, None)
        if (absent := self.files.absent.get(record.cell)) is not None:
            for place in record.by_place.keys() - set(record.owed):
                absent.pop(place, None)  # it was at its host after all
            if not (absent and record.owed):
                del self.files.absent[record.cell]

    def _absent(self, record: Absent, line: int) -> None:
        self.histories.fold(record, line)
        self.files.absent.setdefault(record.cell, {}).setdefault(record.place, line)

    def _lost(self, record: Lost, line: int) -> None:
        self.histories.fold(record, line)
        self.files.lost.setdefault(record.cell, {})[record.place] = line

    def _cost_more(self, cell: str, cost: Decimal) -> None:
        self.other_costs[cell] = self.other_costs.get(cell, Decimal(0)) + cost

    def _reused(self, record: Reused, line: int) -> None:
        self.histories.fold(record, line)
        self.reused.add(record.sweep)

    def _cell_line(self, record: CellLine, line: int) -> None:
        self.histories.fold(record, line)

    adds: ClassVar[Mapping[type[AnyRecord], Callable[..., None]]] = by_kind(
        {
            Sweep: _sweep,
            Uploaded: _uploaded,
            Looked: _looked,
            Throttled: _throttled,
            Learnt: _learnt,
            Marks: _marks,
            Intent: _intent,
            Submitted: _submitted,
            Rejected: _rejected,
            Dropped: _no_run,
            Finished: _finished,
            Extra: _extra,
            Priced: _priced,
            Parked: _cell_line,
            Saved: _saved,
            Absent: _absent,
            Lost: _lost,
            Reused: _reused,
        }
    )
    """The addition that each kind of line makes: `add`, for callers that ask a million times."""


def _joined(known: Learnt, record: Learnt) -> Learnt:
    """Return what was *known*, with what a later *record* says in its place."""
    news = {name: value for name, value in asdict(record).items() if value is not None}
    return replace(known, **news)
