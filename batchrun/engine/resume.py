"""Takes over what earlier calls left: it holds its slots from the start, and is looked at first."""

from collections.abc import Callable, Sequence
from typing import Final

import anyio
import anyio.lowlevel

from batchrun.base.times import moment
from batchrun.engine.budget import Budget
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt, InFlight
from batchrun.engine.request_body import Intents
from batchrun.engine.run_age import Sight
from batchrun.engine.transitions import Transitions
from batchrun.engine.waves import NEVER, Wave
from batchrun.ledger.day_sums import day_of
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import History
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import runs_in, was_answered
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest

YIELD_EVERY: Final = 500

Wants = Callable[[Cell], bool]
"""Whether a call is about a cell."""


async def resume(context: Context, transitions: Transitions, wants: Wants) -> bool:
    """Make attempts of all that may be running; return whether there is anything to look at.

    All of it is seen to its end; only what this call *wants* may be sent again.
    """
    ledger, manifest, waves = context.ledger, context.manifest, transitions.waves
    book, settle = ledger.book, context.settings.settle
    doubtful: set[str] = set()
    for key, history in book.open_cells():
        attempt, batch = _attempt(context, key, history)
        wave = waves.adopt(history.client_ref, history.model, batch=batch)
        transitions.take_over(attempt)
        wave.unlisted = book.marked  # a list alone shows a run that is one too many
        if attempt.run_id is None:
            doubtful.add(key)
        else:
            wave.next_look = attempt.started
    for ref, model in book.doubted.items():
        if ref in book.looked:  # it was settled by then: its next look holds up nothing
            waves.adopt(ref, model).unlisted = True
        else:
            transitions.doubt_wave(waves.adopt(ref, model), anyio.current_time() + settle)
    # Ledgers of batchrun 0.1, which had no marker, don't say which waves had their last look.
    for ref, model in book.unlisted.items() if book.marked else ():
        waves.adopt(ref, model).unlisted = True
    for wave in waves:
        await _see(ledger, wave)
    await _know_runs(ledger, [wave for wave in waves if wave.doubted or wave.unlisted])
    await _bind(transitions.in_flight, manifest, wants, doubtful)
    return bool(book.open or book.doubted.keys() - book.looked.keys())


def reserve(in_flight: InFlight, budget: Budget, intents: Intents) -> None:
    """Reserve for all that may be running, also where a call without a budget has sent it."""
    for attempt in in_flight:
        budget.hold(attempt, intents.last_input(attempt) or {})


async def _see(ledger: Ledger, wave: Wave) -> None:
    """Say of a batch of which only a part is left in doubt whether it was taken.

    The rest may be known already. Or it was never written and never sent, or is dropped: then the
    write of the intents, or of their end, was torn.
    """
    if not wave.seen and 0 < len(wave.attempts) < wave.batch:
        wave.seen = await ledger.scan(was_answered, wave.ref)


async def _know_runs(ledger: Ledger, waves: Sequence[Wave]) -> None:
    """Note the runs that the ledger has of *waves*, whose lists have to show them."""
    if not waves:
        return
    found = await ledger.scan(runs_in, {wave.ref for wave in waves})
    for wave in waves:
        for run_id in found[wave.ref]:
            wave.know(run_id, -NEVER)


def _attempt(context: Context, key: str, history: History) -> tuple[Attempt, int]:
    """Return the open attempt of a cell, and the size of the batch that it is of, or 0."""
    intent = context.ledger.read(history.intent_line)
    assert isinstance(intent, Intent)
    now = anyio.current_time()
    doubtful = history.run_id is None or intent.client_ref in context.ledger.book.doubted
    attempt = Attempt(
        key=key,
        number=history.attempt,
        alias=_alias(context.manifest, intent),
        model=intent.model,
        client_ref=intent.client_ref,
        idempotency_key=intent.idempotency_key,
        index=intent.index,
        name=context.names.kept(key, intent.name),
        reserved=intent.reserved,
        day=None if doubtful else day_of(intent),
        callback_url=intent.callback_url,
        run_id=history.run_id,
        started=now,
        sight=_sight(context.ledger, intent, now),
        sends=2,  # or more: an earlier call may have sent it again
        last_send_ended_at=now,
    )
    return attempt, intent.size or 0


def _sight(ledger: Ledger, intent: Intent, now: float) -> Sight:
    """Return what our own clock says of when a run was asked for, as far as it can be right.

    An intent that `recover` has made says nothing of it.
    """
    at = moment(intent.at) if intent.body_sha256 else None
    ago = None if at is None else (ledger.now() - at).total_seconds()
    if ago is None or ago < 0:
        return Sight(met=now, since=now)
    return Sight(asked=now - ago, met=now, since=now - ago)


def _alias(manifest: Manifest, intent: Intent) -> str:
    """Return the alias whose slot the attempt holds: it may have been renamed since."""
    aliases = [model.alias for model in manifest.models if model.id == intent.model]
    return intent.alias if intent.alias in aliases or not aliases else aliases[0]


async def _bind(in_flight: InFlight, manifest: Manifest, wants: Wants, keys: set[str]) -> None:
    """Find the cells of what is in doubt: only what the manifest names may be sent again.

    Several points can come to one cell; the cell is selected if any of them is.
    """
    if not keys:
        return
    for number, cell in enumerate(expand(manifest)):
        if number % YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()
        attempt = in_flight.get(cell.key) if cell.key in keys else None
        if attempt is not None:
            attempt.cell = cell
            attempt.selected = wants(cell)
            if attempt.selected:
                keys.discard(cell.key)
            if not keys:
                return
