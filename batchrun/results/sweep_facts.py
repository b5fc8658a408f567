"""How a sweep stands, in little time: by its `sweep.json`, its index, and its own manifest.

The index is asked first. A ledger is folded only where the index is missing or behind, and no
longer than there is time; then how the sweep stands is not known, and the next look goes on.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR
from batchrun.base.json_text import decoded
from batchrun.base.regular_file import open_regular
from batchrun.base.text import money
from batchrun.errors import BatchrunError
from batchrun.ledger.beginning import sweep_at_beginning
from batchrun.ledger.history import GOOD, History, Standing, standing
from batchrun.ledger.index import open_index
from batchrun.ledger.lock import holder_of
from batchrun.ledger.reader import open_reader
from batchrun.ledger.scan import redone_in
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.starts import Start, has_its_files, newest_start
from batchrun.results.sweep_folders import bytes_below
from batchrun.sweep.identity import Identity, read_identity
from batchrun.sweep.location import INDEX, LEDGER

SMALL: Final = 1 << 20
"""Bytes of a ledger without an index that is folded in memory."""

MOST_READ: Final = 64 << 20
"""Bytes of a ledger that is read for the cells that `redo` made: a tenth of a second."""

MOST_CELLS: Final = 100_000
"""Cells of a grid up to which it is walked, for what the ledger has no line of."""

MOST_FILES: Final = 200_000
"""Files whose sizes are looked at, of all sweeps together."""

PATIENCE: Final = 0.2
TAIL: Final = 1 << 16
KEPT: Final = "nothing to do"  # as the call with nothing to do keeps it

_AT: Final = re.compile(rb'"at":"([^"]*)"')


class SweepFacts(Struct, frozen=True, kw_only=True):
    """One sweep. *last* is the time of the ledger's last line (UTC), *files* bytes on disk.

    *state* is `complete`, `unfinished`, `running`, `broken` or `unknown`; *counts* are its cells by
    how they stand, as far as they aren't none. *problem* says why it is broken or not known.
    """

    folder: Path
    state: str
    name: str | None = None
    label: str | None = None
    endpoint: str | None = None
    last: str | None = None
    cells: int | None = None
    counts: Mapping[str, int] = {}
    cost: Decimal | None = None
    files: int | None = None
    holder: str | None = None
    problem: str | None = None

    @property
    def simulated(self) -> bool:
        """Whether nothing real was made."""
        return self.endpoint == SIMULATOR

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; a sum of money is text."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {
            **found,
            "folder": str(self.folder),
            "counts": dict(self.counts),
            "cost": None if self.cost is None else money(self.cost),
            "simulated": self.simulated,
        }


class _Summary(Struct):
    """The part of a kept report that says how a sweep stands."""

    cells: int
    cost: Decimal
    complete: bool
    succeeded: int = 0
    partial_succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    lost: int = 0


class _Kept(Struct):
    summary: _Summary


class SweepReader:
    """Reads sweeps one after another; labels of one manifest share the walk of its grid.

    *late* says when there is no more time to fold ledgers and to walk grids.
    """

    def __init__(self, late: Callable[[], bool]) -> None:
        self._late = late
        self._grids: dict[tuple[str, str], tuple[Manifest, frozenset[str] | None] | None] = {}
        self._files = MOST_FILES

    def read(self, folder: Path) -> SweepFacts:
        """Return what is known of the sweep in *folder*; whatever is wrong with it is said."""
        facts = SweepFacts(folder=folder, state="broken")
        try:
            identity = read_identity(folder)
            if identity is not None:
                facts = replace(facts, **_names(identity))
            return self._of_ledger(facts, identity)
        except BatchrunError as error:
            return replace(facts, problem=str(error).splitlines()[0])
        except FileNotFoundError:
            return replace(facts, problem="the ledger is lost: `batchrun recover` rebuilds it")
        except OSError as error:
            return replace(facts, problem=error.strerror or str(error))

    def _of_ledger(self, facts: SweepFacts, identity: Identity | None) -> SweepFacts:
        with open_regular(facts.folder / LEDGER) as ledger:
            fd = ledger.fileno()
            first = sweep_at_beginning(fd)
            if first is None:
                return replace(facts, problem="the ledger's first line is not that of a sweep")
            if identity is not None and identity.sweep != first.sweep:
                return replace(facts, problem=f"the ledger is of another sweep, {first.sweep}")
            if identity is None:
                names = {"name": first.name, "label": first.label, "endpoint": first.endpoint}
                facts = replace(facts, **names)
            holder = holder_of(facts.folder)
            facts = replace(facts, last=_last_at(fd), holder=holder, files=self._bytes(facts))
            facts = self._counted(facts, fd)
        return facts if holder is None else replace(facts, state="running")

    def _bytes(self, facts: SweepFacts) -> int | None:
        found, seen = bytes_below(facts.folder / "files", most=self._files)
        self._files -= seen
        return found

    def _counted(self, facts: SweepFacts, fd: int) -> SweepFacts:
        """Return *facts* with the counts of the cells, by the index if there is any need of one."""
        path = facts.folder / LEDGER
        if os.fstat(fd).st_size <= SMALL and not (facts.folder / INDEX).exists():
            with open_reader(path) as reader:
                book = reader.book
                facts = replace(facts, cost=book.cost)
                return self._judged(facts, book.histories.items(), book.redone)
        try:
            with open_index(facts.folder, patience=PATIENCE) as index:
                if (kept := index.kept(KEPT, fd)) is not None:
                    return _as_kept(facts, kept)
                if not index.catch_up(fd, until=self._late):
                    return replace(facts, state="unknown", problem="the ledger is long: look again")
                facts = replace(facts, cost=sum((cost for _, cost in index.costs()), Decimal(0)))
                made = redone_in(path) if os.fstat(fd).st_size <= MOST_READ else {}
                return self._judged(facts, index.histories(), made)
        except ValueError as error:
            return replace(facts, problem=f"the ledger is broken: {error}")

    def _judged(
        self,
        facts: SweepFacts,
        histories: Iterable[tuple[str, History]],
        redone: Mapping[str, Mapping[str, int]],
    ) -> SweepFacts:
        """Return *facts* with the counts of the manifest's cells, else with the ledger's."""
        start = newest_start(facts.folder)
        grid = None if start is None else self._grid(start)
        if grid is None or grid[1] is None:
            return _judged(facts, _counts(histories, None, attempts=1, download=True), whole=False)
        settings, keys = grid[0].settings(), grid[1].union(*redone.values())
        counts = _counts(histories, keys, attempts=settings.attempts, download=settings.download)
        return _judged(facts, counts, whole=True)

    def _grid(self, start: Start) -> tuple[Manifest, frozenset[str] | None] | None:
        """Return the manifest of a start, and its cells' keys where they are few."""
        name = start.path, start.manifest
        if name not in self._grids:
            if self._late():
                return None
            self._grids[name] = _walked(start)
        return self._grids[name]


