"""Where the time of a cell's attempts went, by the lines of its ledger. Pure.

Our own times and the service's are never compared: their clocks differ. A wait whose two times
aren't both in the lines is left out. How long the limiter alone took is in no line: it is a part
of `sending`, and is not made up.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from batchrun.base.text import span
from batchrun.base.times import seconds_between
from batchrun.ledger.records import (
    AnyRecord,
    Finished,
    Intent,
    Rejected,
    Saved,
    Submitted,
)


class Wait(Struct, frozen=True, kw_only=True):
    """A stretch of time of one *attempt*: its *name*, its *seconds*, whose *clock* they are by.

    - `sending`: from the intent to its answer, the limiter's wait and the way there among it.
    - `looking up`: from the intent to the moment that its run was found again.
    - `queue`: from the run's creation to its start, `running`: from there to its end.
    - `queue and running`: both, where the start isn't known; `took` is all that the service says
      of a run without times.
    - `download`: from the line of the run's end to the line of its files.
    """

    attempt: int
    name: str
    seconds: float
    clock: str


WORDS: Final = {
    "sending": "sending {}, the limiter's wait among it",
    "looking up": "found again after {}",
    "queue": "queued {}",
    "running": "running {}",
    "queue and running": "queued and running {}",
    "took": "took {}",
    "download": "saved {} later",
}


def waits_of(records: Sequence[AnyRecord]) -> Iterator[Wait]:
    """Yield the waits of each attempt, in the order of the cell's lines."""
    intent: Intent | None = None
    ended: Finished | None = None
    for record in records:
        match record:
            case Intent():
                intent = record
            case Submitted() if intent is not None:
                name = "looking up" if record.adopted else "sending"
                yield from _ours(intent.attempt, name, intent.at, record.at)
            case Rejected() if intent is not None:
                yield from _ours(intent.attempt, "sending", intent.at, record.at)
            case Finished():
                ended = record
                yield from _of_run(record)
            case Saved(run_id=run_id) if ended is not None and ended.run_id == run_id:
                yield from _ours(ended.attempt, "download", ended.at, record.at)
                ended = None  # a file that is fetched again later is no wait
            case _:
                pass


def _of_run(record: Finished) -> Iterator[Wait]:
    """Yield the waits at the service, by its own clock."""
    created, started, completed = record.created_at, record.started_at, record.completed_at
    if started is not None:
        yield from _between(record.attempt, "queue", created, started, "service")
        yield from _between(record.attempt, "running", started, completed, "service")
        return
    both = list(_between(record.attempt, "queue and running", created, completed, "service"))
    if not both and record.duration_ms is not None and record.duration_ms >= 0:
        seconds = record.duration_ms / 1000
        both = [Wait(attempt=record.attempt, name="took", seconds=seconds, clock="service")]
    yield from both


def _ours(attempt: int, name: str, start: str, end: str) -> Iterator[Wait]:
    yield from _between(attempt, name, start, end, "ours")


def _between(
    attempt: int, name: str, start: str | None, end: str | None, clock: str
) -> Iterator[Wait]:
    """Yield the wait between two times, if both are known and in their order."""
    if (seconds := seconds_between(start, end)) is not None:
        yield Wait(attempt=attempt, name=name, seconds=seconds, clock=clock)


def in_words(waits: Sequence[Wait]) -> Iterator[str]:
    """Yield a line of words for each attempt."""
    attempts = dict.fromkeys(wait.attempt for wait in waits)
    for attempt in attempts:
        parts = [WORDS[w.name].format(exactly(w.seconds)) for w in waits if w.attempt == attempt]
        of = f" of attempt {attempt}" if len(attempts) > 1 else ""
        yield f"waits{of}: {', '.join(parts)}"


def exactly(seconds: float) -> str:
    """Spell a length of time, short ones with a tenth: `0.3 s`, `41 s`, `12 min`."""
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)
