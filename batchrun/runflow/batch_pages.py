"""A batch by its id; one that is too large for one answer is put together from small ones.

What makes it large are the inputs and outputs that it shows. So it is asked for without them, and
its items page by page (runflow-api.md, section 8).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from batchrun.errors import TooLargeAnswerError
from batchrun.runflow.batches import Batch, parse_batch
from batchrun.runflow.get_outcomes import Answer
from batchrun.runflow.lenient import text
from batchrun.runflow.pagination import PageLoop, PageSize, ask_page
from batchrun.runflow.wire import about, cursor_of

BATCH_FIELDS: Final = "id,status_code,metadata,created_at"
ITEM_FIELDS: Final = "id,sequence_index,run_id,status_code,client_ref,error"
_PAGES: Final = 200


Get = Callable[..., Awaitable[Answer]]
"""Asks for a path, with `params`, and has the answer read by `read`."""


class ItemPage(Struct, frozen=True):
    """A page of items as they came; *next* is the cursor of the page after it."""

    items: list[Any]
    next: str | None


async def read_batch(get: Get, batch_id: str, log: Callable[[str], None]) -> Batch | None:
    """Return the batch of that id, None if the API knows none.

    It is also None where it can't be had even in parts; then *log* gets its size.
    """
    path, read = f"/v1/batches/{quote(batch_id, safe='')}", about(batch_id, parse_batch)
    try:
        answer = await get(path, read=read)
    except TooLargeAnswerError as error:
        with suppress(TooLargeAnswerError):
            if (batch := await _in_pages(get, path, read)) is not None:
                return batch
        log(str(error))
        return None
    return None if answer.refusal is not None else cast("Batch", answer.body)


async def _in_pages(get: Get, path: str, read: Callable[[Any], Batch]) -> Batch | None:
    """Return the batch, None if the API refuses a part of it or shows no end of its items.

    Raises TooLargeAnswerError where a part is too large by itself.
    """
    answer = await get(path, params={"fields": BATCH_FIELDS}, read=read)
    if answer.refusal is not None:
        return None
    pages = PageLoop(partial(_page, get, f"{path}/items", PageSize(100)), most=_PAGES)
    items: list[Any] = []
    while (page := await pages.next_page()) is not None:
        items += page.items
    if not pages.complete:
        return None
    batch = cast("Batch", answer.body)
    return replace(batch, items=parse_batch({"id": batch.id, "items": items}).items)


async def _page(get: Get, path: str, size: PageSize, cursor: str | None) -> ItemPage | None:
    answer = await ask_page(get, path, size, cursor, fields=ITEM_FIELDS)
    if answer.refusal is not None or not isinstance(answer.body, Mapping):
        return None
    listed = answer.body.get("items")
    after = (text(answer.body.get(name)) for name in ("next", "next_pq"))
    items = listed if isinstance(listed, list) else []
    return ItemPage(items, cursor_of(next(filter(None, after), None)))
