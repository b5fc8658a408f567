"""Asks by id for the runs of which a list doesn't tell whose they are.

A list may leave out the metadata, the `client_ref`, or both. A run that it shows without them may
be the very one that is looked for; taken for somebody else's, it would be made, and paid, again.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from batchrun.engine.batch_items import BatchItems
from batchrun.engine.context import Context
from batchrun.engine.run_tag import tag_of
from batchrun.engine.waves import reference
from batchrun.ledger.scan import known_ids
from batchrun.runflow.wire import Run

MOST_ASKED: Final = 200
"""Runs of one look that are asked for by id; where there are more, the list is of no help."""


class Identified(Struct, frozen=True):
    """Runs that tell whose they are, and those that don't even when asked for by id."""

    runs: tuple[Run, ...]
    unidentified: tuple[Run, ...]


class RunIdentifier:
    """Remembers which runs turned out to be somebody else's."""

    def __init__(self, context: Context) -> None:
        self.batch_items = BatchItems(context.client, context.sweep)
        self._client = context.client
        self._ledger = context.ledger
        self._sweep = context.sweep
        self._others: set[str] = set()
        self._tags_shown = False

    async def identify(self, runs: Iterable[Run]) -> Identified:
        """Return what *runs* tell, after asking by id for those of them that don't.

        Runs that the ledger knows, and those without anything that could make them ours, go with
        those that tell.
        """
        told: list[Run] = []
        silent: list[Run] = []
        for run in runs:
            (silent if self._is_silent(run) else told).append(run)
        ids = {run.id for run in silent}
        known = await self._known(ids)
        told += [run for run in silent if run.id in known]
        asked: list[Run] = []
        for run in await self.batch_items.with_tags(run for run in silent if run.id not in known):
            (asked if self._is_silent(run) else told).append(run)
        if len(asked) > MOST_ASKED:
            return Identified(tuple(told), tuple(asked))
        unidentified: list[Run] = []
        for run in asked:
            whole = await self._by_id(run)
            (told if await self._tells(run, whole) else unidentified).append(whole or run)
        return Identified(tuple(told), tuple(unidentified))

    async def _by_id(self, run: Run) -> Run | None:
        """Return what a run tells when asked for by id, or its batch where that is news."""
        if run.batch_id is None:  # the run before may have told of the batch of both
            (with_tags,) = await self.batch_items.with_tags([run])
            if with_tags is not run:
                return with_tags
        whole = await self._client.get_run(run.id)
        if whole is not None and whole.batch_id != run.batch_id:
            (whole,) = await self.batch_items.with_tags([whole])
        return whole

    async def _known(self, ids: AbstractSet[str]) -> AbstractSet[str]:
        if not ids:
            return ids
        return self._others | await self._ledger.scan(known_ids, ids)

    async def _tells(self, listed: Run, whole: Run | None) -> bool:
        """Say whether it is known now whose run this is, be it ours or not."""
        if whole is None:
            return False
        if not self._is_silent(whole):
            self._tags_shown |= "batchrun" in whole.metadata
            return True
        if {listed.client_ref, whole.client_ref} != {None}:
            return False  # ours by its reference
        if whole.metadata or await self._tags_are_shown():
            self._others.add(whole.id)
            return True
        return False

    async def _tags_are_shown(self) -> bool:
        """Say whether a run that is asked for by id shows its tag; try one that must have it."""
        newest = self._ledger.book.newest
        if not self._tags_shown and newest is not None:
            run = await self._client.get_run(newest.run_id)
            self._tags_shown = run is not None and "batchrun" in run.metadata
        return self._tags_shown

    def _is_silent(self, run: Run) -> bool:
        """Say whether *run* may be of this sweep and doesn't tell what it was made for."""
        ours = reference(self._sweep, 0)[:-1]
        if run.client_ref is not None and not run.client_ref.startswith(ours):
            return False
        tag = run.metadata.get("batchrun")
        if isinstance(tag, Mapping) and tag.get("sweep", self._sweep) != self._sweep:
            return False
        return tag_of(run, self._sweep) is None
