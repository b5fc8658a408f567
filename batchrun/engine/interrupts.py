"""Ctrl-C, SIGTERM and SIGHUP: the first asks to stop, the second stops at once."""

from collections.abc import Sequence
from typing import Final

import anyio

from batchrun.engine.shutdown import Stops
from batchrun.errors import KILLED

LATEST: Final = 0.1
"""Seconds until a signal is obeyed: it only leaves its name, and wakes nobody."""


async def obey(stops: Stops, received: Sequence[str], *, drain: bool) -> None:
    """Turn each name in *received* into a stop, until cancelled.

    *drain* sees runs in flight to their end first.
    """
    obeyed = 0
    while True:
        for name in received[obeyed:]:
            if obeyed:
                stops.kill(KILLED, f"killed by a second {name}")
            else:
                stops.interrupt(f"interrupted by {name}", drain=drain)
            obeyed += 1
        await anyio.sleep(LATEST)
