"""The page of a sweep that is under way, written now and then by a process of its own.

The process (`page_from_ledger`) reads the ledger from the disk, as `batchrun report` does: the
call's own memory, its event loop and its locks have no part in it, and the call's pace doesn't
change. It is at rest for fifty times as long as it works, so that it takes at most 2 % of one core.

A call that is killed leaves it at work. It may end after the next call, but its files are of an
earlier moment than that call's, and don't take their place (`base/disk.py`).
"""

import os
import subprocess
import sys
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
"""How many times as long as the work the rest is."""

MOST: Final = 200_000
"""Points of a sweep up to which it has a page while it runs: more take much memory once more."""

PROCESS: Final = "batchrun.commands.page_from_ledger"
"""The module that is the process."""


async def keep_page(folder: Path, manifest: Manifest) -> None:
    """Write the page of the sweep in *folder* now and then, until that is cancelled."""
    if upper_bound(manifest) <= MOST:
        await now_and_then(partial(write_page, folder))


async def now_and_then(write: Callable[[], Awaitable[None]]) -> None:
    """Call *write* again and again, so rarely that it works for at most 2 % of the time."""
    await anyio.sleep(FIRST)
    while True:
        began = anyio.current_time()
        await write()
        await anyio.sleep(max(PAUSE, SHARE * (anyio.current_time() - began)))


async def write_page(folder: Path) -> None:
    """Write the page once. It is derived: where that fails, the next time or the end has it.

    A cancellation ends the process, and takes away what it has half written.
    """
    # With -P a `batchrun.py` in the folder where the call was begun isn't run in batchrun's place.
    words = [sys.executable, "-P", "-m", PROCESS, str(folder)]
    environ = {name: text for name, text in os.environ.items() if name != "RUNFLOW_API_KEY"}
    silent = subprocess.DEVNULL
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


def _clear(folder: Path, pid: int) -> None:
    with suppress(OSError):
        for path in (*folder.glob(f"*.{pid}.part"), *folder.glob(f"report/*/**/*.{pid}.part")):
            path.unlink(missing_ok=True)
