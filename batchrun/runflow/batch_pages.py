"""A batch that is too large for one answer, put together from small ones.

What makes it large are the inputs and outputs that it shows. So it is asked for without them, and
its items page by page (runflow-api.md, section 8).
"""

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from batchrun.runflow.batches import Batch, parse_batch
from batchrun.runflow.lenient import text
from batchrun.runflow.pagination import PageLoop, PageSize, in_smaller_pages
from batchrun.runflow.retry import Answer
from batchrun.runflow.wire import cursor_of

BATCH_FIELDS: Final = "id,status_code,metadata,created_at"
ITEM_FIELDS: Final = "id,sequence_index,run_id,status_code,client_ref,error"
_PAGES: Final = 200


class Get(Protocol):
    """Asks for a path, with parameters; TooLargeAnswerError where the answer is too large."""

    def __call__(self, path: str, *, params: Mapping[str, str]) -> Awaitable[Answer]: ...


class ItemPage(Struct, frozen=True):
    """A page of items as they came; *next* is the cursor of the page after it."""

    items: list[Any]
    next: str | None


async def batch_in_pages(get: Get, path: str) -> Batch | None:
    """Return the batch at *path*, None if the API refuses a part of it or shows no end of it.

    Raises TooLargeAnswerError where a part is too large by itself.
    """
    answer = await get(path, params={"fields": BATCH_FIELDS})
    if answer.refusal is not None:
        return None
    pages = PageLoop(partial(_page, get, f"{path}/items", PageSize(100)), most=_PAGES)
    items: list[Any] = []
    while (page := await pages.next_page()) is not None:
        items += page.items
    if not pages.complete:
        return None
    batch = parse_batch(answer.body)
    return replace(batch, items=parse_batch({"id": batch.id, "items": items}).items)


async def _page(get: Get, path: str, size: PageSize, cursor: str | None) -> ItemPage | None:
    def ask(most: int) -> Awaitable[Answer]:
        params = {"limit": str(most), "fields": ITEM_FIELDS}
        return get(path, params=params if cursor is None else params | {"pq": cursor})

    answer = await in_smaller_pages(size, ask)
    if answer.refusal is not None or not isinstance(answer.body, Mapping):
        return None
    listed = answer.body.get("items")
    after = (text(answer.body.get(name)) for name in ("next", "next_pq"))
    items = listed if isinstance(listed, list) else []
    return ItemPage(items, cursor_of(next(filter(None, after), None)))
