"""The parts of a day's budget that other labels have: by the day's file, or by their ledgers.

A call that goes on writes its part into the file before it sends. Of one that keeps no budget by
day, or has gone, the ledger says more: what it had drawn and never sent is free again, and what may
be running stays counted until that label's next call settles it (rule 33 of the contract).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from batchrun.ledger.day_sums import NOT_GIVEN, DaySums, Given, Held, Other, total
from batchrun.ledger.lock import call_of, is_held
from batchrun.ledger.scan import day_sums
from batchrun.sweep.location import LEDGER, name_folder


class Others:
    """The other labels of one name on one day; *own* is the folder of this one.

    It remembers the sums of ledgers that haven't grown since. *given* is what a run of an alias
    costs at most: labels of one name have one manifest.
    """

    def __init__(self, own: Path, day: str, given: Given = NOT_GIVEN) -> None:
        self._own = own
        self._given = given
        self._day = day
        self._found: set[Path] = set()
        self._sums: dict[Path, tuple[int, DaySums]] = {}

    def find(self, since: float) -> None:
        """Find the labels whose ledgers have changed *since*, in seconds of our clock since 1970.

        A call that keeps no budget for the day is not in the file, and its runs count.
        """
        self._found = {
            folder
            for folder in _labels(name_folder(self._own))
            if folder != self._own and _changed(folder / LEDGER) >= since
        }

    def parts(self, held: Mapping[str, Held]) -> tuple[Other, ...]:
        """Return the parts of all others; *held* are the newest lines of the file, by owner."""
        name = name_folder(self._own)
        lines = {name / owner if owner else name: line for owner, line in held.items()}
        folders = sorted({*lines, *self._found} - {self._own})
        return tuple(self._part(folder, lines.get(folder)) for folder in folders)

    def _part(self, folder: Path, line: Held | None) -> Other:
        alive = is_held(folder)
        says = line is not None and alive and line.call == call_of(folder)
        if line is not None and (says or self._is_all(folder, line)):
            return Other(folder, line.spent, line.reserved, alive, alive and line.waits)
        sums = self._sums_of(folder)
        if sums is not None:
            spent, still = (
                sums.spent(self._day),
                (sums.unpriced(self._day, self._given), sums.may_cost(self._day)),
            )
            return Other(folder, spent, total(still), alive)
        if line is not None:
            return Other(folder, line.spent, line.reserved, alive)
        return Other(folder, Decimal(0), None, alive)

    def _is_all(self, folder: Path, line: Held) -> bool:
        """Say whether a call that has gone has settled all, and written nothing since."""
        return not line.reserved and line.reserved is not None and _size(folder) == line.through

    def _sums_of(self, folder: Path) -> DaySums | None:
        """Return the sums of a ledger, None where it can't be read."""
        size = _size(folder)
        known = self._sums.get(folder)
        if known is None or known[0] != size:
            try:
                known = size, day_sums(folder / LEDGER)
            except (OSError, ValueError):
                return None
            self._sums[folder] = known
        return known[1]


def owner_of(folder: Path) -> str:
    """Return the name by which the day's file knows the sweep in *folder*."""
    return folder.name if folder.name.startswith("@") else ""


def _labels(name: Path) -> Iterator[Path]:
    yield name
    yield from name.glob("@*")


def _changed(ledger: Path) -> float:
    try:
        return ledger.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    try:
        return (folder / LEDGER).stat().st_size
    except OSError:
        return -1
