"""How a call ends: counts, results files, the table or the JSON object, the exit code."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.engine.settings import Settings
from batchrun.engine.stops import Stops
from batchrun.errors import FAILED, INCOMPLETE, KILLED, most_severe
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import BAD
from batchrun.ledger.records import Finished, Rejected
from batchrun.manifest.grid import expand
from batchrun.manifest.manifest import Manifest
from batchrun.results.failures import failures, group
from batchrun.results.storage import write_results
from batchrun.results.summary import Summary, how_to_go_on, stop_of
from batchrun.results.table import table
from batchrun.results.tally import Tally, count
from batchrun.runflow.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is left of a call once its task group has ended."""

    manifest: Manifest
    settings: Settings
    folder: Path
    endpoint: str
    label: str | None
    command: str
    ledger: Ledger
    stops: Stops
    client: Client
    seconds: float


def show(ending: Ending, *, as_json: bool, quiet: bool) -> int:
    """Write the results, say what the call came to, and return the exit code."""
    settings, book = ending.settings, ending.ledger.book
    counted = count(
        expand(ending.manifest), book, attempts=settings.attempts, download=settings.download
    )
    if KILLED not in ending.stops.codes:
        write_results(ending.folder, ending.manifest, ending.ledger, attempts=settings.attempts)
    summary = summary_of(ending, counted.tally)
    for error in ending.stops.errors:
        print(f"batchrun: {error}", file=sys.stderr)
    for note in ending.stops.notes:
        print(note, file=sys.stderr)
    if as_json:
        print(summary.as_json())
    elif not quiet:
        width = shutil.get_terminal_size().columns
        print(table(summary, counted.models, width))
        if counted.tally.bad:
            cells = {row.alias: row.tally.cells for row in counted.models}
            print(f"\n{failures(group(ended_badly(ending)), cells)}")
        print(f"\n{summary.next}")
    return summary.exit_code


def ended_badly(ending: Ending) -> Iterator[tuple[str, Finished | Rejected]]:
    """Yield the alias and the last line of each cell that is done with and did not succeed."""
    book, seen = ending.ledger.book, set[str]()
    for cell in expand(ending.manifest):
        history = book.history(cell.key)
        if history.state in BAD and cell.key not in seen:
            seen.add(cell.key)
            record = ending.ledger.read(history.ended_line)
            assert isinstance(record, Finished | Rejected)
            yield cell.alias, record


def summary_of(ending: Ending, tally: Tally) -> Summary:
    """Return the `--json` object of the call."""
    client, code = ending.client, exit_code(ending, tally)
    sweep = ending.ledger.book.sweep
    counts: dict[str, Any] = tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=ending.manifest.name,
        label=ending.label,
        endpoint=ending.endpoint,
        **counts,
        cost=ending.ledger.book.cost,
        requests=client.requests,
        retries=client.retries,
        rate_limited=client.rate_limited,
        duration_s=ending.seconds,
        outputs=str(ending.folder),
        ledger=str(ending.ledger.path),
        complete=not tally.unfinished,
        exit_code=code,
        next=how_to_go_on(tally, code, command=ending.command, outputs=str(ending.folder)),
        error=stop_of(ending.stops.errors),
    )


def exit_code(ending: Ending, tally: Tally) -> int:
    """Return the most severe of the reasons: what stopped the call, what is left, what failed."""
    codes = list(ending.stops.codes)
    if tally.unfinished:
        codes.append(INCOMPLETE)
    fail_on = ending.settings.fail_on
    if not fail_on.allows(tally.bad, tally.cells):
        codes.append(FAILED)
    return most_severe(codes)
