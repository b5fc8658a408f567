"""Tells for which cells the runs of a batch were made.

What a batch's request carried is not shown by its runs, or not by all services; but each run names
its batch, and the batch tells which item it is. A run that has been told of carries the tag that a
run by itself would: nobody behind this has to know of batches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from batchrun.engine.live import Attempt
from batchrun.engine.tags import Tag, is_ours, tag_of, tagged, tags_of
from batchrun.runflow.batches import Batch, Item
from batchrun.runflow.client import Client
from batchrun.runflow.client import Rejected as Refusal
from batchrun.runflow.wire import Run

KEPT: Final = 100
"""Batches whose answer is remembered: a wave in doubt is looked at more than once."""


NO_RUN: Final = frozenset({"failed", "cancelled"})
"""What an item without a run ends as, if the service refused its input."""


class Children:
    """Asks for batches, each once unless it didn't tell of a run."""

    def __init__(self, client: Client, sweep: str) -> None:
        self._client = client
        self._sweep = sweep
        self._told: dict[str, Mapping[str, Tag]] = {}

    async def named(self, runs: Iterable[Run]) -> list[Run]:
        """Return *runs*, those of our batches with the tag of what they were made for."""
        return [await self._named(run) for run in runs]

    async def _named(self, run: Run) -> Run:
        batch_id = run.batch_id
        foreign = run.client_ref is not None and not is_ours(run, self._sweep)
        if batch_id is None or foreign or tag_of(run, self._sweep) is not None:
            return run
        if run.id not in self._told.get(batch_id, {}):
            self._remember(batch_id, await self._client.get_batch(batch_id))
        tag = self._told[batch_id].get(run.id)
        if tag is None:
            return run
        metadata = {"batchrun": tagged({"sweep": self._sweep}, tag)}
        return replace(run, metadata={**run.metadata, **metadata})

    def _remember(self, batch_id: str, batch: Batch | None) -> None:
        while len(self._told) >= KEPT:
            del self._told[next(iter(self._told))]
        self._told[batch_id] = {} if batch is None else dict(_tags(batch, self._sweep))


def _tags(batch: Batch, sweep: str) -> Iterable[tuple[str, Tag]]:
    tags: Sequence[Tag] = tags_of(batch.metadata, sweep)
    for item in batch.items:
        if item.run_id is not None and 0 <= item.index < len(tags):
            yield item.run_id, tags[item.index]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a batch says of the attempts that it was made for: runs, refusals, and nothing."""

    runs: Sequence[tuple[Attempt, Run]]
    refused: Sequence[tuple[Attempt, Refusal]]
    untold: Sequence[Attempt]


def answered(batch: Batch, attempts: Iterable[Attempt]) -> Answered:
    """Return what *batch* says of *attempts*, by their places in it."""
    items = {item.index: item for item in batch.items}
    runs, refused, untold = [], [], []
    for attempt in attempts:
        item = items.get(-1 if attempt.index is None else attempt.index)
        if item is not None and item.run_id is not None:
            runs.append((attempt, _child(batch, item, item.run_id, attempt.client_ref)))
        elif item is not None and item.status_code in NO_RUN:
            refused.append((attempt, _refusal(item)))
        else:
            untold.append(attempt)
    return Answered(runs, refused, untold)


def _child(batch: Batch, item: Item, run_id: str, client_ref: str) -> Run:
    return Run(
        id=run_id,
        status_code=item.status_code,
        client_ref=client_ref,
        metadata={},
        created_at=batch.created_at,
        batch_id=batch.id,
    )


def _refusal(item: Item) -> Refusal:
    message = item.failure_message or f"its item of the batch {item.status_code}, without a run"
    return Refusal(http_status=422, code=item.failure_code or "", message=message)
