"""What the ledger's cells come to, where no manifest says which cells there are."""

from collections.abc import Mapping
from typing import Any, Final

from batchrun.commands.grid_counts import bad_ends
from batchrun.commands.outcome import Totals
from batchrun.ledger.history import BAD, GOOD, NOWHERE, History
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Intent
from batchrun.results.failures import Grouping
from batchrun.results.tally import count_ledger

MOST_READ: Final = 20_000
"""Cells whose inputs are read, for what failures share."""


def ledger_totals(ledger: Readable, *, attempts: int, download: bool) -> Totals:
    """Return the counts and the failures of the cells that *ledger* knows."""
    grouping, histories = Grouping(), ledger.book.histories
    small = len(histories) <= MOST_READ
    for key, history in histories.items():
        if history.state in GOOD | BAD:
            values = _sent(ledger, history) if small else {}
            grouping.ended(history.alias, values, bad_ends(ledger, key, history.state))
    counted = count_ledger(ledger.book, attempts=attempts, download=download)
    return Totals(counted=counted, selected=counted.tally, failures=grouping.result())


def _sent(ledger: Readable, history: History) -> Mapping[str, Any]:
    """Return the input that a cell was sent with, as far as a line has it."""
    if history.input_line == NOWHERE:
        return {}
    record = ledger.read(history.input_line)
    return (isinstance(record, Intent) and record.input) or {}
