"""Lists of runs, page by page, from services that may refuse or misread what they are asked.

A part is never taken for the whole: a run that a list left out would be created, and paid, again.
"""

from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, Generic, Protocol, TypeVar, cast

from msgspec.structs import replace

from batchrun.errors import TooLargeAnswerError
from batchrun.runflow import wire
from batchrun.runflow.get_outcomes import LISTED, REFUSALS, STILL_REFUSED, Answer
from batchrun.runflow.http.requests import Requests
from batchrun.runflow.inline import weight
from batchrun.runflow.retry import Calls
from batchrun.runflow.service_profile import ServiceProfile
from batchrun.runflow.wire import Page, Run

_FOREIGN_PAGES: Final = 10  # of 500 runs: further we don't search in a list that isn't filtered
_PAGES: Final = 2000
LARGEST_PAGE: Final = 500  # what the API's documents allow
_PLAIN_PAGE: Final = 100  # what a service may still give that refuses that
_SMALLER: Final = 10  # so many times smaller is the page after one that was too large
_LIGHT: Final = 2**20  # bytes of a page that has no media in it, most likely

UNREAD: Final = (
    "the service's list of runs has elements that are no runs; they are passed over, and such a "
    "list is no proof that a run doesn't exist"
)


class OnePage(Protocol):
    """A page of any list: *next* is the cursor of the page after it, None where it is the last."""

    @property
    def next(self) -> str | None: ...


P = TypeVar("P", bound=OnePage)


class PageLoop(Generic[P]):
    """Follows the pages of one list, each once: a list may lead in a circle.

    *complete* is True once the last page was had, *refused* once the service refused one.
    """

    def __init__(self, ask: Callable[[str | None], Awaitable[P | None]], *, most: int) -> None:
        self.complete = False
        self.refused = False
        self._ask = ask
        self._most = most
        self._cursor: str | None = None
        self._seen: set[str | None] = set()

    async def next_page(self) -> P | None:
        """Return the next page; None where there is none, or none that leads further."""
        if self.complete or self._cursor in self._seen or len(self._seen) >= self._most:
            return None
        self._seen.add(self._cursor)
        page = await self._ask(self._cursor)
        if page is None:
            self.refused = True
            return None
        self._cursor, self.complete = page.next, page.next is None
        return page


