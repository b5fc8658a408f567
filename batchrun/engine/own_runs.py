"""The newest runs of all, once a minute while requests leave: each of ours must be known.

**Evidence in hand is never passed over.** A run that carries the key of one of our intents, and
that the ledger doesn't have, is one too many: a gateway has repeated the request. A run of this
sweep whose key the ledger doesn't have was made by another copy of the ledger: the call ends (rules
10 to 12 of the contract). The looks at waves find the same, for the waves that this process knows.
"""

from datetime import timedelta
from typing import Final

import anyio

from batchrun.engine.context import Context
from batchrun.engine.duplicate_runs import DuplicateRuns
from batchrun.engine.identify_runs import Owner, RunIdentifier, behind, was_taken_in
from batchrun.engine.recent_runs import MARGIN, newest_runs, recent_runs
from batchrun.engine.run_tag import RunTag, tag_of
from batchrun.engine.transitions import Transitions
from batchrun.errors import UnreachableError
from batchrun.ledger.scan import known_ids
from batchrun.runflow.wire import Run

EACH: Final = 60.0
"""Seconds between two looks."""


class OwnRuns:
    """Looks at the newest page of all runs, and remembers which of ours it has seen."""

    def __init__(
        self, context: Context, *, transitions: Transitions, duplicates: DuplicateRuns
    ) -> None:
        self._run_identifier = RunIdentifier(context)
        self._settings = context.settings
        self._client = context.client
        self._ledger = context.ledger
        self._sweep = context.sweep
        self._shutdown = context.shutdown
        self._transitions = transitions
        self._duplicates = duplicates
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Look once a minute, as long as runs are asked for."""
        while self._shutdown.submitting:
            await anyio.sleep(EACH)
            await self.look()

    async def look_back(self) -> bool:
        """Compare all runs since this call began with the ledger; return whether all was seen.

        For services whose filter is of no use.
        """
        asked = anyio.current_time()
        behind = self._client.profile.created_behind or timedelta(0)
        opened = self._ledger.opened_at + (self._client.server_now() - self._ledger.now())
        seen = await recent_runs(self._client, opened - behind - MARGIN, asked)
        if seen is None:
            return False
        waves = list(self._transitions.waves)
        shown = all(wave.shows_new(seen.runs, asked - self._settings.settle) for wave in waves)
        strangers = [run for run in seen.runs if not self._is_in_memory(run)]
        identified = await self._run_identifier.identify(strangers)
        ours = [each.run for each in identified if each.owner is Owner.OURS]
        tags = [(tag, run) for run in ours if (tag := tag_of(run, self._sweep)) is not None]
        await self._compare([(tag, run) for tag, run in tags if not self._is_known(tag, run)])
        return shown and seen.whole and not any(each.owner is Owner.UNKNOWN for each in identified)

    def _is_in_memory(self, run: Run) -> bool:
        waves = self._transitions.waves
        return run.id in self._seen or any(run.id in wave.known_run_ids for wave in waves)

    async def look(self) -> None:
        """Compare the newest page with the ledger; a look that fails is none.

        Nothing is asked where nothing was sent.
        """
        if not self._transitions.waves.began:
            return
        try:
            runs = await newest_runs(self._client, self._sweep)
        except UnreachableError:
            if not self._client.answers:
                raise
            return
        tags = [(tag, run) for run in runs if (tag := tag_of(run, self._sweep)) is not None]
        await self._compare([(tag, run) for tag, run in tags if not self._is_known(tag, run)])

    def _is_known(self, tag: RunTag, run: Run) -> bool:
        """Say whether a run is known without reading the ledger: nearly all are."""
        of_cell = self._ledger.book.history(tag.cell).run_id
        extras = self._ledger.book.extra_runs
        return of_cell == run.id or run.id in extras or self._is_in_memory(run)

    async def _compare(self, new: list[tuple[RunTag, Run]]) -> None:
        if not new:
            return
        names = {name for tag, run in new for name in (tag.key, run.id)}
        known = await self._ledger.scan(known_ids, names)
        for tag, run in new:
            if run.id in known or self._is_known(tag, run):  # or meanwhile
                self._seen.add(run.id)
            elif tag.key in known or was_taken_in(run, self._ledger.book):
                await self._one_too_many(tag, run)
            else:
                self._shutdown.leave(behind(self._ledger.path, run))
                return

    async def _one_too_many(self, tag: RunTag, run: Run) -> None:
        """Write the run down, unless its attempt has none yet: an answer or a look will say it."""
        attempt = self._transitions.in_flight.get(tag.cell)
        if attempt is not None and attempt.run_id in {None, run.id}:
            return
        self._seen.add(run.id)
        wave = self._transitions.waves.find(run.client_ref)
        await self._duplicates.record(wave, tag, run)
        if wave is not None and not run.terminal:  # it is looked at until it has ended
            self._transitions.doubt_wave(wave, anyio.current_time())
