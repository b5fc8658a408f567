"""Keeps when a call met 429s, as `throttled` lines of the ledger: a line a minute at most.

They are for the page of results alone, and nothing is decided by them. So they have no fsync of
their own: they are written along with the lines that come next, or at the end of the call. A call
that is killed loses those of its last minute.
"""

from batchrun.ledger.file import Ledger
from batchrun.ledger.records import Throttled, timestamp
from batchrun.runflow.client import Client
from batchrun.runflow.ratelimit.throttle_counts import STEP, Stretch


class ThrottleLines:
    """What a *client* met, in the *ledger*."""

    def __init__(self, ledger: Ledger, client: Client) -> None:
        self._ledger = ledger
        self._client = client

    def look(self) -> None:
        """Put down what was counted, once a minute of it is over."""
        if self._client.throttles.is_due(self._ledger.now()):
            self.put_down()

    def put_down(self) -> None:
        """Put down all that was counted."""
        for stretch in self._client.throttles.take():
            self._ledger.enclose(self._line(stretch))

    def _line(self, stretch: Stretch) -> Throttled:
        server_at = self._client.server_time_at(stretch.since)
        return Throttled(
            since=timestamp(stretch.since),
            step=STEP,
            counts=stretch.counts,
            server_at=None if server_at is None else timestamp(server_at),
        )
