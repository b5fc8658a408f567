"""The outcome of a call, as it is printed: the table and the failures, or one JSON object."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.said import log_end
from batchrun.results.failures import Failure, as_dicts, failures, which_cells
from batchrun.results.summary import Summary
from batchrun.results.tally import Count, Tally
from batchrun.results.terminal_table import table


class Totals(Struct, frozen=True, kw_only=True):
    """The sums over the cells of the manifest, and why some of them ended badly.

    *selected* counts the cells that the call was about. *orphans_cost* is what cells have cost that
    the manifest no longer names, in USD; None where it wasn't added up.
    """

    counted: Count
    selected: Tally
    failures: Sequence[Failure]
    orphans_cost: Decimal | None = None

    @property
    def cells(self) -> dict[str, int]:
        """How many cells each model has, by its alias."""
        return {row.alias: row.tally.cells for row in self.counted.models}

    def without_cells(self) -> "Totals":
        """Return the numbers alone, as they can be kept."""
        return replace(self, counted=replace(self.counted, folded=()))

    def as_dicts(self) -> tuple[Mapping[str, Any], ...]:
        """Return the failures for JSON."""
        return as_dicts(self.failures, self.cells)


def print_outcome(summary: Summary, totals: Totals | None, *, as_json: bool, quiet: bool) -> None:
    """Print the result on stdout; *totals* is None where nothing was counted.

    With *quiet* a success is silent, but for the JSON object. A stderr that is no terminal gets the
    end of the call, too, with its time.
    """
    if as_json:
        print(summary.as_json())
    elif not (quiet and not summary.exit_code):
        print("\n".join(_lines(summary, totals)))
    sys.stdout.flush()
    if not (quiet and not summary.exit_code):
        log_end(summary.exit_code, summary.next, sys.stderr)


def _lines(summary: Summary, totals: Totals | None) -> Sequence[str]:
    if totals is None:
        return [summary.next]
    columns = shutil.get_terminal_size().columns
    shown = table(summary, totals.counted.models, columns, orphans_cost=totals.orphans_cost)
    failed = []
    if totals.failures:
        failed = [
            failures(totals.failures, totals.cells),
            which_cells(totals.failures, summary.outputs),
        ]
    return [shown, *([""] if failed else []), *failed, "", summary.next]
