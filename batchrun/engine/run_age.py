"""How old a run is, from the service's word and our own sight of it. Pure.

The service's `created_at` and clock count, as far as they can be true:

* A run is no older than its request: a time without its zone, or a wrong `Date`, made every run
  hours old at first sight, and parked it.
* It is no younger than the time for which this call knows it: a time that moves with the clock let
  `timeout` never strike.
* A run without a time, or with one that is still to come, is aged by our own clock: since its
  request where a line of the ledger says when that was, so that its age grows over restarts too.
"""

UNKNOWN = float("-inf")
"""The moment of a request that isn't known."""


def run_age(said: float | None, *, now: float, asked: float, met: float) -> float:
    """Return the age of a run in seconds.

    *said* is what the service says it is, None where it doesn't; it may be below 0. The run was
    *asked* for no earlier than that, UNKNOWN where no line says so, and *met* in this call no
    later; moments are the loop's clock.
    """
    seen = now - met
    if said is None or said < 0:
        return max(seen, 0.0 if asked == UNKNOWN else now - asked)
    return max(seen, min(said, now - asked))
