"""Sweeps of the same name and label that were begun elsewhere: on another machine, or in a folder
that is gone.

    find        asks the service: the marker by the list's filter, else the newest runs
    of_cells    which of them have a cell that a manifest names
    OtherSweeps refuses a call that would pay for such cells again (rules 1 to 8 of the contract)

**A folder without a ledger is no proof that nothing was sent.** A runner of a CI begins with an
empty disk, a container forgets its own. So a call whose ledger knows no run asks before its first
POST. Two machines that begin at the same time both find nothing: so each asks again once its first
run is there, and `settle` after it took the lock, and the one that began later stops.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import anyio
import anyio.lowlevel
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import listed, number_of, usd
from batchrun.engine.context import Context
from batchrun.engine.recent_runs import BEGINNING, MOST_PAGES, recent_runs
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.run_tag import SweepTag, same_name, sweep_tag
from batchrun.errors import BegunElsewhereError
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.client import Client
from batchrun.runflow.pagination import RunList
from batchrun.runflow.wire import Page, Run
from batchrun.sweep.references import marker, reference

MOST_ASKED: Final = 20
"""Runs under the marker that don't show their sweep and are asked for by id."""

WAVES: Final = 20
"""Waves of another sweep that are asked for."""

GAP: Final = 3
"""Waves without runs in a row after which no further one is expected: refused ones have none."""

UNREAD: Final = (
    "the service's list has elements that are no runs: runs of this sweep, from another folder, "
    "may be among them"
)

YIELD_EVERY: Final = 500
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


def _read_back_to(moment: datetime) -> str:
    """Return what is said of a list that was not read to its end."""
    return (
        "the service's list can't be filtered, and was read back to "
        f"{moment:%Y-%m-%d %H:%M} UTC: runs of this sweep that are older, from another folder, "
        "would not be seen"
    )


class OtherSweep(Struct, frozen=True, kw_only=True):
    """A sweep as its runs show it, of which more may exist.

    *cells* are keys, *after* the ids of sweeps that it has set aside. *whole* is whether all of its
    cells are known.
    """

    id: str
    runs: tuple[Run, ...]
    cells: frozenset[str]
    after: frozenset[str]
    whole: bool = False

    @property
    def first(self) -> tuple[datetime, str]:
        """The creation and the id of its first run: of two sweeps the earlier one goes on."""
        return min((run.created_at or _LATEST, run.id) for run in self.runs)

    @property
    def since(self) -> datetime | None:
        """The creation of its first run, as far as it is known."""
        return None if self.first[0] == _LATEST else self.first[0]

    @property
    def cost(self) -> Decimal:
        return sum((run.cost for run in self.runs if run.cost is not None), Decimal(0))


class Elsewhere(Struct, frozen=True, kw_only=True):
    """The answer of a look-up.

    *unclear* are runs under the marker that don't show their sweep. *back_to* is how far back the
    list was seen where it was walked, and not *to_the_end*. *unread*: the walk met elements that
    are no runs. *by_filter*: the list's filter has shown them.
    """

    sweeps: tuple[OtherSweep, ...] = ()
    unclear: tuple[Run, ...] = ()
    back_to: datetime | None = None
    unread: bool = False
    to_the_end: bool = False
    by_filter: bool = False

    @property
    def unseen(self) -> str:
        """Why there may be more than was seen; "" where there is no reason to think so."""
        if self.back_to is not None:
            return _read_back_to(self.back_to)
        return UNREAD if self.unread else ""

    def but(self, ids: Collection[str]) -> "Elsewhere":
        """Return the same without the sweeps *ids*."""
        kept = tuple(each for each in self.sweeps if each.id not in ids)
        return replace(self, sweeps=kept)


RunsOf = Callable[[str], Awaitable[RunList | None]]
"""The look-up by the list's filter; None where it is refused."""


