"""The signals that end a command, from its first line to its last.

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
    """The user wants the command to end."""


class Signals:
    """Counts the signals of one command.

    The first raises Interrupted, but where they are `counted`. One that comes while the command is
    on its way out doesn't break that off, unless it is the third: something may hang.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._counted = False
        self._ending = False

    @property
    def exit_code(self) -> int:
        """Return what the signals mean that have come."""
        return INCOMPLETE if len(self._names) < 2 else KILLED

    def install(self) -> None:
        """Begin a command: no signal has come yet.

        Under nohup a SIGHUP is ignored from the start, and that is what was asked for.
        """
        self._names, self._counted, self._ending = [], False, False
        for number in ENDING:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    @contextmanager
    def counted(self) -> Iterator[Sequence[str]]:
        """Give the names of the signals that come, to be obeyed by the code that runs meanwhile."""
        self._counted = True
        try:
            yield self._names
        finally:
            self._counted = False

    def hush(self) -> None:
        """Let the last words be said whole: a JSON object is not begun twice."""
        self._ending = True

    def ignore(self) -> None:
        """All is said and done: let the process end as it is about to."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._names.append(signal.Signals(number).name)
        if not self._counted and (not self._ending or len(self._names) > 2):
            self._ending = True
            raise Interrupted


SIGNALS = Signals()
"""Handlers belong to the process, and so does this."""
