"""The requests that came so far, and whether one is too many (pure; time comes in)."""

from collections import Counter, deque
from dataclasses import dataclass, field

REMEMBERED = 200_000  # requests whose moments are kept


@dataclass(slots=True)
class Meter:
    """Counts of requests since this process began; *moments* are microseconds and the route."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    moments: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    open: int = 0
    most_open: int = 0

    def begin(self, route: str, now: int) -> None:
        self.moments.append((now, route))
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def end(self, route: str, status: int) -> None:
        """Count an answer; status 0 is an answer that was never given."""
        self.open -= 1
        self.requests[route, status] += 1

    def clear(self) -> None:
        self.requests.clear()
        self.moments.clear()
        self.most_open = self.open


class Gate:
    """A token bucket: *rate* calls a second, *burst* at once; without a rate all may pass."""

    def __init__(self, rate: float | None, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._then: int | None = None

    def admits(self, now: int) -> bool:
        if self.rate is None:
            return True
        gone = 0.0 if self._then is None else max(0, now - self._then) / 1_000_000
        self._then = now
        self._tokens = min(float(self.burst), self._tokens + gone * self.rate)
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True

    @property
    def remaining(self) -> int:
        return int(self._tokens)

    @property
    def wait_seconds(self) -> float:
        """How long until the next call may pass."""
        return 0.0 if self.rate is None else max(0.0, (1 - self._tokens) / self.rate)
