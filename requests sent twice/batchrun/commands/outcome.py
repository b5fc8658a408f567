"""The outcome of a call, as it is printed: the table and the failures, or one JSON object."""

import shutil
from collections.abc import Sequence

from msgspec import Struct

from batchrun.results.failures import Failure, failures
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


def print_outcome(summary: Summary, totals: Totals | None, *, as_json: bool) -> None:
    """Print the result on stdout; *totals* is None where nothing was counted."""
    if as_json:
        print(summary.as_json())
        return
    if totals is not None:
        print(table(summary, totals.counted.models, shutil.get_terminal_size().columns))
        if totals.failures:
            cells = {row.alias: row.tally.cells for row in totals.counted.models}
            print(f"\n{failures(totals.failures, cells)}")
        print()
    print(summary.next)
