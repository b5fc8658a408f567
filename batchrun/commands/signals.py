"""What the signals that end a command do, from its first line to its last.

One handler stays for the whole life of a command. Exchanged for another half way, there is a gap in
which SIGTERM has its default meaning, and kills a process that could have ended well.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from batchrun.errors import INCOMPLETE, KILLED

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The user wants the command to end; the second time at once."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.exit_code = code


class Signals:
    """Counts the signals of one command. Each raises Interrupted, but where they are `counted`."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._raising = True

    def install(self) -> None:
        """Begin a command: no signal has come yet."""
        self._names, self._raising = [], True
        for number in ENDING:
            signal.signal(number, self._take)

    @contextmanager
    def counted(self) -> Iterator[Sequence[str]]:
        """Give the names of the signals that come, to be obeyed by whoever runs meanwhile."""
        self._raising = False
        try:
            yield self._names
        finally:
            self._raising = True

    def ignore(self) -> None:
        """All is said and done: let the process end as it is about to."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._names.append(signal.Signals(number).name)
        if self._raising:
            raise Interrupted(INCOMPLETE if len(self._names) == 1 else KILLED)


SIGNALS = Signals()
"""Handlers belong to the process, and so does this."""
