"""Wakes the task that sends callbacks when something may have come earlier than it waits for."""

import anyio


class Bell:
    """Rings for one listener; without a listener nothing happens."""

    def __init__(self) -> None:
        self._rung: anyio.Event | None = None

    def ring(self) -> None:
        if self._rung is not None:
            self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after so many *seconds*."""
        self._rung = rung = anyio.Event()
        with anyio.move_on_after(seconds):
            await rung.wait()
