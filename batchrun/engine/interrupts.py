"""Ctrl-C, SIGTERM and SIGHUP: the first asks to stop, the second stops at once."""

import signal
from typing import Final

import anyio

from batchrun.engine.stops import Stops
from batchrun.errors import KILLED

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def obey(stops: Stops, *, drain: bool) -> None:
    """Turn signals into stops until cancelled; *drain* sees runs in flight to their end first."""
    with anyio.open_signal_receiver(*SIGNALS) as received:
        first = True
        async for number in received:
            name = signal.Signals(number).name
            if not first:
                stops.kill(KILLED, f"killed by a second {name}")
            elif drain:
                stops.submit_no_more(f"interrupted by {name}")
            else:
                stops.leave(f"interrupted by {name}")
            first = False