async def find(
    client: Client,
    name: str,
    label: str | None,
    *,
    newest: Page | None = None,
    runs_of: RunsOf | None = None,
) -> Elsewhere:
    """Return the sweeps of that name and label, as far as the service shows them.

    *newest* is the newest page of all runs, where it is known; *runs_of* is in place of the
    client's, where its answers are remembered. An empty answer of the
    filter counts if the same filter has shown a run of another reference and nothing else (rule
    3); else the list of all runs is walked, over 40 pages at most.
    """
    ref = marker(name, label)
    seen: dict[str, Run] = {}
    oldest: list[datetime] = []

    def note(run: Run) -> bool:
        if _belongs(run, ref, name, label):
            seen[run.id] = run
        if run.created_at is not None:
            oldest[:] = [min([run.created_at, *oldest])]
        return False

    newest = newest or await client.newest_page()
    runs = () if newest is None else newest.runs
    for run in runs:
        note(run)
    listed = await (runs_of or client.runs_of)(ref)
    seen |= {run.id: run for run in listed or ()}
    whole = newest is not None and newest.next is None and not newest.unread
    filtered = listed is not None and listed.whole
    back_to, unread = None, False
    if not (listed or whole or (filtered and await _proven(client, runs, ref))):
        asked = anyio.current_time()
        walked = await recent_runs(client, BEGINNING, asked, wanted=note, most_pages=MOST_PAGES)
        back_to = None if walked is not None else min([*oldest, client.server_now()])
        whole = walked is not None and walked.whole
        unread = walked is not None and not walked.whole
    return replace(
        await _by_sweep(client, seen.values()),
        back_to=back_to,
        unread=unread,
        to_the_end=whole,
        by_filter=filtered and bool(listed),
    )


async def _proven(client: Client, runs: Iterable[Run], ref: str) -> bool:
    """Say whether the filter shows just the runs of a reference that *runs* have.

    A list that leaves references out can't prove it.
    """
    for run in runs:
        if run.client_ref not in {None, ref} and "'" not in (run.client_ref or ""):
            page = await client.filtered_page(run.client_ref or "")
            shown = set() if page is None else {each.client_ref for each in page.runs}
            return page is not None and not page.unread and shown == {run.client_ref}
    return False


async def _by_sweep(client: Client, runs: Iterable[Run]) -> Elsewhere:
    """Sort *runs* by their sweep; those that don't show it are asked for by id."""
    by_sweep: defaultdict[str, list[tuple[SweepTag, Run]]] = defaultdict(list)
    unclear: list[Run] = []
    asked = 0
    for run in runs:
        tag = sweep_tag(run)
        if tag is None and asked < MOST_ASKED:
            asked += 1
            whole = await client.shown_run(run.id)
            tag = None if whole is None else sweep_tag(whole)
        if tag is None:
            unclear.append(run)
        else:
            by_sweep[tag.sweep].append((tag, run))
    return Elsewhere(
        sweeps=tuple(_sweep(id_, tagged) for id_, tagged in by_sweep.items()),
        unclear=tuple(unclear),
    )


def _sweep(id_: str, tagged: Sequence[tuple[SweepTag, Run]]) -> OtherSweep:
    return OtherSweep(
        id=id_,
        runs=tuple(run for _, run in tagged),
        cells=frozenset(tag.cell for tag, _ in tagged if tag.cell is not None),
        after=frozenset(each for tag, _ in tagged for each in tag.after),
    )


def _belongs(run: Run, ref: str, name: str, label: str | None) -> bool:
    """Say whether a run is of a sweep of that name and label: by its reference, or by its tag."""
    tag = sweep_tag(run)
    if tag is None:
        return run.client_ref == ref
    return same_name(tag, name, label)


async def of_cells(sweeps: Iterable[OtherSweep], manifest: Manifest) -> list[OtherSweep]:
    """Return those of *sweeps* that have a cell which *manifest* names.

    A sweep whose cells aren't all known counts as one of them: it can't be decided.
    """
    left = list(sweeps)
    found: list[OtherSweep] = []
    for number, cell in enumerate(expand(manifest) if left else ()):
        if number % YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()
        if any(cell.key in each.cells for each in left):
            found += [each for each in left if cell.key in each.cells]
            left = [each for each in left if cell.key not in each.cells]
            if not left:
                break
    return [*found, *(each for each in left if not each.whole)]


async def all_counted(client: Client, seen: Elsewhere) -> list[OtherSweep]:
    """Return the sweeps of a look-up, each with the runs of its first waves."""
    return [await counted(client, each, seen) for each in seen.sweeps]


async def counted(client: Client, sweep: OtherSweep, seen: Elsewhere) -> OtherSweep:
    """Return *sweep* with the runs of its first waves, as far as the filter shows them.

    *seen* is the look-up that found it.
    """
    runs = {run.id: run for run in sweep.runs}
    whole, read, empty = seen.to_the_end, True, 0
    for number in range(1, WAVES + 1):
        more = await client.runs_of(reference(sweep.id, number))
        if more is None:
            break
        read = read and more.whole
        runs |= {run.id: run for run in more}
        empty = 0 if more else empty + 1
        if empty == GAP:
            whole = whole or (seen.by_filter and read)
            break
    cells = [_cells(run) for run in runs.values()]
    return OtherSweep(
        id=sweep.id,
        runs=tuple(runs.values()),
        cells=sweep.cells.union(*cells),
        after=sweep.after,
        whole=whole and all(cells),
    )


