"""Whose runs a callback is about: a hint, by which nothing is written. Pure.

The slot of such a run is free at once, and the API is asked about it soon. What is repeated, late
or about nothing of ours changes nothing. A callback may overtake the answer to the POST of its run:
its id is kept until some answer brings it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from batchrun.base.ceilings import MOST_IN_FLIGHT
from batchrun.engine.callback_trust import CallbackTrust
from batchrun.engine.in_flight import Attempt, Callback, InFlight
from batchrun.engine.phases import Phase
from batchrun.engine.waves import Waves
from batchrun.runflow.callbacks import Ended

MOST_KEPT: Final = MOST_IN_FLIGHT
"""Ends of unknown runs that are kept: so many answers may be under way at once."""

KNOWN: Final = frozenset({Phase.RUNNING, Phase.PARKED})
"""The phases of an attempt whose run is known and has not ended yet."""


class CallbackHints:
    """Finds the attempts of which callbacks speak; each attempt is heard of once."""

    def __init__(self, in_flight: InFlight, waves: Waves, trust: CallbackTrust) -> None:
        self._in_flight = in_flight
        self._waves = waves
        self._trust = trust
        self._early: dict[Ended, None] = {}  # in the order in which they came

    def take(self, ended: Ended) -> list[Attempt]:
        """Return the attempts that are said to have ended, and were not before."""
        found = list(self._about(ended))
        if not found or any(each.phase not in KNOWN for each in found):
            self._keep(ended)
        return self._heard(found)

    def catch_up(self, accepted: Iterable[Attempt]) -> list[Attempt]:
        """Return those of *accepted* whose end was announced before they were known."""
        found: dict[Ended, list[Attempt]] = {}
        for attempt in accepted if self._early else ():
            for ended in self._names_of(attempt):
                if ended in self._early:
                    found.setdefault(ended, []).append(attempt)
        return [attempt for attempts in found.values() for attempt in self._heard(attempts)]

    def _about(self, ended: Ended) -> Iterator[Attempt]:
        if not ended.batch:
            attempt = self._in_flight.with_run(ended.id)
            if attempt is not None:
                yield attempt
            return
        for wave in self._waves:
            if wave.batch_id == ended.id:
                yield from wave.attempts.values()

    def _names_of(self, attempt: Attempt) -> Iterator[Ended]:
        """Yield what a callback may call the end of an attempt's run."""
        if attempt.run_id is not None:
            yield Ended(attempt.run_id)
        wave = self._waves.find(attempt.client_ref)
        if wave is not None and wave.batch_id is not None:
            yield Ended(wave.batch_id, batch=True)

    def _heard(self, found: Iterable[Attempt]) -> list[Attempt]:
        unheard = (each for each in found if each.callback is not Callback.HEARD)
        news = [each for each in unheard if each.phase in KNOWN]
        for attempt in news:
            attempt.callback = Callback.HEARD
        for model in {attempt.model for attempt in news}:
            self._trust.note(model)
        return news

    def _keep(self, ended: Ended) -> None:
        self._early.pop(ended, None)
        self._early[ended] = None
        while len(self._early) > MOST_KEPT:
            del self._early[next(iter(self._early))]
