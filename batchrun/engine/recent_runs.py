"""Walks the newest runs of the organisation: the look-up that needs no filter.

It is complete only if it got past the moment from which on a run of ours may have been created, in
the service's time, or to the end of the list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from batchrun.engine.run_tag import is_ours
from batchrun.runflow.client import Client
from batchrun.runflow.pagination import PageLoop
from batchrun.runflow.wire import Page, Run

MOST_PAGES: Final = 40
MARGIN: Final = timedelta(minutes=5)
"""How far before the first run that may be ours a walk goes: clocks differ."""

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""The horizon of a walk that goes to the end of the list."""


@dataclass(frozen=True, slots=True)
class RecentRuns:
    """The runs since *horizon* that a walk saw which began at *asked* (the loop's clock).

    *unidentified* are runs whose owner stays unknown after they were asked for by id. *to_the_end*:
    no page followed, as the list says. *whole*: each element of the pages was read as a run.
    """

    asked: float
    horizon: datetime
    runs: tuple[Run, ...]
    unidentified: tuple[Run, ...] = ()
    to_the_end: bool = False
    whole: bool = True


class PageOrder:
    """Whether the pages really come newest first; only then a walk may end early."""

    def __init__(self) -> None:
        self._kept = True
        self._fell = False  # a single run, or equal times, don't show that the service sorts at all
        self._last: datetime | None = None

    def passed(self, page: Page, horizon: datetime) -> bool:
        """Note one more page; say whether all that may follow is older than *horizon*."""
        for run in page.runs:
            moment = run.created_at
            if moment is None or (self._last is not None and moment > self._last):
                self._kept = False
            elif self._last is not None and moment < self._last:
                self._fell = True
            self._last = moment or self._last
        return self._kept and self._fell and self._last is not None and self._last < horizon


async def newest_runs(client: Client, sweep: str) -> list[Run]:
    """Return the runs of this sweep among the newest of all; none where there is no such list."""
    return runs_on(await client.newest_page(), sweep)


def runs_on(page: Page | None, sweep: str) -> list[Run]:
    """Return the runs of this sweep on a page of all runs; None is a page that was refused."""
    return [run for run in (page.runs if page else ()) if is_ours(run, sweep)]


async def recent_runs(
    client: Client,
    horizon: datetime,
    asked: float,
    *,
    most_pages: int = MOST_PAGES,
    wanted: Callable[[Run], bool] = lambda _: True,
) -> RecentRuns | None:
    """Return all runs created since *horizon* that are *wanted*, or None if they can't be had."""
    found: list[Run] = []
    unread = 0
    order = PageOrder()
    pages = PageLoop(client.newest_page, most=most_pages)
    while (page := await pages.next_page()) is not None:
        found.extend(run for run in page.runs if wanted(run))
        unread += page.unread
        if order.passed(page, horizon) or pages.complete:
            return RecentRuns(
                asked, horizon, tuple(found), to_the_end=pages.complete, whole=not unread
            )
    return None
