"""What succeeded runs say against a description: the service took it, so it takes it (rule 35).

A run that succeeded with a value proves that the value is right. One that had an input at all
proves that there is such an input, and one without it that it isn't needed.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from batchrun.ledger.scan import of_succeeded
from batchrun.manifest.matching import token


class About(StrEnum):
    """What is asked of the input of succeeded runs."""

    VALUE = "value"
    GIVEN = "given"
    ABSENT = "absent"


class Question(Struct, frozen=True):
    """Whether a run of *model* succeeded with the input *name* of that value, given, or absent."""

    model: str
    name: str
    about: About
    token: Any = None


class _Asked:
    """The questions about one model: looked up by an input's value, however many there are."""

    def __init__(self) -> None:
        self._questions: dict[tuple[str, About], dict[Any, Question]] = {}

    def add(self, question: Question) -> None:
        self._questions.setdefault((question.name, question.about), {})[question.token] = question

    def proven_by(self, sent: Mapping[str, Any]) -> set[Question]:
        """Return the questions to which a run with the input *sent* says yes, if it succeeds."""
        found = set()
        for (name, about), by_token in self._questions.items():
            if about is not About.VALUE:
                if (name in sent) is (about is About.GIVEN):
                    found |= {*by_token.values()}
            elif name in sent and (question := by_token.get(token(sent[name]))) is not None:
                found.add(question)
        return found


def proven_in(path: Path, questions: Collection[Question]) -> set[Question]:
    """Return the questions to which a succeeded run in the ledger at *path* says yes.

    Reads the whole file, once. Raises OSError where it can't be read.
    """
    asked: dict[str, _Asked] = {}
    for each in questions:
        asked.setdefault(each.model, _Asked()).add(each)

    def noted(model: str, sent: Mapping[str, Any]) -> set[Question] | None:
        return asked[model].proven_by(sent) or None if model in asked else None

    return set().union(*of_succeeded(path, noted)) if asked else set()
