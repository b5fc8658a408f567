"""Signals that come while no runner is there to obey them: loading, and writing results."""

import signal
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The user wants the command to end."""


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    for number in ENDING:
        signal.signal(number, interrupt)
