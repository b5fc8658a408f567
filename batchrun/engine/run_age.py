"""How old a run is, from the service's word and our own sight of it. Pure.

The service's `created_at` and clock count, as far as they can be true:

* A run is no older than its request: a time without its zone, or a wrong `Date`, made every run
  hours old at first sight, and parked it.
* It is no younger than the time for which this call knows it. A time that is later can't be
  true: it moves with the clock, or is still to come. Once `timeout` never struck for it.
* A run without a time that can be true is aged by our own clock: since its request, where a line of
  the ledger says when that was. So its age grows over restarts, too.
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
    if said is None or said < seen:
        return seen if asked == UNKNOWN else max(seen, now - asked)
    return min(said, now - asked)
