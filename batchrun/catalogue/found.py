"""The mistakes of a whole grid, grouped and counted. Pure.

Those of one kind, of one input of one model, are a group. In it they are counted by value, up to
`MOST_VALUES` of them; the cells with yet other values are counted together.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.local_file import LocalFile
from batchrun.catalogue.mistakes import Mistake
from batchrun.catalogue.proof import About, Question
from batchrun.catalogue.rules import Kind
from batchrun.manifest.cells import Cell

MOST_VALUES: Final = 1000
"""Values of one group that are counted one by one."""

GroupKey = tuple[str, str, Kind]
"""Alias, sent name, and what is wrong."""


def has_file(value: Any) -> bool:
    """Say whether a local file stands in a value, at any depth."""
    if isinstance(value, Mapping):
        return any(map(has_file, value.values()))
    return isinstance(value, LocalFile) or (
        isinstance(value, list | tuple) and any(map(has_file, value))
    )


class Count(Struct):
    """One mistake, in how many cells it is, and the first one's place in the grid's order.

    *proven* is whether a succeeded run contradicts the description.
    """

    mistake: Mistake
    model: str
    alias: str
    first: int
    cells: int = 0
    proven: bool = False

    @property
    def certain(self) -> bool:
        """Whether the description rules it out, and nothing speaks against that."""
        return self.mistake.wrong.certain and not self.proven

    @property
    def question(self) -> Question | None:
        """What a succeeded run could answer; None of files, which aren't sent as they are."""
        mistake, about = self.mistake, About.VALUE
        if mistake.kind is Kind.UNKNOWN:
            about = About.GIVEN
        elif mistake.token is None:
            about = About.ABSENT
        elif has_file(mistake.value):
            return None
        return Question(self.model, mistake.name, about, mistake.token)


class Group(Struct):
    """The mistakes of one kind in one input of one model, by the tokens of their values.

    *others* are those of further values, by whether they are certain: no run is asked about them.
    """

    by_value: dict[Any, Count] = field(default_factory=dict)
    others: dict[bool, Count] = field(default_factory=dict)

    def counts(self, *, certain: bool) -> list[Count]:
        """Return the counts that are *certain*, or those that aren't."""
        counts = (*self.by_value.values(), *self.others.values())
        return [count for count in counts if count.certain is certain]


class Found:
    """What is wrong in the cells that were looked at."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def groups(self) -> Iterable[Group]:
        return self._groups.values()

    def items(self) -> Iterable[tuple[GroupKey, Group]]:
        return self._groups.items()

    def add(self, cell: Cell, mistake: Mistake) -> None:
        key = cell.alias, mistake.name, mistake.kind
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group()
        counts: dict[Any, Count] = group.by_value
        token = mistake.token
        if token not in counts and len(counts) >= MOST_VALUES:
            counts, token = group.others, mistake.wrong.certain
        count = counts.get(token)
        if count is None:
            count = counts[token] = Count(
                mistake=mistake, model=cell.model, alias=cell.alias, first=cell.ordinal
            )
        count.cells += 1

    def questions(self) -> set[Question]:
        """Return what succeeded runs are asked."""
        counts = (count for group in self.groups for count in group.by_value.values())
        asked = (count.question for count in counts if count.certain)
        return {question for question in asked if question is not None}

    def take(self, proven: Container[Question | None]) -> None:
        """Turn what succeeded runs have *proven* into warnings."""
        for group in self.groups:
            for count in group.by_value.values():
                count.proven = count.question in proven
