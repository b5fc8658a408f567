"""The service's time: ours, set right by the Date headers of its answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from batchrun.runflow.headers import seconds_to_wait, service_date


class ServiceClock:
    """Knows how far the service's clock is ahead of *local*, once an answer had a date."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self._ahead: timedelta | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take in the date of a good answer, where it has one."""
        if (date := service_date(headers)) is not None:
            self._ahead = date - self.local()

    @property
    def known(self) -> datetime | None:
        """The service's time; None before its first answer with a date."""
        return self.at(self.local())

    def at(self, local: datetime) -> datetime | None:
        """Return the service's time at a moment of our clock; None before an answer with a date."""
        return None if self._ahead is None else local + self._ahead

    def now(self) -> datetime:
        """Return the service's time, or ours as long as that isn't known."""
        return self.known or self.local()

    def until(self, seconds: float) -> datetime:
        """Return the service's time in so many seconds."""
        return self.now() + timedelta(seconds=seconds)

    def wait(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds that an answer asks us to wait, None where it names no wait."""
        return seconds_to_wait(headers, self.known)
