"""A few of many problems: the first in full, the others counted."""

from collections.abc import Callable, Hashable
from typing import Final

from msgspec.structs import replace

from batchrun.errors import Problem

MOST_SHOWN: Final = 20
"""Problems of a check that are made in full: the place of each may be read from a file."""


class Few:
    """Adds problems to *problems*, each once; beyond MOST_SHOWN the last one says how many more."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._known: set[Hashable] = set()
        self._shown = 0
        self._last = 0

    def add(self, known_by: Hashable, make: Callable[[], Problem | None]) -> None:
        """Add what *make* returns, unless a problem *known_by* the same was added."""
        if known_by in self._known:
            return
        self._known.add(known_by)
        if self._shown >= MOST_SHOWN:
            last = self._problems[self._last]
            self._problems[self._last] = replace(last, more=last.more + 1)
            return
        problem = make()
        if problem is not None and problem not in self._problems:
            self._last = len(self._problems)
            self._problems.append(problem)
            self._shown += 1