def _names(identity: Identity) -> dict[str, str | None]:
    return {
        "name": identity.name,
        "label": identity.label,
        "endpoint": identity.endpoint,
    }


def _walked(start: Start) -> tuple[Manifest, frozenset[str] | None] | None:
    """Read the manifest of a start and walk its grid; None where that isn't what it was."""
    path = Path(start.path)
    try:
        text = start.manifest.encode("utf-8", "surrogateescape")
        manifest = read_manifest(text, path, os.environ, kept=True)
        if not has_its_files(start, manifest):
            return None
        if upper_bound(manifest) > MOST_CELLS:
            return manifest, None
        return manifest, frozenset(cell.key for cell in expand(manifest))
    except (BatchrunError, OSError):
        return None


def _counts(
    histories: Iterable[tuple[str, History]],
    keys: frozenset[str] | None,
    *,
    attempts: int,
    download: bool,
) -> Counter[str]:
    """Count the cells of *keys* by how they stand; those of the ledger where *keys* is None."""
    counts: Counter[str] = Counter()
    for key, history in histories:
        if keys is None or key in keys:
            counts["cells"] += 1
            counts[standing(history, attempts=attempts)] += 1
            counts["unsaved"] += download and history.state in GOOD and not history.saved
    if keys is not None:
        counts[Standing.PENDING] += len(keys) - counts["cells"]
        counts["cells"] = len(keys)
    return counts


_UNFINISHED: Final = (
    *(Standing.PENDING, Standing.IN_FLIGHT, Standing.PARKED, Standing.IN_DOUBT),
    "unsaved",
)


def _judged(facts: SweepFacts, counts: Counter[str], *, whole: bool) -> SweepFacts:
    """Return *facts* with the counts; *whole* if they are of all cells of the manifest."""
    unfinished = any(counts[name] for name in _UNFINISHED)
    state = "unfinished" if unfinished else "complete" if whole else "unknown"
    problem = None if state != "unknown" else "its manifest is gone, changed or large"
    cells = counts.pop("cells", 0)
    counted = {str(name): number for name, number in counts.items() if number}
    return replace(facts, state=state, cells=cells, counts=counted, problem=problem)


def _as_kept(facts: SweepFacts, kept: bytes) -> SweepFacts:
    summary = decoded(kept, _Kept).summary
    names = ("succeeded", "partial_succeeded", "failed", "rejected", "cancelled", "lost")
    counts = {name: number for name in names if (number := getattr(summary, name))}
    return replace(
        facts,
        state="complete" if summary.complete else "unfinished",
        cells=summary.cells,
        counts=counts,
        cost=summary.cost,
    )


def _last_at(fd: int) -> str | None:
    """Return the time of the last line."""
    size = os.fstat(fd).st_size
    for line in reversed(os.pread(fd, TAIL, max(0, size - TAIL)).splitlines()):
        if line.startswith(b'{"type":') and (match := _AT.search(line)) is not None:
            return match[1].decode("ascii", "replace")
    return None
