"""What the page says of the whole sweep, above its tiles. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from batchrun.report.throttle_bins import ThrottleBins

SCHEMA: Final = 1
"""Version of what stands in a page; its own code reads it, and nothing else does."""

DATA: Final = "report/data"
"""Where the chunks of a sweep's page are, below the folder of the page."""

COUNTS: Final = (
    "cells",
    *("succeeded", "partial_succeeded", "failed", "rejected", "cancelled"),
    *("parked", "in_doubt", "pending", "in_flight"),
    *("unsaved", "lost", "orphaned", "folded"),
)


class ChunkNames(Struct, frozen=True):
    """The names of a chunk's overview and details, and how many *rows* it has."""

    rows: int
    overview: str
    details: str


class SweepOnPage(Struct, frozen=True, kw_only=True):
    """One of the sweeps of a page of several. Its *rows* stand behind those of the ones before it.

    *value* is what the axis of labels has for it, *problem* why it isn't there, or not all of it.
    The rest is as in Head.
    """

    sweep: str
    label: str | None
    value: str
    folder: str
    rows: int
    counts: Mapping[str, int]
    cost: str
    first_at: str | None
    last_at: str | None
    complete: bool
    models: Mapping[str, str]
    problem: str | None


class Head(Struct, frozen=True, kw_only=True):
    """A sweep as a whole. Times are in UTC; *calls* is how many calls have begun it or gone on.

    *models* are the ids of models by their aliases, *next* is how to go on. *undrawn* counts the
    pictures without a thumbnail, for which there was no time. *sweep* is its id: the page keeps
    marks by it. *throttles* are the 429s of all calls. *sweeps* are those of a page of several,
    which has no id; *data* is the folder of the chunks, below the page's.
    """

    name: str
    label: str | None
    endpoint: str
    simulated: bool
    folder: str
    counts: Mapping[str, int]
    cost: str
    written_at: str
    first_at: str | None = None
    last_at: str | None = None
    calls: int = 0
    complete: bool = False
    next: str = ""
    failures: Sequence[Mapping[str, Any]] = ()
    models: Mapping[str, str] = {}
    axes: Sequence[str] = ()
    chunks: Sequence[ChunkNames] = ()
    undrawn: int = 0
    sweep: str = ""
    throttles: ThrottleBins = ThrottleBins()
    sweeps: Sequence[SweepOnPage] = ()
    data: str = DATA

    def as_dict(self) -> dict[str, Any]:
        """Return it for the page."""
        chunks = [asdict(each) for each in self.chunks]
        failures = [
            {name: each[name] for name in ("alias", "code", "message", "count")}
            for each in self.failures
        ]
        sweeps = [asdict(each) for each in self.sweeps]
        lists = {"chunks": chunks, "failures": failures, "sweeps": sweeps}
        return {"schema": SCHEMA, **asdict(self), **lists, "throttles": asdict(self.throttles)}

    @property
    def title(self) -> str:
        """The name, and the label where there is one."""
        if self.sweeps:
            return f"{self.name} by label"
        return self.name if self.label is None else f"{self.name} @{self.label}"
