"""Batches as the API shows them, and the bytes of their POST. Pure.

A batch is many runs made by one request (runflow-api.md, section 8). Its items are lean: they say
which run each input became, and how it stands.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from batchrun.base.times import moment
from batchrun.base.values import MOST_ITEMS
from batchrun.runflow.lenient import failure, text, whole
from batchrun.runflow.statuses import is_kin, status_of


class Item(Struct, frozen=True, kw_only=True):
    """One input of a batch; *index* is its place in the POST, *run_id* what it became.

    Without a run an end counts only in the documents' own words: `expired` may be that of a run.
    """

    index: int
    run_id: str | None
    status_code: str
    client_ref: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """A batch as the API showed it; *items* have a known place; there may be none."""

    id: str
    status_code: str
    metadata: Mapping[str, Any]
    created_at: datetime | None = None
    items: tuple[Item, ...] = ()


def parse_batch(body: Any) -> Batch:
    """Return the batch that *body* describes; ValueError where it has no id."""
    if not isinstance(body, Mapping):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (one kind of error for callers)
    batch_id = text(body.get("id")) or text(body.get("batch_id"))
    if batch_id is None:
        raise ValueError("expected a batch with an id")
    metadata = body.get("metadata")
    return Batch(
        id=batch_id,
        status_code=status_of(body),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        created_at=moment(body.get("created_at")),
        items=tuple(_items(body.get("items"))),
    )


def batch_body(
    inputs: Sequence[Mapping[str, Any]],
    *,
    client_ref: str,
    metadata: Mapping[str, Any] | None,
    callback_url: str | None = None,
) -> bytes:
    """Return the exact bytes of a POST of *inputs*, in their order, all with one reference.

    Equal values give equal bytes, as with `run_body`. ValueError where the API would not take
    them: none or more than MOST_ITEMS, or an input that has a `client_ref` of its own, which the
    API would take away from the model.
    """
    if not 1 <= len(inputs) <= MOST_ITEMS:
        raise ValueError(f"expected 1 to {MOST_ITEMS} inputs in a batch")
    if any("client_ref" in each for each in inputs):
        raise ValueError("an input called client_ref can't be sent in a batch")
    body: dict[str, Any] = {"input": [{**each, "client_ref": client_ref} for each in inputs]}
    if metadata is not None:
        body["metadata"] = metadata
    if callback_url is not None:
        body["callback_url"] = callback_url
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _items(listed_items: Any) -> Iterator[Item]:
    """Read the items. If none shows its place, they are taken to be in the order sent.

    If some show their place, an item without one is left out. So are items that claim the same
    place: a run that is assigned to another input is worse than a run that is looked for.
    """
    listed = enumerate(listed_items if isinstance(listed_items, list) else ())
    found = [(number, each) for number, each in listed if isinstance(each, Mapping)]
    places = [whole(each.get("sequence_index")) for _, each in found]
    if not any(place is not None for place in places):
        places = [number for number, _ in found]
    claims = Counter(places)
    for place, (_, each) in zip(places, found, strict=True):
        if place is not None and place >= 0 and claims[place] == 1:
            yield _item(place, each)


def _item(index: int, body: Mapping[str, Any]) -> Item:
    run = body.get("run")
    run = run if isinstance(run, Mapping) else {}
    failure_code, failure_message = failure(body)
    run_id = text(body.get("run_id")) or text(run.get("id"))
    return Item(
        index=index,
        run_id=run_id,
        status_code="unknown" if run_id is None and is_kin(body) else status_of(body),
        client_ref=text(body.get("client_ref")),
        failure_code=failure_code,
        failure_message=failure_message,
    )