class PageSize:
    """How many items a page is asked for: fewer once one was too large."""

    def __init__(self, largest: int) -> None:
        self.most = largest

    def shrink(self) -> bool:
        """Ask for smaller pages from now on; False where they can't be smaller."""
        before, self.most = self.most, max(1, self.most // _SMALLER)
        return self.most < before


async def ask_page(
    get: Callable[..., Awaitable[Answer]],
    path: str,
    size: PageSize,
    cursor: str | None,
    **params: str,
) -> Answer:
    """Return the page at *cursor* of what *path* lists, which becomes smaller as it must.

    Raises TooLargeAnswerError where a page of one item is too large.
    """
    chosen = params | ({} if cursor is None else {"pq": cursor})
    while True:
        try:
            return await get(path, params={"limit": str(size.most)} | chosen)
        except TooLargeAnswerError:
            if not size.shrink():
                raise


class RunList(list[Run]):
    """The runs of one reference, as far as a list shows them.

    Where it isn't *whole*, the list had elements that could not be read: a run that is not in it
    may exist all the same.
    """

    def __init__(self, runs: Iterable[Run] = (), *, whole: bool = True) -> None:
        super().__init__(runs)
        self.whole = whole


class Listing:
    """Asks for lists of runs, and notes in *profile* what the service refuses."""

    def __init__(
        self,
        calls: Calls,
        requests: Requests,
        profile: ServiceProfile,
        log: Callable[[str], None],
    ) -> None:
        self._profile = profile
        self._calls = calls
        self._requests = requests
        self._log = log
        self._warned: set[str] = set()
        self._size = PageSize(LARGEST_PAGE)

    async def newest_page(self, cursor: str | None) -> Page | None:
        """Return a page of all runs, the newest first, or None if the service refuses that.

        No filter by time is ever sent: there are two spellings of such a filter, and one that is
        taken wrongly would show an empty list, which reads as "no run".
        """
        return await self._page({"sort_by": "created_at:desc"}, cursor=cursor)

    async def filtered_page(self, client_ref: str) -> Page | None:
        """Return the first page of the list by *client_ref* as it is, or None if it is refused."""
        return await self._list_wave(client_ref, frozenset(), None)

    async def runs_of(
        self, client_ref: str, *, over: AbstractSet[str] = frozenset()
    ) -> RunList | None:
        """Return all runs that carry *client_ref*, or None where that can't be known.

        Runs that are *over*, by id, are left out: all is known of them.

        Not known: the service refuses the filter, ignores it and has too many runs to search, pages
        in a circle, or doesn't show the references of runs. A part is never returned for the whole:
        the runs missing from it would be created, and paid, again.
        """
        found: dict[str, Run] = {}
        foreign = unread = 0
        full: int | None = None
        references: set[str | None] = set()
        ask = partial(self._list_wave, client_ref, over)
        pages = PageLoop(ask, most=_PAGES)
        while foreign < _FOREIGN_PAGES and (page := await pages.next_page()) is not None:
            ours = {run.id: run for run in page.runs if run.client_ref == client_ref}
            found |= ours
            unread += page.unread
            if self._size.most == LARGEST_PAGE:  # else the cap is ours
                full = self._profile.note_page(page, len(ours) + page.over, full)
            shown = {run.client_ref for run in page.runs} | ({client_ref} if page.over else set())
            references |= shown
            if shown - {client_ref}:
                foreign += 1
                self._say_once("the service lists runs of other references than it was asked for")
        if pages.complete:
            # A list that shows no other reference may have left ours out.
            silent = None in references <= {None, client_ref}
            return None if silent else RunList(found.values(), whole=not unread)
        if not pages.refused:
            self._say_once("the service's list of runs has no end that we could find")
        return None

    async def _list_wave(
        self, client_ref: str, over: AbstractSet[str], cursor: str | None
    ) -> Page | None:
        params = {"q": f"client_ref.EQ:'{_unquoted(client_ref)}'", "sort_by": "created_at:asc"}
        return await self._page(params, cursor=cursor, over=over)

    # One page, with fewer demands where the service refuses, or gives too much.

    async def _page(
        self,
        params: dict[str, str],
        *,
        cursor: str | None,
        over: AbstractSet[str] = frozenset(),
    ) -> Page | None:
        while True:
            try:
                return await self._page_of(params, cursor=cursor, over=over)
            except TooLargeAnswerError as error:
                if not self._ask_for_less():
                    self._say_once(f"a list of single runs can't be had: {error}")
                    return None

    def _ask_for_less(self) -> bool:
        """Have the next page leave outputs out, or be smaller; False where it can't be smaller."""
        if not (self._profile.large_outputs or self._profile.refuses_fields):
            self._profile.large_outputs = True
            return True
        return self._size.shrink()

    async def _page_of(
        self,
        params: dict[str, str],
        *,
        cursor: str | None,
        over: AbstractSet[str] = frozenset(),
    ) -> Page | None:
        paging = {"limit": str(self._size.most)} | ({} if cursor is None else {"pq": cursor})
        if not self._profile.refuses_fields:
            fields = wire.LIGHT_FIELDS if self._profile.large_outputs else wire.RUN_FIELDS
            full = params | paging | {"fields": fields}
            answer = await self._ask(full, over)
            if answer.refusal is None:
                return cast("Page", answer.body)
            if answer.http_status not in REFUSALS:  # it isn't about our demands
                self._say_refused(answer)
                return None
        # Refused, but perhaps only for what we can do without.
        plain = params | paging | {"limit": str(min(self._size.most, _PLAIN_PAGE))}
        if params["sort_by"].endswith(":asc"):
            del plain["sort_by"]
        answer = await self._ask(plain, over)
        if answer.refusal is not None:
            self._say_refused(answer)
            return None
        self._profile.refuses_fields = True
        return cast("Page", answer.body)

    def _say_refused(self, answer: Answer) -> None:
        self._say_once(f"the service refuses to list runs ({answer.refusal})")

    async def _ask(self, params: dict[str, str], over: AbstractSet[str]) -> Answer:
        request = self._requests.get("/v1/runs", params)
        refuses = self._profile.refuses_lists
        terms = STILL_REFUSED if refuses else LISTED
        answer = await self._calls.ask(request, partial(wire.parse_page, over=over), terms)
        if answer.http_status not in REFUSALS:
            why = answer.refusal and f"HTTP {answer.http_status} {answer.refusal}"
            self._profile.refuses_lists = why or ""
        if isinstance(answer.body, Page) and answer.body.unread:
            self._say_once(UNREAD)
        if answer.size <= _LIGHT or answer.body is None:
            return answer
        return replace(answer, body=self._without_media(answer.body))

    def _without_media(self, page: Page) -> Page:
        """Return a page whose runs don't hold media: they are asked for by id, one at a time."""
        heavy = {run.id for run in page.runs if weight(run.output)}
        self._profile.large_outputs |= bool(heavy)
        runs = (replace(run, output=None) if run.id in heavy else run for run in page.runs)
        return replace(page, runs=tuple(runs))

    def _say_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._log(message)


def _unquoted(value: str) -> str:
    """No escape is documented; our own references never hold a quote."""
    if "'" in value:
        raise ValueError("a client_ref with a quote can't be searched for")
    return value
