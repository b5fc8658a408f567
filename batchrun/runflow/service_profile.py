"""The service as it has shown itself: what it takes, and what it refuses. Pure.

All facts that choose how the service is asked stand here, and nowhere else. There are three kinds:

- **Habits** choose the cheaper of two ways that are both right. They may be kept from one process
  to the next. A habit that is no longer true costs calls, and nothing else.
- **Refusals** of lists are met anew by each process. Before the first send the list is asked for
  runs that the ledger doesn't know; a refusal that was kept would leave that question out, and an
  old copy of a ledger would pay for its lost runs again.
- **Proofs** permit a send: only with one does a run that is not shown count as missing. They hold
  in the process that saw them, and are never kept. By the next call the service, its gateway or
  the key may be another.
"""

from datetime import datetime, timedelta

from msgspec import Struct, field

from batchrun.runflow.wire import Page


class ServiceProfile(Struct):
    """Facts of one service, learnt by the parts that ask it."""

    # Habits.
    takes_batches: dict[str, bool] = field(default_factory=dict)  # by model
    wants_https: set[str] = field(default_factory=set)  # models that refuse `runflow://`
    page_cap: int | None = None  # runs on a page, where another followed
    most_shown: int = 0  # runs of ours on one page

    # Refusals.
    refuses_filter: bool = False  # of a list by client_ref
    refuses_lists: str = ""  # how it refuses them, whatever is asked; until one is shown
    refuses_fields: bool = False  # of a list; and large pages with it
    large_outputs: bool = False  # on pages of runs, which are asked for without outputs then

    # Clocks.
    created_behind: timedelta | None = None  # so far `created_at` was behind `Date`, at most

    # Proofs.
    filter_proven: bool = False  # the filter has shown a run that the ledger knows
    tags_shown: bool = False  # a run that was asked for by id has shown its tag

    def note_created(self, created_at: datetime | None, date: datetime | None) -> None:
        """Note that a run was created when the service's `Date` was about *date*, or later."""
        if created_at is not None and date is not None:
            behind = max(timedelta(0), date - created_at)
            self.created_behind = max(self.created_behind or timedelta(0), behind)

    def note_page(self, page: Page, ours: int, before: int | None) -> int | None:
        """Note a page with so many runs of *ours*; return *ours* if there was nothing else on it.

        *before* is what was returned for the page before. A cursor alone is no sign of a cap: it
        may lead to an empty page.
        """
        self.most_shown = max(self.most_shown, ours)
        shown = len(page.runs) + page.over
        if before and shown:
            self.page_cap = before
        return ours if ours == shown else None
