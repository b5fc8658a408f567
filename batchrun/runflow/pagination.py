"""Lists of runs, page by page, from services that may refuse or misread what they are asked.

A part is never taken for the whole: a run that a list left out would be created, and paid, again.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Final, cast

from msgspec import Struct

from batchrun.runflow import wire
from batchrun.runflow.http.requests import Requests
from batchrun.runflow.retry import Answer, Calls
from batchrun.runflow.wire import Page, Run

_FOREIGN_PAGES: Final = 10  # of 500 runs: further we don't search in a list that isn't filtered
_PAGES: Final = 2000


class Pages(Struct):
    """What listings have shown of the service's pages: the most runs, and where pages end."""

    most_shown: int = 0
    cap: int | None = None

    def note(self, page: Page, ours: int, before: int | None) -> int | None:
        """Note a page with so many runs of *ours*; return those if there was nothing else on it.

        *before* is what was returned for the page before. A cursor alone is no sign of a cap: it
        may lead to an empty page.
        """
        self.most_shown = max(self.most_shown, ours)
        shown = len(page.runs) + page.over
        if before and shown:
            self.cap = before
        return ours if ours == shown else None


class Listing:
    """Asks for lists of runs, and learns what the service refuses."""

    def __init__(self, calls: Calls, requests: Requests, log: Callable[[str], None]) -> None:
        self.pages = Pages()
        self._calls = calls
        self._requests = requests
        self._log = log
        self._warned: set[str] = set()
        self._plain_lists = False

    async def list_runs(
        self,
        *,
        client_ref: str | None = None,
        created_after: datetime | None = None,
        cursor: str | None = None,
        limit: int = 500,
        newest_first: bool = False,
        over: AbstractSet[str] = frozenset(),
    ) -> Page | None:
        """Return one page, or None if the service refuses the question.

        *created_after* is never sent: there are two spellings of such a filter, and one that is
        taken wrongly would show an empty list, which reads as "no run". Runs before it are left
        out here, and so are those that are *over*; where the page is seen to go from new to old,
        the listing ends with it.
        """
        params: dict[str, str] = {}
        if client_ref is not None:
            params["q"] = f"client_ref.EQ:'{_unquoted(client_ref)}'"
        params["sort_by"] = "created_at:desc" if newest_first else "created_at:asc"
        page = await self._page(params, cursor=cursor, limit=limit, over=over)
        return page if page is None or created_after is None else _cut(page, created_after)

    async def runs_of(
        self, client_ref: str, *, over: AbstractSet[str] = frozenset()
    ) -> list[Run] | None:
        """Return all runs that carry *client_ref*, or None where that can't be known.

        Of those that are *over*, by id, all is known that will ever be: they are left out.

        Not known: the service refuses the filter, ignores it and has too many runs to search, pages
        in a circle, or doesn't show the references of runs. A part is never returned for the whole:
        the runs missing from it would be created, and paid, again.
        """
        found: dict[str, Run] = {}
        cursors: set[str | None] = {None}
        cursor: str | None = None
        foreign = 0
        full: int | None = None
        references: set[str | None] = set()
        while len(cursors) < _PAGES and foreign < _FOREIGN_PAGES:
            page = await self.list_runs(client_ref=client_ref, cursor=cursor, over=over)
            if page is None:
                return None
            ours = {run.id: run for run in page.runs if run.client_ref == client_ref}
            found |= ours
            full = self.pages.note(page, len(ours) + page.over, full)
            shown = {run.client_ref for run in page.runs} | ({client_ref} if page.over else set())
            references |= shown
            if shown - {client_ref}:
                foreign += 1
                self._say_once("the service lists runs of other references than it was asked for")
            cursor = page.next
            if cursor is None:
                # A list that shows nobody else's reference may have left ours out.
                silent = None in references <= {None, client_ref}
                return None if silent else list(found.values())
            if cursor in cursors:
                break
            cursors.add(cursor)
        self._say_once("the service's list of runs has no end that we could find")
        return None

    # One page, with fewer demands where the service refuses.

    async def _page(
        self,
        params: dict[str, str],
        *,
        cursor: str | None,
        limit: int,
        over: AbstractSet[str],
    ) -> Page | None:
        paging = {"limit": str(limit)} | ({} if cursor is None else {"pq": cursor})
        if not self._plain_lists:
            full = params | paging | {"fields": wire.RUN_FIELDS}
            answer = await self._ask(full, over)
            if answer.refusal is None:
                return cast("Page", answer.body)
        # Refused, but perhaps only for what we can do without.
        plain = params | paging | {"limit": str(min(limit, 100))}
        if params["sort_by"].endswith(":asc"):
            del plain["sort_by"]
        answer = await self._ask(plain, over)
        if answer.refusal is not None:
            self._say_once(f"the service refuses to list runs ({answer.refusal})")
            return None
        self._plain_lists = True
        return cast("Page", answer.body)

    async def _ask(self, params: dict[str, str], over: AbstractSet[str]) -> Answer:
        request = self._requests.get("/v1/runs", params)
        return await self._calls.ask(request, partial(wire.parse_page, over=over))

    def _say_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._log(message)


def _unquoted(value: str) -> str:
    """No escape is documented; our own references never hold a quote."""
    if "'" in value:
        raise ValueError("a client_ref with a quote can't be searched for")
    return value


def _cut(page: Page, created_after: datetime) -> Page:
    moments = [run.created_at for run in page.runs if run.created_at is not None]
    falling = len(moments) > 1 and moments == sorted(moments, reverse=True)
    # A single run, or equal times, don't show that the service sorts at all.
    ended = falling and moments[0] > moments[-1] and moments[-1] < created_after
    runs = (run for run in page.runs if run.created_at is None or run.created_at >= created_after)
    return Page(runs=tuple(runs), next=None if ended else page.next)
