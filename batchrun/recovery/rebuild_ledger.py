"""Rebuilds a ledger from what the service knows of its sweep.

Every run carries its wave's reference and what it was made for, so the waves are asked for one
after the other. A filter that doesn't show what the newest page of the unfiltered list shows isn't
believed. The whole list is walked in any case: a filter may show much, and leave out a wave. What
has not been seen by the end would be paid for again, so where neither way is complete, nothing is
rebuilt.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Final

import anyio
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import number_of
from batchrun.engine.batch_items import BatchItems
from batchrun.engine.names import Names
from batchrun.engine.recent_runs import BEGINNING, newest_runs, recent_runs
from batchrun.engine.run_tag import Redone, is_ours, sweep_tag, tag_of
from batchrun.errors import ManifestError, UnreachableError
from batchrun.ledger.file import Ledger, Rebuilding
from batchrun.ledger.history import State
from batchrun.ledger.records import CellLine, Extra, Intent, Mark, Marks, Submitted
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand, points
from batchrun.manifest.manifest import Manifest
from batchrun.recovery.missing_records import (
    CellDescription,
    FoundRun,
    mark_of,
    missing_records,
)
from batchrun.runflow.client import Client
from batchrun.runflow.wire import Run
from batchrun.sweep.references import reference, sweep_of, wave_number

GAP: Final = 50
"""Waves without runs in a row after which no further one is looked for: a wave of refused inputs
has none, nor has one whose process was killed before its first request."""

NO_FILTER: Final = "the list's filter can't be relied on; "

ALL_PAGES: Final = 2000

Say = Callable[[str], None]


class Recovered(Struct, frozen=True, kw_only=True):
    """The runs that were found, and the lines that the ledger lacked."""

    runs: int
    new: int
    duplicates: int


class RunFinder:
    """Finds the runs of one sweep; *first* is the reference of its first runs, its marker."""

    def __init__(self, client: Client, sweep: str, first: str, say: Say) -> None:
        self._client = client
        self._sweep = sweep
        self._first = first
        self._say = say
        self._batch_items = BatchItems(client, sweep)

    async def find(self, last: int) -> list[FoundRun]:
        """Return all runs of the sweep, of which wave *last* is known.

        Raises UnreachableError where the service's lists don't show all.
        """
        newest = await newest_runs(self._client, self._sweep)
        last = max([last, *(wave_number(run.client_ref or "") for run in newest)])
        runs, whole = await self._by_waves(last)
        believed = whole and runs and not {run.id for run in newest} - runs.keys()
        self._say(f"{'' if believed else NO_FILTER}walking the list of all runs")
        walked, all_of_them = await self._by_walking()
        if not (all_of_them or believed):
            raise UnreachableError(
                "the service's list of runs can neither be filtered nor walked to its end, or has "
                "elements that are no runs, so the ledger can't be rebuilt from it; nothing was "
                f"changed{_refused(self._client)}"
            )
        runs |= walked  # a filter may show much, and leave out a wave
        return [await self._tagged(run) for run in runs.values()]

    async def _by_waves(self, last: int) -> tuple[dict[str, Run], bool]:
        """Return the sweep's runs as the filter shows them, and whether all lists were whole."""
        first = await self._client.runs_of(self._first)
        found = await self._whole(first or ())
        whole = first is None or first.whole
        number, end = 0, last + GAP
        while number < end:
            number += 1
            runs = await self._client.runs_of(reference(self._sweep, number))
            if runs is None:
                return {}, False
            whole = whole and runs.whole
            if runs:
                end = max(end, number + GAP)
                self._say(f"wave {number}: {number_of(len(runs), 'run')}")
            found |= {run.id: run for run in runs}
        return found, whole

    async def _by_walking(self) -> tuple[dict[str, Run], bool]:
        """Return the sweep's runs from the list of all, and whether these are all of them."""
        silent: list[Run] = []
        first: list[Run] = []

        def wanted(run: Run) -> bool:
            if run.client_ref == self._first and sweep_tag(run) is None:
                first.append(run)
            if run.client_ref is None and "batchrun" not in run.metadata and not silent:
                silent.append(run)
            return is_ours(run, self._sweep)

        seen = await recent_runs(
            self._client,
            BEGINNING,
            anyio.current_time(),
            most_pages=ALL_PAGES,
            wanted=wanted,
        )
        for run in silent:
            whole = await self._client.get_run(run.id)
            if whole is not None and (whole.client_ref or "batchrun" in whole.metadata):
                return {}, False  # it leaves out what runs show: ours may be among the others
        if seen is None:
            return {}, False
        return {run.id: run for run in seen.runs} | await self._whole(first), seen.whole

    async def _whole(self, first: Iterable[Run]) -> dict[str, Run]:
        """Return those of the runs under the marker that are of this sweep; it is in their tags."""
        found: dict[str, Run] = {}
        for listed in first:
            run: Run | None = listed
            if sweep_tag(listed) is None:
                run = await self._client.get_run(listed.id)
            if run is not None and is_ours(run, self._sweep):
                found[run.id] = run
        return found

    async def _tagged(self, run: Run) -> FoundRun:
        (run,) = await self._batch_items.with_tags([run])
        tag = tag_of(run, self._sweep)
        if tag is None or run.client_ref is None:  # a list may leave these out
            (run,) = await self._batch_items.with_tags([await self._client.get_run(run.id) or run])
            tag = tag_of(run, self._sweep)
        if tag is None:
            raise UnreachableError(
                f"run {run.id} of this sweep doesn't show what it was made for; the ledger can't "
                "be rebuilt without it, nothing was changed"
            )
        return FoundRun(tag, run)


