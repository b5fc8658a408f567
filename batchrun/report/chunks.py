"""Rows of the results as chunks of columns: what the page needs of all, and of what is shown. Pure.

An *overview* has what rows are laid out and filtered by, and what plots are drawn from. The page
reads all of them when it opens.
The *details* of a chunk it reads when a tile of it comes on the screen.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from batchrun.manifest.cells import plain
from batchrun.report.columns import ABSENT, Packed, packed
from batchrun.report.run_times import run_times
from batchrun.results.rows import COLUMNS, PointRow

OVERVIEW: Final = (
    "alias",
    "replicate",
    "status",
    "cost",
    "shared",
    "created_at",
    "completed_at",
    "duration_ms",
    "failure_code",
)
"""The columns of the results that stand in an overview, behind the axes: no axis has their names.

Those of times are numbers here, for room and speed: see `_overview_of`.
"""

DETAILS: Final = ("cell", "run_id", "attempts", "completed_at", "failure_message")

ROWS: Final = 4000
"""Rows of a chunk: few enough that one file is read in a moment, and few files for 100,000."""


class ShownFile(Struct, frozen=True, kw_only=True):
    """A file as the page has it; *thumbnail* is the address of a small picture of it."""

    path: str
    bytes: int
    content_type: str | None
    thumbnail: str | None = None

    def as_list(self) -> list[Any]:
        return [self.path, self.bytes, self.content_type, self.thumbnail]


class ShownLogs(Struct, frozen=True, kw_only=True):
    """The file that keeps the logs of a run, and as text their end: "" where it isn't read."""

    path: str
    end: str = ""

    def as_list(self) -> list[Any]:
        return [self.path, self.end]


class Chunk:
    """Rows that are gathered until there are ROWS of them."""

    def __init__(self) -> None:
        self._overview: list[Mapping[str, Any]] = []
        self._details: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._overview)

    @property
    def axes(self) -> dict[str, None]:
        """The axes of its rows, in the order in which they came."""
        names = (name for values in self._overview for name in values if name not in _OURS)
        return dict.fromkeys(names)

    def add(self, row: PointRow, files: Sequence[ShownFile], logs: ShownLogs | None = None) -> None:
        """Take in one more row; *logs* are those of its run, where they are kept."""
        self._overview.append(_overview_of(row))
        shown = [row.values[name] for name in DETAILS]
        self._details.append(
            [
                *shown,
                plain(row.cell.input),
                [each.as_list() for each in files],
                None if logs is None else logs.as_list(),
            ]
        )

    def overview(self) -> dict[str, Packed]:
        names = (*self.axes, *OVERVIEW)
        return {
            name: packed([values.get(name, ABSENT) for values in self._overview]) for name in names
        }

    def details(self) -> dict[str, Packed]:
        columns = zip(*self._details, strict=True)
        names = (*DETAILS, "input", "files", "logs")
        return {name: packed(column) for name, column in zip(names, columns, strict=True)}


def _overview_of(row: PointRow) -> dict[str, Any]:
    """Return the row with its times in ms: of creation, from there to the end, of work alone."""
    values = row.values
    times = run_times(
        values["created_at"], row.started_at, values["completed_at"], values["duration_ms"]
    )
    numbers = {
        "created_at": times.created,
        "completed_at": times.whole,
        "duration_ms": times.work,
    }
    return values | numbers


_OURS: Final = frozenset(COLUMNS)
