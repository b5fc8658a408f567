"""Keeps the service's habits from one call to the next, as `learnt` lines of the ledger.

`runflow/service_profile.py` says what a habit is. It chooses between two ways that are both right.
So a line that is lost, or no longer true, costs calls and never a run. It is believed for a day;
whether a model takes batches is asked once a sweep.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from batchrun.ledger.file import Ledger
from batchrun.ledger.records import Learnt
from batchrun.runflow.service_profile import ServiceProfile

FRESH: Final = timedelta(days=1)
"""How long a habit is believed: the service may change."""


class ServiceHabits:
    """Habits in a client's *profile* of the service, and in the ledger."""

    def __init__(self, ledger: Ledger, profile: ServiceProfile) -> None:
        self._ledger = ledger
        self._profile = profile
        self._kept: set[Learnt] = set()
        for line in ledger.book.learnt.values():
            self._recall(line)

    def _recall(self, line: Learnt) -> None:
        profile = self._profile
        if line.model is not None and line.batches is not None:
            profile.takes_batches[line.model] = line.batches
        if self._ledger.now() - _time(line.at) > FRESH:
            return
        if line.model is not None and line.https:
            profile.wants_https.add(line.model)
        if line.model is None:
            profile.page_cap = line.page_cap
        self._kept.update(_lines(profile))

    async def learn_batches(self, model: str, *, takes: bool) -> bool:
        """Keep whether *model* takes batches; False if that is no news.

        A model that took a batch once takes batches: a later refusal speaks of an input.
        """
        known = self._profile.takes_batches.get(model)
        if known is not None and known >= takes:
            return False
        self._profile.takes_batches[model] = takes
        await self._ledger.append(Learnt(model=model, batches=takes))
        return True

    async def keep(self) -> None:
        """Write the habits that the profile has learnt and the ledger doesn't have."""
        news = [line for line in _lines(self._profile) if line not in self._kept]
        self._kept.update(news)
        await self._ledger.append(*news)


def _lines(profile: ServiceProfile) -> list[Learnt]:
    """Return a line for the service, where it caps its pages, and for each model with habits."""
    service = [] if profile.page_cap is None else [Learnt(page_cap=profile.page_cap)]
    return [*service, *(Learnt(model=model, https=True) for model in sorted(profile.wants_https))]


def _time(text: str) -> datetime:
    """Return the moment of a line; a text that is no time is long ago."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