def _refused(client: Client) -> str:
    """Return how the service refused its lists, to be put behind what is wrong; "" if it didn't."""
    why = client.profile.refuses_lists
    return f" (it was refused: {why})" if why else ""


async def find_sweeps(client: Client, name: str, label: str | None) -> Mapping[str, int]:
    """Return the ids of the sweeps of that name and label, and how many runs each has.

    For a run that shows only its batch, the batch is asked. Raises UnreachableError
    where the service's list can't be walked to its end.
    """
    counts: Counter[str] = Counter()
    silent: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by sweep: runs of each batch

    def count(run: Run) -> bool:
        tag = run.metadata.get("batchrun")
        if isinstance(tag, Mapping):
            counts[str(tag.get("sweep"))] += (tag.get("name"), tag.get("label")) == (name, label)
        elif run.batch_id is not None and (sweep := sweep_of(run.client_ref or "")) is not None:
            silent[sweep][run.batch_id] += 1
        return False

    asked = anyio.current_time()
    seen = await recent_runs(client, BEGINNING, asked, most_pages=ALL_PAGES, wanted=count)
    if seen is None or not seen.whole:
        raise UnreachableError(
            "the service's list of runs can't be walked to its end, or has elements that are no "
            f"runs{_refused(client)}"
        )
    for sweep, batches in silent.items():
        if counts[sweep] or await _is_of(client, batches, name, label):
            counts[sweep] += batches.total()
    return +counts


async def _is_of(client: Client, batches: Iterable[str], name: str, label: str | None) -> bool:
    """Say whether the first of a sweep's *batches* with a tag has that name and label."""
    for batch_id in batches:
        batch = await client.get_batch(batch_id)
        tag = None if batch is None else batch.metadata.get("batchrun")
        if isinstance(tag, Mapping):
            return (tag.get("name"), tag.get("label")) == (name, label)
    return False


async def write_down(
    found: Collection[FoundRun], rebuilding: Rebuilding, about: Mapping[str, CellDescription]
) -> Recovered:
    """Append to the new ledger what it doesn't know of the runs *found*."""
    ledger = rebuilding.ledger
    by_cell: defaultdict[str, list[FoundRun]] = defaultdict(list)
    for each in found:
        by_cell[each.tag.cell].append(each)
    lines: list[CellLine] = []
    marks = [mark for cell in by_cell if (mark := _lost_mark(ledger, cell, about)) is not None]
    if marks:
        await ledger.append(Marks(marks=tuple(marks)))
    for cell, runs in by_cell.items():
        history = ledger.book.history(cell)
        unknown = CellDescription(model="", alias="", name=cell[:12])
        lines += missing_records(
            cell,
            history,
            _key_in_doubt(ledger, cell),
            runs,
            known=rebuilding.runs,
            about=about.get(cell, unknown),
        )
    if lines:
        await ledger.append(*lines)
    return Recovered(
        runs=len(found),
        new=sum(isinstance(line, Submitted | Extra) for line in lines),
        duplicates=sum(isinstance(line, Extra) for line in lines),
    )


def _lost_mark(ledger: Ledger, cell: str, about: Mapping[str, CellDescription]) -> Mark | None:
    """Return the mark that made *cell*, where the ledger lacks it."""
    return None if cell in ledger.book.marks or cell not in about else mark_of(cell, about[cell])


async def describe(
    manifest: Manifest, found: Collection[FoundRun], ledger: Ledger
) -> dict[str, CellDescription]:
    """Return what the grid knows of the cells that have runs; some it may not name any more.

    The files that are there are of these cells: they take no name away. A cell that was made again
    is known by its replicate, whose number is in the tag of its run.
    """
    names = Names(manifest, ledger)
    await names.load(others=False)
    redone: dict[str, set[Redone]] = {}
    for each in found:
        redone.setdefault(each.tag.cell, set()).update(each.tag.redo)
    about: dict[str, CellDescription] = {}
    known = replace(manifest, redone=ledger.book.redone)
    for cell in chain(expand(known), _made_again(manifest, redone)):
        if cell.key in redone and cell.key not in about:
            name = names.of(cell, ledger.book.history(cell.key))
            about[cell.key] = CellDescription(
                model=cell.model,
                alias=cell.alias,
                name=name,
                first=cell.redo_of,
                replicate=cell.replicate,
            )
            if len(about) == len(redone):
                break
    return about


def _made_again(manifest: Manifest, redone: Mapping[str, Collection[Redone]]) -> Iterator[Cell]:
    """Yield the cells among *redone* that marks made; their tags say which replicates they are.

    A cell whose tag says nothing was named by the manifest, and is none that a mark made.
    """
    wanted = set().union(*redone.values())
    numbers: dict[str, set[int]] = {}
    for each in wanted:
        numbers.setdefault(each.first, set()).add(each.number)
    of_any = numbers.get("", set())
    for point in points(manifest) if wanted else ():
        first = point.first.key
        for number in sorted(numbers.get(first, set()) | of_any):
            with suppress(ManifestError):  # a value that only other points have
                cell = point.beyond(number)
                said = () if cell is None else redone.get(cell.key, ())
                if cell is not None and {Redone(number, first), Redone(number)} & {*said}:
                    yield cell


def _key_in_doubt(ledger: Ledger, cell: str) -> str | None:
    history = ledger.book.history(cell)
    if history.state is not State.DOUBTFUL:
        return None
    intent = ledger.read(history.intent_line)
    assert isinstance(intent, Intent)
    return intent.idempotency_key
