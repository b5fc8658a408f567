"""Services that allow so many calls a second, and refuse the others without a word."""


class Bucket:
    """Allows *rate* calls a second and *burst* of them at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.last = rate, burst, burst, 0.0

    def takes(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.last) * self.rate)
        self.last = now
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


class Window:
    """Counts calls in fixed windows."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate, self.seconds = rate, seconds
        self.allowed, self.window, self.count = rate * seconds, -1, 0

    def takes(self, now: float) -> bool:
        if int(now / self.seconds) != self.window:
            self.window, self.count = int(now / self.seconds), 0
        self.count += 1
        return self.count <= self.allowed
