"""Whose a run is: decided here alone, for a lost answer, for a crash, and before the first request.

A list may leave out a run's metadata, its `client_ref`, or both. **A run that doesn't tell whose it
is counts as unknown, never as foreign**: it may be the very one that is looked for. Taken for
foreign, it was made, and paid, again. So the service is asked for it by its id, and for its batch.

What a batch's request carried is not shown by its runs, or not by all services; but each run names
its batch, and the batch tells which item it is. A run that has been told of so carries the tag that
a run by itself would: no module behind this one has to know of batches.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt
from batchrun.engine.run_tag import RunTag, is_ours, tag_of, tagged, tags_of
from batchrun.engine.waves import reference
from batchrun.errors import UnreachableError
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import intents_of, known_ids
from batchrun.runflow.batches import Batch, Item
from batchrun.runflow.client import Client
from batchrun.runflow.post_outcomes import InputRefused
from batchrun.runflow.wire import Run

MOST_ASKED: Final = 200
"""Runs of one look that are asked for by id; where there are more, the list is of no help."""


class Owner(Enum):
    """Whose a run is."""

    OURS = "it carries what an intent of this sweep put on it, or the ledger has its id"
    STRAY = "it is of this sweep, and the ledger has no intent that asked for it"
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
            *[Identified(run, self._owner(run, known)) for run in told],
            *[Identified(run, Owner.UNKNOWN) for run in unknown],
        ]

    async def with_intents(self, identified: Sequence[Identified]) -> list[Identified]:
        """Return the same, ours without an intent told from ours with one: that reads the ledger.

        A look-up of a doubt has no need of it: it knows its attempts.
        """
        tags = {each.run.id: tag_of(each.run, self._sweep) for each in identified}
        names = {*tags, *(tag.key for tag in tags.values() if tag is not None)}
        known = await self._ledger.scan(known_ids, names) if names else set()
        return [
            Identified(each.run, Owner.STRAY)
            if each.owner is Owner.OURS
            and each.run.id not in known
            and not await self._has_intent(each.run, tags[each.run.id], known)
            else each
            for each in identified
        ]

    def _owner(self, run: Run, known: AbstractSet[str]) -> Owner:
        """Return whose a run is that tells, or that is *known* by its id."""
        tagged = tag_of(run, self._sweep) is not None and is_ours(run, self._sweep)
        return Owner.OURS if tagged or run.id in known else Owner.FOREIGN

    async def _has_intent(self, run: Run, tag: RunTag | None, known: AbstractSet[str]) -> bool:
        """Say whether the ledger has the intent of a run, whose key it may share with others.

        A copy that ends within a batch has those of some of its items, and their key.
        """
        if tag is None or tag.key not in known:
            return False
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


KEPT: Final = 100
"""Batches whose answer is remembered: a wave in doubt is looked at more than once."""

NO_RUN: Final = frozenset({"failed", "cancelled"})
"""What an item without a run ends as, if the service refused its input."""


class BatchItems:
    """Asks for batches: each once, and again at another time where it didn't tell of a run."""

    def __init__(self, client: Client, sweep: str) -> None:
        self._client = client
        self._sweep = sweep
        self._told: dict[str, Mapping[str, RunTag]] = {}
        self._others: set[str] = set()  # batches that are not of this sweep

    async def with_tags(self, runs: Iterable[Run]) -> list[Run]:
        """Return *runs*, those of our batches with the tag of what they were made for.

        A list may leave out a run's batch: then it is named if another run has told of that batch.
        """
        asked: set[str] = set()
        return [await self._with_tag(run, asked) for run in runs]

    async def batch(self, batch_id: str) -> Batch | None:
        """Return the batch; None where the service doesn't know it, or tells of all else but it."""
        try:
            return await self._client.get_batch(batch_id)
        except UnreachableError:
            if not self._client.answers:
                raise
            return None

    async def _with_tag(self, run: Run, asked: set[str]) -> Run:
        foreign = run.client_ref is not None and not is_ours(run, self._sweep)
        if foreign or tag_of(run, self._sweep) is not None:
            return run
        tag, batch_id = self._tag(run), run.batch_id
        if tag is None and batch_id is not None and self._may_tell(batch_id, asked):
            asked.add(batch_id)
            self._remember(batch_id, await self.batch(batch_id))
            tag = self._tag(run)
        if tag is None:
            return run
        metadata = {"batchrun": tagged({"sweep": self._sweep}, tag)}
        return replace(run, metadata={**run.metadata, **metadata})

    def _tag(self, run: Run) -> RunTag | None:
        batches = self._told.values() if run.batch_id is None else [self._told.get(run.batch_id)]
        return next((told[run.id] for told in batches if told and run.id in told), None)

    def _may_tell(self, batch_id: str, asked: set[str]) -> bool:
        just_asked = batch_id in asked and batch_id in self._told
        return not just_asked and batch_id not in self._others

    def _remember(self, batch_id: str, batch: Batch | None) -> None:
        while len(self._told) >= KEPT:
            del self._told[next(iter(self._told))]
        tags = () if batch is None else tags_of(batch.metadata, self._sweep)
        if batch is not None and not tags:
            self._others.add(batch_id)
        self._told[batch_id] = {} if batch is None else dict(_tagged_items(batch, tags))


def _tagged_items(batch: Batch, tags: Sequence[RunTag]) -> Iterable[tuple[str, RunTag]]:
    for place, item in _by_index(batch, len(tags)).items():
        if item.run_id is not None and 0 <= place < len(tags):
            yield item.run_id, tags[place]


def _by_index(batch: Batch, size: int) -> Mapping[int, Item]:
    """Return the items of a batch of *size* by their places from 0.

    Whether the service counts from 0 or 1 is not documented: that it uses the number *size* tells.
    Items that claim one run are left out: which of them has it, their wave will tell.
    """
    numbers = {item.index for item in batch.items}
    first = 1 if size in numbers and 0 not in numbers else 0
    claims = Counter(item.run_id for item in batch.items)
    return {
        item.index - first: item
        for item in batch.items
        if item.run_id is None or claims[item.run_id] == 1
    }


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a batch says of the attempts that it was made for: runs, refusals, and nothing."""

    runs: Sequence[tuple[Attempt, Run]]
    refused: Sequence[tuple[Attempt, InputRefused]]
    unidentified: Sequence[Attempt]


def match_items(batch: Batch, attempts: Iterable[Attempt], size: int) -> BatchAnswer:
    """Return what *batch*, which was made of *size* items, says of *attempts*, by their places."""
    items = _by_index(batch, size)
    runs, refused, unidentified = [], [], []
    for attempt in attempts:
        item = items.get(-1 if attempt.index is None else attempt.index)
        if item is not None and item.client_ref not in {None, attempt.client_ref}:
            item = None
        if item is not None and item.run_id is not None:
            runs.append((attempt, _child(batch, item, item.run_id, attempt.client_ref)))
        elif item is not None and item.status_code in NO_RUN:
            refused.append((attempt, _refusal(item)))
        else:
            unidentified.append(attempt)
    return BatchAnswer(runs, refused, unidentified)


def _child(batch: Batch, item: Item, run_id: str, client_ref: str) -> Run:
    return Run(
        id=run_id,
        status_code=item.status_code,
        client_ref=client_ref,
        metadata={},
        created_at=batch.created_at,
        batch_id=batch.id,
    )


def _refusal(item: Item) -> InputRefused:
    message = item.failure_message or f"its item of the batch {item.status_code}, without a run"
    return InputRefused(http_status=422, code=item.failure_code or "", message=message)
