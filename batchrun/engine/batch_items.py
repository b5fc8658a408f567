"""Finds the cells for which the runs of a batch were made.

Not every service shows on a run what the batch's request carried. But each run names its batch, and
the batch names the run's item. From that item a run gets the tag that a single run would carry. So
no module behind this one has to know of batches.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from batchrun.engine.in_flight import Attempt
from batchrun.engine.run_tag import RunTag, is_ours, tag_of, tagged, tags_of
from batchrun.errors import UnreachableError
from batchrun.ledger.failure_codes import FailureClass, failure_class
from batchrun.ledger.history import State
from batchrun.runflow.batches import Batch, Item
from batchrun.runflow.client import Client
from batchrun.runflow.post_outcomes import InputRefused
from batchrun.runflow.wire import Run

KEPT: Final = 100
"""Batches whose answer is remembered: a wave in doubt is looked at more than once."""

NO_RUN: Final = frozenset({"failed", "cancelled"})
"""The statuses of an item without a run that say that it gets none."""


class BatchItems:
    """Asks for each batch once; again in a later look if the batch didn't show a run."""

    def __init__(self, client: Client, sweep: str) -> None:
        self._client = client
        self._sweep = sweep
        self._tags: dict[str, Mapping[str, RunTag]] = {}
        self._others: set[str] = set()  # batches that are not of this sweep

    async def with_tags(self, runs: Iterable[Run]) -> list[Run]:
        """Return *runs*; runs of our batches get the tag of their item.

        A list may leave out a run's batch. The run is found anyway if another run named that batch.
        """
        asked: set[str] = set()
        return [await self._with_tag(run, asked) for run in runs]

    async def batch(self, batch_id: str) -> Batch | None:
        """Return the batch; None where the service doesn't show it, or answers all other calls."""
        try:
            return await self._client.shown_batch(batch_id)
        except UnreachableError:
            if not self._client.answers:
                raise
            return None

    async def _with_tag(self, run: Run, asked: set[str]) -> Run:
        foreign = run.client_ref is not None and not is_ours(run, self._sweep)
        if foreign or tag_of(run, self._sweep) is not None:
            return run
        tag, batch_id = self._tag(run), run.batch_id
        if tag is None and batch_id is not None and self._is_worth_asking(batch_id, asked):
            asked.add(batch_id)
            self._remember(batch_id, await self.batch(batch_id))
            tag = self._tag(run)
        if tag is None:
            return run
        metadata = {"batchrun": tagged({"sweep": self._sweep}, tag)}
        return replace(run, metadata={**run.metadata, **metadata})

    def _tag(self, run: Run) -> RunTag | None:
        batches = self._tags.values() if run.batch_id is None else [self._tags.get(run.batch_id)]
        return next((tags[run.id] for tags in batches if tags and run.id in tags), None)

    def _is_worth_asking(self, batch_id: str, asked: set[str]) -> bool:
        just_asked = batch_id in asked and batch_id in self._tags
        return not just_asked and batch_id not in self._others

    def _remember(self, batch_id: str, batch: Batch | None) -> None:
        while len(self._tags) >= KEPT:
            del self._tags[next(iter(self._tags))]
        tags = () if batch is None else tags_of(batch.metadata, self._sweep)
        if batch is not None and not tags:
            self._others.add(batch_id)
        self._tags[batch_id] = {} if batch is None else dict(_tagged_items(batch, tags))


def _tagged_items(batch: Batch, tags: Sequence[RunTag]) -> Iterable[tuple[str, RunTag]]:
    for place, item in _by_index(batch, len(tags)).items():
        if item.run_id is not None and 0 <= place < len(tags):
            yield item.run_id, tags[place]


def _by_index(batch: Batch, size: int) -> Mapping[int, Item]:
    """Return the items of a batch of *size* by their places from 0.

    The documents don't say whether the service counts from 0 or 1. It counts from 1 if it uses the
    number *size*. Items that claim the same run are left out: their wave shows which one has it.
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
    """The findings of a batch on its attempts: runs, refusals, and nothing.

    *failed* are those by their reason that got no run, and for which another request may do.
    """

    runs: Sequence[tuple[Attempt, Run]] = ()
    refused: Sequence[tuple[Attempt, InputRefused]] = ()
    failed: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    unidentified: Sequence[Attempt] = ()


def match_items(batch: Batch, attempts: Iterable[Attempt], size: int) -> BatchAnswer:
    """Return what *batch*, which was made of *size* items, says of *attempts*, by their places."""
    items = _by_index(batch, size)
    runs, refused, unidentified = [], [], []
    failed: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        item = items.get(-1 if attempt.index is None else attempt.index)
        if item is not None and item.client_ref not in {None, attempt.client_ref}:
            item = None
        if item is not None and item.run_id is not None:
            runs.append((attempt, _child(batch, item, item.run_id, attempt.client_ref)))
        elif item is None or item.status_code not in NO_RUN:
            unidentified.append(attempt)
        elif _may_pass(item):
            failed.setdefault(_why(item), []).append(attempt)
        else:
            refused.append((attempt, _refusal(item)))
    return BatchAnswer(runs, refused, failed, unidentified)


def _may_pass(item: Item) -> bool:
    """Say whether an item that failed may pass in another request.

    The documents' items of an answer have no field for a reason, and not only an input that is
    refused fails (runflow-api.md, section 8). A request for it alone is answered with the reason,
    or with a run. A failed item costs nothing; a cancelled one may (sections 7 and 11).
    """
    means = failure_class(item.failure_code, None, item.failure_message)
    return item.status_code == State.FAILED and means is FailureClass.AGAIN


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
    message = item.failure_message or _bare(item)
    return InputRefused(http_status=422, code=item.failure_code or "", message=message)


def _why(item: Item) -> str:
    return ": ".join(filter(None, [item.failure_code, item.failure_message])) or _bare(item)


def _bare(item: Item) -> str:
    was = "was cancelled" if item.status_code == State.CANCELLED else "failed"
    return f"its item of the batch {was}, without a run"
