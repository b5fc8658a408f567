"""Whose a run is: decided here alone, for a lost answer, for a crash, and before the first request.

A list may leave out a run's metadata, its `client_ref`, or both. **A run that doesn't tell whose it
is counts as unknown, never as foreign**: it may be the very one that is looked for. Taken for
foreign, it was made, and paid, again. So the service is asked for it by its id, and for its batch.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Final

from msgspec import Struct

from batchrun.engine.batch_items import BatchItems
from batchrun.engine.context import Context
from batchrun.engine.run_tag import RunTag, is_ours, tag_of
from batchrun.engine.waves import reference
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import intents_of, known_ids
from batchrun.runflow.wire import Run

MOST_ASKED: Final = 200
"""Runs of one look that are asked for by id; where there are more, the list is of no help."""


class Owner(Enum):
    """Whose a run is."""

    OURS = "the ledger has the intent that asked for it"
    STRAY = "it is of this sweep, and the ledger has no intent for it"
    FOREIGN = "it is of another sweep, or of somebody else"
    UNKNOWN = "it may be of this sweep, and doesn't tell what it was made for"


class Identified(Struct, frozen=True):
    """A run with all that it tells when it is asked for by id, and whose it is."""

    run: Run
    owner: Owner


class RunIdentifier:
    """Remembers which runs turned out to be somebody else's."""

    def __init__(self, context: Context) -> None:
        self.batch_items = BatchItems(context.client, context.sweep)
        self._client = context.client
        self._ledger = context.ledger
        self._sweep = context.sweep
        self._others: set[str] = set()
        self._tags_shown = False

    async def identify(self, runs: Iterable[Run]) -> list[Identified]:
        """Return whose *runs* are, after asking by id for those of them that don't tell."""
        told: list[Run] = []
        silent: list[Run] = []
        for run in runs:
            (silent if self._is_silent(run) else told).append(run)
        ids = {run.id for run in silent}
        known = await self._ledger.scan(known_ids, ids) if ids else set()
        told += [run for run in silent if run.id in known | self._others]
        asked: list[Run] = []
        for run in await self.batch_items.with_tags(
            run for run in silent if run.id not in known | self._others
        ):
            (asked if self._is_silent(run) else told).append(run)
        unknown: list[Run] = []
        for run in asked:
            whole = await self._by_id(run) if len(asked) <= MOST_ASKED else None
            (told if await self._tells(run, whole) else unknown).append(whole or run)
        return [
            *[Identified(run, owner) for run, owner in await self._owners(told)],
            *[Identified(run, Owner.UNKNOWN) for run in unknown],
        ]

    async def _owners(self, runs: Iterable[Run]) -> list[tuple[Run, Owner]]:
        """Return whose runs are that tell it, or that the ledger knows."""
        tags = {run.id: tag_of(run, self._sweep) for run in runs}
        names = {*tags, *(tag.key for tag in tags.values() if tag is not None)}
        known = await self._ledger.scan(known_ids, names) if names else set()
        return [(run, await self._owner(run, tags[run.id], known)) for run in runs]

    async def _owner(self, run: Run, tag: RunTag | None, known: AbstractSet[str]) -> Owner:
        if run.id in known:
            return Owner.OURS
        if tag is None or not is_ours(run, self._sweep):
            return Owner.FOREIGN
        return Owner.OURS if tag.key in known and await self._has_intent(run, tag) else Owner.STRAY

    async def _has_intent(self, run: Run, tag: RunTag) -> bool:
        """Say whether the ledger has the intent of a run, whose key it may share with others.

        A copy that ends within a batch has those of some of its items, and their key.
        """
        line = self._ledger.book.history(tag.cell).intent_line
        newest = None if line == NOWHERE else self._ledger.read(line)
        if isinstance(newest, Intent) and newest.idempotency_key == tag.key:
            return True
        if run.client_ref is None:
            return line != NOWHERE
        intents = await self._ledger.scan(intents_of, run.client_ref)
        return any((each.cell, each.idempotency_key) == (tag.cell, tag.key) for each in intents)

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
