"""Notices a ledger that was restored from an old copy: the service has runs that it doesn't know.

A copy is a beginning of the file. So it lacks the end of the waves that were being filled (one for
each model, and the intents of its newest batch), and all later ones, of which some may have no run.
"""

from collections.abc import Iterable
from typing import Final

from batchrun.engine.batch_items import BatchItems
from batchrun.engine.identify_runs import RunIdentifier
from batchrun.engine.recent_runs import newest_runs
from batchrun.engine.run_tag import RunTag, is_ours, tag_of
from batchrun.engine.transitions import Work
from batchrun.engine.waves import reference
from batchrun.errors import LostLedgerError
from batchrun.ledger.book import wave_number
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import intents_of, known_ids
from batchrun.runflow.wire import Run

AHEAD: Final = 3
"""Waves after the last known one that are asked for: one of refused inputs has no run."""


async def check_ledger(work: Work) -> list[str]:
    """Return the waves that were found empty, if the ledger knows all runs that it should.

    Raises LostLedgerError if it doesn't.
    """
    book, sweep = work.ledger.book, work.identity["sweep"]
    refs = [*book.filling.values(), *book.batches.values()]
    filling = [run for ref in refs for run in await work.listing(ref) or ()]
    newest = book.newest
    work.filter.proven |= newest is not None and any(run.id == newest.run_id for run in filling)
    await _check_known(work, [*filling, *await newest_runs(work.client, sweep)])
    ahead = range(book.last_wave + 1, book.last_wave + 1 + AHEAD) if book.last_wave else ()
    for number in ahead:
        check_new_wave(work, await work.listing(reference(sweep, number)) or ())
    return [reference(sweep, number) for number in ahead]


def check_new_wave(work: Work, runs: Iterable[Run]) -> None:
    """Raise LostLedgerError if a wave that nothing was sent in yet has runs."""
    for run in runs:
        raise _behind(work, run)


async def _check_known(work: Work, runs: Iterable[Run]) -> None:
    """Raise LostLedgerError if one of these runs of the sweep is of no intent of the ledger."""
    sweep = work.identity["sweep"]
    told = await RunIdentifier(work, BatchItems(work.client, sweep)).identify(runs)
    tags = {run.id: tag for run in told.runs if (tag := tag_of(run, sweep)) is not None}
    ledger, names = work.ledger, {*tags, *(tag.key for tag in tags.values())}
    known = await ledger.scan(known_ids, names) if names else set()
    for run in told.runs:
        if run.id not in tags or run.id in known or not is_ours(run, sweep):
            continue
        tag = tags[run.id]
        if tag.key not in known or not await _has_intent(work, run, tag):
            raise _behind(work, run)
    for ref, run in {run.client_ref or "": run for run in told.unidentified}.items():
        if wave_number(ref) > work.ledger.book.last_wave or await _ends_within(work, ref):
            raise _behind(work, run)


async def _has_intent(work: Work, run: Run, tag: RunTag) -> bool:
    """Say whether the ledger has the intent of a run, whose key it may share with others.

    A copy that ends within a batch has those of some of its items, and their key.
    """
    line = work.ledger.book.history(tag.cell).intent_line
    newest = None if line == NOWHERE else work.ledger.read(line)
    if isinstance(newest, Intent) and newest.idempotency_key == tag.key:
        return True
    if run.client_ref is None:
        return line != NOWHERE
    intents = await _intents_of(work, run.client_ref)
    return any((each.cell, each.idempotency_key) == (tag.cell, tag.key) for each in intents)


async def _ends_within(work: Work, ref: str) -> bool:
    """Say whether the ledger has the intents of only some items of a batch: one was never sent."""
    if ref not in work.ledger.book.batches.values():
        return False
    intents = await _intents_of(work, ref)
    return len(intents) < (intents[0].size or 0)


async def _intents_of(work: Work, ref: str) -> list[Intent]:
    return await work.ledger.scan(intents_of, ref)


def _behind(work: Work, run: Run) -> LostLedgerError:
    return LostLedgerError(
        f"the ledger {work.ledger.path} is behind: it doesn't know run {run.id} of this sweep, "
        f"which the service has (`client_ref` {run.client_ref})"
    )
