"""Says of each long wait that the service names, once, what waits and what goes on."""

from typing import Final

import anyio

from batchrun.base.progress import Progress
from batchrun.runflow.client import Client
from batchrun.runflow.ratelimit.kinds import Kind

LONG: Final = 30.0
"""Seconds from which on a wait is said: shorter ones are part of the pace."""

_GOES_ON: Final = {Kind.CREATES: "; runs in flight are watched meanwhile", Kind.READS: ""}


class ServiceWaits:
    """Remembers which waits were said."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self._said: dict[Kind, float] = {}  # by the loop's clock: until when

    def look(self) -> None:
        """Say what is new; one that is prolonged by a moment is no news."""
        now = anyio.current_time()
        for kind, seconds, fact in self._client.waits():
            if seconds >= LONG and now + seconds > self._said.get(kind, now) + LONG / 2:
                self._said[kind] = now + seconds
                self._progress.note(f"{fact}{_GOES_ON[kind]}")
