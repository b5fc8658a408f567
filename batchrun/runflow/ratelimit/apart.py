"""Waits that the service named to one question alone. Pure.

A service may limit one of its routes, or one run that many ask for: an hour named there once kept
paid runs from being looked at. So such a wait holds back its own question until another one is
refused as well. The pause and the slower pace that follow a 429 are for all calls in any case.
"""

import re
from typing import Final

_QUESTIONS: Final = re.compile(
    r"/v1/(auth/me|billing/balance|(?:public/)?models|runs/[^/]+/[^/]+|runs/[^/]+)(?:/.*)?$"
)
_PART: Final = re.compile(r"runs/[^/]+/")


def question_of(method: str, path: str) -> str:
    """Return the route or the run that a GET is about; "" for one that all the others need."""
    match = _QUESTIONS.search(path) if method == "GET" else None
    return "" if match is None else _PART.sub("runs/*/", match[1])


class Apart:
    """The refusals of single questions. Moments are of one clock, waits are seconds."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._alone: set[str] = set()  # others were answered after they were refused
        self._doubted: tuple[str, float] | None = None  # no other one was answered since

    def refused(self, question: str, named: float | None, now: float) -> float | None:
        """Note a 429, and return the wait that all questions have to obey."""
        until = now + (named or 0.0)
        if question and (self._doubted is None or self._doubted[0] == question):
            self._until[question] = until
            self._doubted = question, now
            return None
        self._alone.clear()
        if self._doubted is not None:
            left = self._until.get(self._doubted[0], now) - now
            return max(left, named or 0.0) if named is not None or left > 0 else None
        return named

    def well(self, question: str, sent_at: float) -> None:
        """Note an answer to the call that left at *sent_at*."""
        self._until.pop(question, None)
        self._alone.discard(question)
        if self._doubted is None:
            return
        doubted, since = self._doubted
        if doubted == question:
            self._doubted = None
        elif since < sent_at:
            self._doubted = None
            self._alone.add(doubted)

    def left(self, question: str, now: float) -> float:
        """Return for how many seconds this question is not to be asked."""
        return max(0.0, self._until.get(question, now) - now)

    def is_alone(self, question: str) -> bool:
        """Say whether others were answered after this one was refused."""
        return question in self._alone
