"""How many calls and how much time a sweep takes at its limits. Pure.

A plain sum, not a rehearsal: the slots are shared, each model has its own limit, calls are paced,
and a wave is looked at as often as `engine/poll_schedule.py` says. Retries, refusals, and the
service's queue are in it only as far as they are in the durations that were learnt.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from msgspec import Struct

from batchrun.engine.poll_schedule import SINGLE_POLL_VALUE, poll_value
from batchrun.settings import Settings

BESIDE: Final = 5
"""Calls of a whole sweep that no run asks for: key, account, the first and the last look."""

PER_UPLOAD: Final = 2
"""Calls for a file: to get a place, and to confirm it; the file itself goes elsewhere. For one that
an earlier call has uploaded there is a single call: whether it is still there."""


class Effort(Struct, frozen=True, kw_only=True):
    """*calls* of the API, and *seconds*; None where no run of a model has shown how long it takes.

    *unknown* names those models; then *calls* are the least that there will be.
    """

    calls: int
    seconds: float | None
    unknown: tuple[str, ...] = ()


class Work(Struct, frozen=True, kw_only=True):
    """The cells of one model; *durations* are seconds of its newest runs."""

    alias: str
    cells: int
    durations: Sequence[float]


def effort(
    work: Sequence[Work],
    settings: Settings,
    *,
    uploads: int = 0,
    uploaded: int = 0,
    batched: Mapping[str, bool],
) -> Effort:
    """Return what the *work* takes; *batched* are the aliases whose models take batches.

    *uploads* are the files to upload, *uploaded* those that it sends and that were uploaded before.
    """
    work = [each for each in work if each.cells]
    files = uploads * PER_UPLOAD + uploaded
    posts = files + sum(_posts(each, settings, batched) for each in work)
    unknown = tuple(each.alias for each in work if not each.durations)
    if unknown:
        return Effort(calls=BESIDE + posts, seconds=None, unknown=unknown)
    if not work:
        return Effort(calls=0, seconds=0.0)
    runs = {each.alias: (each.cells, median(each.durations)) for each in work}
    slots = {alias: _slots(alias, settings) for alias in runs}
    shared = sum(cells * seconds for cells, seconds in runs.values()) / settings.concurrency
    alone = max(
        math.ceil(cells / slots[alias]) * seconds for alias, (cells, seconds) in runs.items()
    )
    last = max(seconds for _, seconds in runs.values())
    time = max(shared, alone, last)
    looks = sum(_looks(cells, seconds, time, settings) for cells, seconds in runs.values())
    calls = BESIDE + posts + math.ceil(looks)
    return Effort(calls=calls, seconds=max(time, calls / settings.rate.per_second + last))


def _posts(work: Work, settings: Settings, batched: Mapping[str, bool]) -> int:
    if not batched.get(work.alias):
        return work.cells
    return math.ceil(work.cells / min(settings.batch, settings.concurrency))


def _slots(alias: str, settings: Settings) -> int:
    return min(settings.concurrency, settings.model_concurrency.get(alias, settings.concurrency))


def _looks(cells: int, seconds: float, time: float, settings: Settings) -> float:
    """Return how often a model's waves are looked at within *time*, once runs end steadily.

    A look is due when the runs that have ended since the last one have waited for as long as a
    look is worth: that many runs a second wait half the time between two looks each.
    """
    interval, ended = settings.poll_interval, cells / max(time, seconds)
    flying = max(1, round(ended * seconds))
    value = poll_value(
        flying,
        in_flight=min(cells, settings.concurrency),
        interval=interval,
        value=SINGLE_POLL_VALUE,
    )
    between = max(interval, math.sqrt(2 * value / ended))
    return max(1.0, time / between)
