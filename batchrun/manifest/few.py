"""A few of many problems: the first in full, the others counted."""

from collections.abc import Callable, Hashable
from typing import Final

from msgspec.structs import replace

from batchrun.errors import MOST_LISTED, Problem

_ALONE: Final = object()


class Few:
    """Adds problems to *problems*; beyond MOST_LISTED the last one says how many more there are.

    The place of each may be read from a file, so no more than that are made in full.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._known: set[Hashable] = set()
        self._shown = 0
        self._last = 0

    def add(
        self, found: Problem | Callable[[], Problem | None], known_by: Hashable = _ALONE
    ) -> None:
        """Add a problem, or what makes it, unless one *known_by* the same was added."""
        if known_by is not _ALONE:
            if known_by in self._known:
                return
            self._known.add(known_by)
        if self._shown >= MOST_LISTED:
            last = self._problems[self._last]
            self._problems[self._last] = replace(last, more=last.more + 1)
            return
        problem = found() if callable(found) else found
        if problem is not None and problem not in self._problems:
            self._last = len(self._problems)
            self._problems.append(problem)
            self._shown += 1
