"""When runs were, in small numbers, by the service's clock alone. Pure.

The service says when a run was created, when its work began and when it ended. Its `duration_ms` is
"wall clock" (runflow-api.md, section 6), and nothing says whether the queue is in that: it counts
only where the times don't say how long the run took.
"""

from msgspec import Struct

from batchrun.base.times import milliseconds, moment, seconds_between


class RunTimes(Struct, frozen=True, kw_only=True):
    """Milliseconds of one run; None is not known.

    *created* is since 1970. *whole* is from there to the end, *work* from the start to the end:
    the rest is the queue.
    """

    created: int | None
    whole: int | None
    work: int | None


def run_times(
    created_at: str | None,
    started_at: str | None,
    completed_at: str | None,
    duration_ms: int | None,
) -> RunTimes:
    """Return the times of a run, by the service's words; what makes no sense is not known."""
    created, whole = moment(created_at), _between(created_at, completed_at)
    queue = _between(created_at, started_at)
    return RunTimes(
        created=None if created is None else round(created.timestamp() * 1000),
        whole=milliseconds(duration_ms) if whole is None else whole,
        work=None if whole is None or queue is None or queue > whole else whole - queue,
    )


def _between(start: str | None, end: str | None) -> int | None:
    seconds = seconds_between(start, end)
    return None if seconds is None else round(seconds * 1000)
