"""The outcome of a call, as it is printed: the table and the failures, or one JSON object."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from batchrun.results.failures import Failure, as_dicts, failures
from batchrun.results.summary import Summary
from batchrun.results.tally import Count, Tally
from batchrun.results.terminal_table import table


class Totals(Struct, frozen=True, kw_only=True):
    """The sums over the cells of the manifest, and why some of them ended badly.

    *selected* counts the cells that the call was about.
    """

    counted: Count
    selected: Tally
    failures: Sequence[Failure]

    @property
    def cells(self) -> dict[str, int]:
        """How many cells each model has, by its alias."""
        return {row.alias: row.tally.cells for row in self.counted.models}

    def as_dicts(self) -> tuple[Mapping[str, Any], ...]:
        """Return the failures for JSON."""
        return as_dicts(self.failures, self.cells)


def print_outcome(summary: Summary, totals: Totals | None, *, as_json: bool) -> None:
    """Print the result on stdout; *totals* is None where nothing was counted."""
    if as_json:
        print(summary.as_json())
        return
    if totals is not None:
        print(table(summary, totals.counted.models, shutil.get_terminal_size().columns))
        if totals.failures:
            print(f"\n{failures(totals.failures, totals.cells)}")
        print()
    print(summary.next)
