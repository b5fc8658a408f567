"""How old a run is, from the service's word and our own sight of it. Pure.

The service's `created_at` and clock count, as far as they can be true:

* A run is no older than its request: a time without its zone, or a wrong `Date`, made every run
  hours old at first sight, and parked it.
* It is no younger than the time for which this call knows it. A time that is later can't be
  true: it moves with the clock, or is still to come. Once `timeout` never struck for it.
* A run without a time that can be true is aged by our own clock: since it was met, or where an
  earlier call has met it, since its request by the line of the ledger. So its age grows over
  restarts, too.
"""

from typing import Final

from msgspec import Struct

UNKNOWN: Final = float("-inf")
"""The moment of a request that isn't known."""


class Sight(Struct):
    """Our own sight of a run; moments are the loop's clock.

    It was *asked* for no earlier than that, UNKNOWN where no line says so, and *met* in this call
    no later. *since* is when it began, if the service doesn't say.
    """

    asked: float = UNKNOWN
    met: float = 0.0
    since: float = 0.0

    def meet(self, now: float) -> None:
        """Note that the run is known from now on."""
        self.met = self.since = now

    def age(self, said: float | None, now: float) -> float:
        """Return the seconds that the run is old.

        *said* is what the service says, None where it doesn't; it may be below 0.
        """
        if said is None or said < now - self.met:
            return now - self.since
        return min(said, now - self.asked)
