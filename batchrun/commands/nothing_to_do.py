"""The call with nothing to do. It is recognised without reading the grid or the ledger.

A call that leaves nothing to do keeps in the index what it came to, and what that depends on: the
manifest's bytes, the state of each file that was read for it, what its globs found, the variables
that it names, the options, batchrun itself, the files of the folder, and the ledger. The next call
compares. Where one of them differs, or can't be compared, the call goes the long way.

Nothing is kept where something is owed: a look at a wave, the cost of a run, a file. The short way
writes one line to the ledger: its start, as each call does. (The index is imported late: most first
calls have none, and SQLite takes as long to import as half of all that is ours.)
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from batchrun import __version__
from batchrun.base.disk import write_durably
from batchrun.base.file_state import file_state, is_still, package_state
from batchrun.base.json_text import decoded, encoded
from batchrun.base.local_file import FileState
from batchrun.base.no_file import DASH
from batchrun.commands.call import Call, key_of
from batchrun.commands.outcome import Totals, print_outcome
from batchrun.commands.run_options import FOR_ONE_CALL, Options, command_in
from batchrun.commands.standard_input import bytes_at, named
from batchrun.commands.target import locate
from batchrun.errors import BatchrunError
from batchrun.ledger.facts import RECENT
from batchrun.ledger.file import Ledger
from batchrun.ledger.lock import locked
from batchrun.ledger.missing_files import is_there, saved_files
from batchrun.ledger.records import Sweep, encode, timestamp
from batchrun.manifest.data.changes import Seal, holds, seal
from batchrun.manifest.load import load_head
from batchrun.manifest.manifest import Head
from batchrun.results.going_on import Others, how_to_go_on
from batchrun.results.result_files import MANIFEST, REPORT, RESULTS_CSV, RESULTS_JSONL
from batchrun.results.summary import Summary
from batchrun.sweep.identity import IDENTITY
from batchrun.sweep.location import INDEX, folder_of

KEPT: Final = "nothing to do"

LARGE: Final = 1_000_000
"""Bytes of a manifest up to which it is parsed once more for where its sweep is: 0.1 s at most."""

DERIVED: Final = (IDENTITY, MANIFEST, RESULTS_JSONL, RESULTS_CSV, REPORT)
"""Files of the folder that the long way writes anew."""


class Basis(Struct, frozen=True, kw_only=True):
    """The facts that have to be the same, to the letter. *chosen* are the options."""

    version: str
    code: str
    manifest: str
    manifest_sha256: str
    endpoint: str
    chosen: str


class Done(Struct, frozen=True, kw_only=True):
    """The report of a call, and the facts that it hangs on. *start* is its `sweep` line."""

    basis: Basis
    seal: Seal
    derived: Mapping[str, FileState]
    outputs: Sequence[str]
    start: Sweep
    group: int
    summary: Summary
    totals: Totals


def remember(call: Call, ledger: Ledger, summary: Summary, totals: Totals) -> None:
    """Keep what a call came to that was not stopped, if the same call would have nothing to do.

    Where that can't be kept, the next call goes the long way.
    """
    sweep = ledger.book.sweep
    if not _all_done(call, ledger, totals) or sweep is None:
        return
    sources = seal(call.manifest.sources, secret=sweep.sweep)
    derived = {name: file_state(str(call.folder / name), ours=True) for name in DERIVED}
    states = {name: state for name, state in derived.items() if state is not None}
    if sources is None or len(states) < len(derived):
        return
    done = Done(
        basis=_basis(call.manifest.head, call.manifest.text, call.endpoint, call.chosen),
        seal=sources,
        derived=states,
        outputs=saved_files(ledger.book, ledger.path),
        start=sweep,
        group=ledger.group,
        summary=summary,
        totals=totals.without_cells(),
    )
    from batchrun.ledger.index import open_index

    with (
        suppress(OSError),
        ledger.path.open("rb") as file,
        open_index(call.folder, patience=0) as index,
    ):
        index.keep(KEPT, encoded(done), file.fileno())


def _all_done(call: Call, ledger: Ledger, totals: Totals) -> bool:
    """Say whether nothing is left: in this manifest, or of what the ledger still waits for."""
    book, tally, settings = ledger.book, totals.counted.tally, call.settings
    now = ledger.now()
    unpriced = any(run.age(now) < RECENT for run in book.late_costs.unpriced.values())
    owed = book.open or book.doubted or book.unpriced_duplicates or unpriced
    again = settings.retry_failed and tally.bad
    return not (tally.unfinished or owed or again or settings.only)


def repeated(options: Options, argv: Sequence[str], started: float) -> int | None:
    """Report what the last call came to, if nothing has changed since; return the exit code.

    None where the call has to go the long way.
    """
    if options.only or options.dry_run or options.reuse or "set_aside" in options.chosen:
        return None
    if str(options.manifest) != DASH and not options.manifest.is_file():
        return None  # a pipe gives its text once, and that is for the long way
    try:
        text, path = bytes_at(options.manifest), named(options.manifest)
        head = load_head(text, path, os.environ) if len(text) <= LARGE else None
        if head is None:
            return None
        endpoint, folder = locate(head, options.place)
        if key_of(endpoint) is None or not (folder / INDEX).exists():
            return None
        done = _hold(folder, _basis(head, text, endpoint, options.chosen), head)
    except (OSError, BatchrunError, msgspec.MsgspecError):
        return None
    return None if done is None else _report(done, options, argv, started)


def _hold(folder: Path, basis: Basis, head: Head) -> Done | None:
    """Write this start if nothing has changed, under the ledger's lock; return what was done."""
    from batchrun.ledger.index import open_index

    with locked(folder, make=False) as ledger, open_index(folder, patience=0) as index:
        kept = index.kept(KEPT, ledger.fileno())
        done = None if kept is None else decoded(kept, Done)
        if done is None or done.basis != basis or not _unchanged(done, folder, head):
            return None
        start = replace(done.start, manifest_sha256=basis.manifest_sha256, version=__version__)
        now = timestamp(datetime.now(UTC))
        write_durably(ledger.fileno(), encode(replace(start, at=now, group=done.group + 1)))
        again = replace(done, group=done.group + 1)
        index.keep(KEPT, encoded(again), ledger.fileno())
    return done


def _unchanged(done: Done, folder: Path, head: Head) -> bool:
    base = folder_of(head.path)
    return (
        holds(done.seal, base, os.environ, secret=done.start.sweep)
        and all(is_still(str(folder / name), state) for name, state in done.derived.items())
        and all(is_there(folder, path) for path in done.outputs)
    )


def _report(done: Done, options: Options, argv: Sequence[str], started: float) -> int:
    summary = replace(
        done.summary,
        requests=0,
        retries=0,
        rate_limited=0,
        callbacks=None,
        duration_s=time.monotonic() - started,
        next=how_to_go_on(
            done.totals.selected,
            done.summary.exit_code,
            command=command_in(argv),
            outputs=done.summary.outputs,
            others=Others(unfinished=0, command=command_in(argv, without=FOR_ONE_CALL)),
            failures=done.totals.failures,
        ),
    )
    print_outcome(summary, done.totals, as_json=options.json, quiet=options.quiet)
    return summary.exit_code


def _basis(head: Head, text: bytes, endpoint: str, chosen: Mapping[str, Any]) -> Basis:
    return Basis(
        version=__version__,
        code=package_state(),
        manifest=str(head.path.absolute()),
        manifest_sha256=sha256(text).hexdigest(),
        endpoint=endpoint,
        chosen=repr(sorted(chosen.items())),
    )
