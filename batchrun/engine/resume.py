"""Takes over what earlier calls left: it holds its slots from the start, and is looked at first."""

from collections.abc import Callable
from typing import Final

import anyio
import anyio.lowlevel

from batchrun.engine.in_flight import Attempt
from batchrun.engine.transitions import Work
from batchrun.engine.waves import Wave
from batchrun.ledger.history import History
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import was_answered
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest

YIELD_EVERY: Final = 500

Wants = Callable[[Cell], bool]
"""Whether a call is about a cell."""


async def resume(work: Work, manifest: Manifest, wants: Wants) -> bool:
    """Make attempts of all that may be running; return whether there is anything to look at.

    All of it is seen to its end; only what this call *wants* may be sent again.
    """
    book = work.ledger.book
    doubtful: set[str] = set()
    for key, history in book.open_cells():
        attempt, batch = _attempt(work, manifest, key, history)
        wave = work.waves.adopt(history.client_ref, history.model, batch=batch)
        work.take_over(attempt)
        if attempt.run_id is None:
            doubtful.add(key)
        else:
            wave.next_look = attempt.started
    for ref, model in book.doubted.items():
        settled = anyio.current_time() + work.settings.settle
        work.doubt_wave(work.waves.adopt(ref, model), settled)
    for wave in work.waves:
        await _see(work, wave)
    await _bind(work, manifest, wants, doubtful)
    return bool(book.open or book.doubted)


def reserve(work: Work) -> None:
    """Reserve for all that may be running and was sent by a call without a budget."""
    for attempt in work.in_flight:
        if attempt.reserved is None:
            work.budget.hold(attempt, work.last_input(attempt) or {})


async def _see(work: Work, wave: Wave) -> None:
    """Say of a batch of which only a part is left in doubt whether it was taken.

    The rest may have been told of; or it was never written and never sent, or is dropped already:
    then the write of the intents, or that of their end, was torn.
    """
    if not wave.seen and 0 < len(wave.attempts) < wave.batch:
        wave.seen = await work.ledger.scan(was_answered, wave.ref)


def _attempt(work: Work, manifest: Manifest, key: str, history: History) -> tuple[Attempt, int]:
    """Return the open attempt of a cell, and the size of the batch that it is of, or 0."""
    intent = work.ledger.read(history.intent_line)
    assert isinstance(intent, Intent)
    now = anyio.current_time()
    attempt = Attempt(
        key=key,
        number=history.attempt,
        alias=_alias(manifest, intent),
        model=intent.model,
        client_ref=intent.client_ref,
        idempotency_key=intent.idempotency_key,
        index=intent.index,
        name=intent.name,
        reserved=intent.reserved,
        run_id=history.run_id,
        started=now,
        sends=2,  # or more: an earlier call may have sent it again
        last_send_ended_at=now,
    )
    return attempt, intent.size or 0


def _alias(manifest: Manifest, intent: Intent) -> str:
    """Return the alias whose slot the attempt holds: it may have been renamed since."""
    aliases = [model.alias for model in manifest.models if model.id == intent.model]
    return intent.alias if intent.alias in aliases or not aliases else aliases[0]


async def _bind(work: Work, manifest: Manifest, wants: Wants, keys: set[str]) -> None:
    """Find the cells of what is in doubt: only what the manifest names may be sent again.

    Of several points that come to one cell it takes one to want it.
    """
    if not keys:
        return
    for number, cell in enumerate(expand(manifest)):
        if number % YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()
        attempt = work.in_flight.get(cell.key) if cell.key in keys else None
        if attempt is not None:
            attempt.cell = cell
            attempt.selected = wants(cell)
            if attempt.selected:
                keys.discard(cell.key)
            if not keys:
                return