def _cells(run: Run) -> frozenset[str]:
    """Return the cells that the tag of a run names: its own, or those of its batch."""
    match run.metadata.get("batchrun"):
        case {"cell": str(cell)}:
            return frozenset({cell})
        case {"cells": [*cells]}:
            return frozenset(pair[0] for pair in cells if isinstance(pair, list) and pair)
        case _:
            return frozenset()


def described(sweep: OtherSweep) -> str:
    """Return what is known of a sweep, as a message has it."""
    began = "" if sweep.since is None else f" since {sweep.since:%Y-%m-%d %H:%M} UTC"
    return (
        f"sweep {sweep.id} has at least {number_of(len(sweep.runs), 'run')}{began}, "
        f"which cost at least {usd(sweep.cost)} USD"
    )


def refusal(
    sweeps: Sequence[OtherSweep], unclear: Sequence[Run], *, anew: bool = True
) -> BegunElsewhereError:
    """Return the error that names what there is, and the ways on.

    *anew*: the sweep here has no run, so it may be begun anew in the place of the others.
    """
    said = [described(each) for each in sweeps]
    if unclear:
        said.append(f"{number_of(len(unclear), 'run')} under its marker may be of any sweep")
    where = "this sweep was begun elsewhere, and the ledger here knows nothing of it: "
    return BegunElsewhereError(
        where + listed(said, by="; "), sweeps=[each.id for each in sweeps if anew]
    )


class OtherSweeps:
    """Looks for them in the course of one call, and refuses it, or stops it."""

    def __init__(self, context: Context, ref_filter: RefFilter) -> None:
        self._context = context
        self._ref_filter = ref_filter
        self._client = context.client
        self._progress = context.progress
        self._book = context.ledger.book
        self._line = context.folder.line
        self._ours = {context.sweep, *self._line.after, *self._book.reused}
        self._named: set[str] = set()

    async def check(self, newest: Page | None) -> None:
        """Return if nothing of this sweep is known elsewhere; else raise BegunElsewhereError.

        *newest* is the newest page of all runs.
        """
        line = self._line
        found = await find(
            self._client,
            line.name,
            line.label,
            newest=newest,
            runs_of=self._ref_filter.runs_of,
        )
        elsewhere = found.but(self._ours)
        if elsewhere.unseen:
            self._progress.note(elsewhere.unseen)
        others = await all_counted(self._client, elsewhere)
        common = await of_cells(others, self._context.manifest)
        ours = [each.first for each in found.sweeps if each.id == self._context.sweep]
        # Where this sweep has a run, the later of two that were begun at once has to stop.
        earlier = [each for each in common if not ours or each.first < min(ours)]
        if earlier or (elsewhere.unclear and not self._has_doubt()):
            raise refusal(earlier, elsewhere.unclear, anew=not ours)
        self._tell(each for each in others if each not in common)

    def _has_doubt(self) -> bool:
        """Say whether a run under the marker may be of an intent of this ledger."""
        return any(history.run_id is None for _, history in self._book.open_cells())

    async def check_again(self, runs: Iterable[Run] | None) -> None:
        """Compare with *runs* as a list shows them now, None where no filter shows them.

        Raises BegunElsewhereError if a sweep with a cell in common began before this one.
        """
        line = self._line
        if runs is None:
            elsewhere = await find(
                self._client, line.name, line.label, runs_of=self._ref_filter.runs_of
            )
        else:
            ref = marker(line.name, line.label)
            shown = [run for run in runs if _belongs(run, ref, line.name, line.label)]
            elsewhere = replace(await _by_sweep(self._client, shown), by_filter=True)
        ours = [each.first for each in elsewhere.sweeps if each.id == self._context.sweep]
        others = await all_counted(self._client, elsewhere.but(self._ours))
        common = await of_cells(others, self._context.manifest)
        if earlier := [each for each in common if not ours or each.first < min(ours)]:
            raise refusal(earlier, (), anew=not ours)
        for each in common:
            if each.id not in self._named:
                self._named.add(each.id)
                self._progress.note(
                    f"{described(each)}: it began later than this one, and has to stop"
                )
        self._tell(each for each in others if each not in common)

    def _tell(self, others: Iterable[OtherSweep]) -> None:
        for each in others:
            if each.id not in self._named:
                self._named.add(each.id)
                self._progress.note(
                    f"another sweep of this name and label has no cell in common: {described(each)}"
                )


def not_set_aside(sweeps: Iterable[OtherSweep]) -> Iterator[OtherSweep]:
    """Yield the sweeps that no other of them has set aside."""
    every = list(sweeps)
    aside = {each for sweep in every for each in sweep.after}
    return (sweep for sweep in every if sweep.id not in aside)
