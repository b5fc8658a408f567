"""Asks for the runs of a wave by the list's filter, and knows whether it may be believed.

**An empty list counts only after the same filter has shown, in this process, a run that we know.**
The documents name the filter, and nothing says that a service has it. A service that ignores an
unknown filter may answer with an empty list. The last look-up at a wave once believed such a list,
from a filter that had never shown a run: a second run of a cell was never found.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from batchrun.engine.context import Context
from batchrun.runflow.pagination import RunList

ONE_BY_ONE: Final = "runs are asked for one by one"
REFUSED: Final = f"the service's list can't be filtered by client_ref; {ONE_BY_ONE}"


class RefFilter:
    """The filter. The facts known of it stand in the client's profile of the service."""

    def __init__(self, context: Context) -> None:
        self._profile = context.client.profile
        self._client = context.client
        self._book = context.ledger.book
        self._progress = context.progress

    async def runs_of(self, ref: str, *, over: AbstractSet[str] = frozenset()) -> RunList | None:
        """Return the runs of a wave as the filter shows them, None where it is refused.

        Runs that are *over*, by id, are left out.
        """
        if self._profile.refuses_filter:
            return None
        runs = await self._client.runs_of(ref, over=over)
        if runs is None:
            self._profile.refuses_filter = True
            why = self._profile.refuses_lists
            refuses = f"the service refuses to list runs ({why}); {ONE_BY_ONE}"
            self._progress.note(refuses if why else REFUSED)
        return runs

    async def prove(self) -> bool:
        """Say whether the filter has ever shown a run that we know; try the newest one."""
        newest = self._book.newest
        if not self._profile.filter_proven and newest is not None:
            runs = await self.runs_of(newest.client_ref) or ()
            self._profile.filter_proven = any(run.id == newest.run_id for run in runs)
        return self._profile.filter_proven
