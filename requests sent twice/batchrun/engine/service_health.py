"""The health of the service by its answers to the POSTs of this call. Pure."""

from batchrun.runflow.post_outcomes import BatchOutcome, ForeignResponse, InDoubt, NotSent, Outcome


class ServiceHealth:
    """Remembers how POSTs were answered; times are the loop's clock.

    *good* is True once one was answered as the API answers, a refusal included; *bad* is the last
    answer that was not.
    """

    def __init__(self) -> None:
        self.good = False
        self.bad = ""
        self._unlike_since: float | None = None

    @property
    def unlike(self) -> bool:
        """Whether the last answer that shows its source was not the API's."""
        return self._unlike_since is not None

    def note(self, outcome: Outcome | BatchOutcome, now: float) -> None:
        """Take in one more answer. No answer says nothing about its source."""
        match outcome:
            case InDoubt():
                self.bad = outcome.reason
            case ForeignResponse():
                self.bad = outcome.reason
                self._unlike_since = now if self._unlike_since is None else self._unlike_since
            case NotSent():
                pass
            case _:
                self.well()

    def well(self) -> None:
        """Note that the API itself has answered."""
        self.good = True
        self._unlike_since = None

    def forget(self) -> None:
        """Take what was unlike for over: nothing is left that it was the answer to."""
        self._unlike_since = None

    def unlike_for(self, now: float) -> float:
        """Return for how many seconds nothing but something else has answered."""
        return 0.0 if self._unlike_since is None else now - self._unlike_since
