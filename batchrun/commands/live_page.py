"""The page of a sweep that is under way, written now and then by a process of its own.

The process (`page_from_ledger`) reads the ledger from the disk, as `batchrun report` does: the
call's own memory, its event loop and its locks have no part in it. It reads and writes all of it,
which for 100,000 cells is seconds of CPU. So it is at rest until its share is small: 2 % of what
the call itself has used meanwhile, or 0.2 % of one core where the call mostly waits.

A call that is killed leaves it at work. It may end after the next call, but its files are of an
earlier moment than that call's, and don't take their place (`base/disk.py`).
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from batchrun.manifest.grid.expand import upper_bound
from batchrun.manifest.manifest import Manifest

FIRST: Final = 15.0
"""Seconds until the page is written first: a call that is shorter writes it at its end alone."""

PAUSE: Final = 30.0
"""Seconds of rest at least."""

SHARE: Final = 49
"""How many times the CPU of a round the call has used itself before the next one."""

WAITING: Final = 490
"""How many times as long as that the rest is where the call uses little."""

COST: Final = 70e-6
"""Seconds of CPU for each point that the first round is expected to take."""

MOST: Final = 200_000
"""Points of a sweep up to which it has a page while it runs: more take much memory once more."""

PROCESS: Final = "batchrun.commands.page_from_ledger"
"""The module that is the process."""


async def keep_page(folder: Path, manifest: Manifest) -> None:
    """Write the page of the sweep in *folder* now and then, until that is cancelled."""
    points = upper_bound(manifest)
    if points <= MOST:
        await now_and_then(partial(write_page, folder), expected=COST * points)


async def now_and_then(
    write: Callable[[], Awaitable[float]],
    *,
    expected: float,
    used: Callable[[], float] = time.process_time,
) -> None:
    """Call *write*, which returns the CPU that it took, again and again, with rests.

    The first time is expected to take *expected* seconds; *used* is what the call has used.
    """
    await rest(expected, least=FIRST, used=used)
    while True:
        await rest(await write(), least=PAUSE, used=used)


async def rest(work: float, *, least: float, used: Callable[[], float]) -> None:
    """Return once *work* seconds of CPU are a small share of what there was meanwhile."""
    began, before = anyio.current_time(), used()

    def left() -> float:
        waiting = WAITING * work - (anyio.current_time() - began)
        return min(waiting, SHARE * work - (used() - before))

    await anyio.sleep(least)
    while (more := left()) > 0:
        await anyio.sleep(max(more, 1.0))


async def write_page(folder: Path) -> float:
    """Write the page once, and return how many seconds of CPU that took.

    It is derived: where that fails, the next time or the end has it.

    A cancellation ends the process, and takes away what it has half written.
    """
    # With -P a `batchrun.py` in the folder where the call was begun isn't run in batchrun's place.
    words = [sys.executable, "-P", "-m", PROCESS, str(folder)]
    environ = {name: text for name, text in os.environ.items() if name != "RUNFLOW_API_KEY"}
    silent, before = subprocess.DEVNULL, _used_by_children()
    with suppress(OSError):
        async with await anyio.open_process(
            words,
            stdin=silent,
            stdout=silent,
            stderr=silent,
            env=environ,
            start_new_session=True,  # a Ctrl-C is the call's
        ) as process:
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    _clear(folder, process.pid)
    return _used_by_children() - before


def _used_by_children() -> float:
    """Return the CPU of the processes that have ended; another one of a program's counts, too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _clear(folder: Path, pid: int) -> None:
    with suppress(OSError):
        for path in (*folder.glob(f"*.{pid}.part"), *folder.glob(f"report/*/**/*.{pid}.part")):
            path.unlink(missing_ok=True)
