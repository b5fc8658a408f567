"""Which failures of runs are worth a second run: one table, each row with its source. Pure.

The documents publish one code, INPUT_VALIDATION_FAILED, and two stages, `preprocess` and
`dispatch`; which failures are run again is left to the client (runflow-api.md, sections 6 and 10).
So the table is tolerant: `InputValidationError` is read as the published code is. A failure that no
row knows is worth another run, as failed runs are not billed (section 11).

The first that applies decides: words of a service out of reach, words of moderation, the code, the
stage. The moderation itself may be out of reach, and then nothing was moderated.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct


class FailureClass(StrEnum):
    """Whether another run may help."""

    AGAIN = "again"  # the service's trouble, or unknown: another attempt, up to `attempts`
    INPUT = "input"  # the same input fails again: final at once
    MODERATED = "moderated"  # refused for its content: final at once, and said so

    __hash__ = str.__hash__  # an enum's own is slow, and each row that is packed asks


AGAIN: Final = FailureClass.AGAIN
INPUT: Final = FailureClass.INPUT
MODERATED: Final = FailureClass.MODERATED


class Row(Struct, frozen=True):
    """One line of the table. *source* is doc, client or inferred, as in runflow-api.md."""

    words: str
    means: FailureClass
    source: str


CODES: Final = (
    Row("INPUT_VALIDATION_FAILED", INPUT, "doc: section 6, the failed run of the errors page"),
    Row("MODEL_UNAVAILABLE", AGAIN, "doc: section 10, the provider is down"),
    Row("RATE_LIMITED", AGAIN, "doc: section 10"),
    Row("INSUFFICIENT_CREDIT", AGAIN, "doc: section 10, once there is credit"),
    Row("INSUFFICIENT_CREDITS", AGAIN, "doc: section 8, the same of a batch"),
    Row("TIMEOUT", AGAIN, "client: section 5, as a status"),
    Row("PROVIDER_ERROR", AGAIN, "inferred; the simulator's word for all others"),
    Row("PROVIDER_UNAVAILABLE", AGAIN, "inferred"),
    Row("PROVIDER_TIMEOUT", AGAIN, "inferred"),
    Row("SERVICE_UNAVAILABLE", AGAIN, "inferred"),
    Row("CAPACITY_EXCEEDED", AGAIN, "inferred"),
    Row("OVERLOADED", AGAIN, "inferred"),
    Row("QUEUE_FULL", AGAIN, "inferred"),
    Row("INTERNAL_ERROR", AGAIN, "inferred"),
    Row("VALIDATION_ERROR", INPUT, "inferred"),
    Row("SCHEMA_VALIDATION_FAILED", INPUT, "inferred"),
    Row("INPUT_ERROR", INPUT, "inferred"),
    Row("INVALID_INPUT", INPUT, "inferred"),
    Row("INVALID_INPUTS", INPUT, "inferred"),
    Row("INVALID_REQUEST", INPUT, "inferred"),
    Row("INVALID_PARAMETER", INPUT, "inferred"),
    Row("INVALID_PARAMETERS", INPUT, "inferred"),
    Row("INVALID_ARGUMENT", INPUT, "inferred"),
    Row("INVALID_IMAGE", INPUT, "inferred"),
    Row("UNSUPPORTED_INPUT", INPUT, "inferred"),
    Row("UNSUPPORTED_FORMAT", INPUT, "inferred"),
    Row("UNSUPPORTED_MEDIA_TYPE", INPUT, "inferred"),
    Row("UNPROCESSABLE_ENTITY", INPUT, "inferred"),
    Row("BAD_REQUEST", INPUT, "inferred"),
)

STAGES: Final = (
    Row("preprocess", INPUT, "doc: section 6, the stage of INPUT_VALIDATION_FAILED"),
    Row("preprocessing", INPUT, "inferred"),
    Row("validation", INPUT, "inferred"),
    Row("validate", INPUT, "inferred"),
    Row("input", INPUT, "inferred"),
    Row("input_validation", INPUT, "inferred"),
    Row("dispatch", AGAIN, "doc: section 6"),
    Row("moderation", MODERATED, "inferred"),
    Row("safety", MODERATED, "inferred"),
)

MODERATION: Final = (
    Row(r"(content|usage|safety) (polic\w+|violation|guidelines?)", MODERATED, "inferred"),
    Row(r"content (filter\w*|moderat\w+|safety)", MODERATED, "inferred"),
    Row(r"safety (system|filter\w*|check\w*|block\w*)", MODERATED, "inferred"),
    Row(r"(by|as|for) (the |our )?(safety|moderation|nsfw)", MODERATED, "inferred"),
    Row(r"(sensitive|prohibited|unsafe|nsfw) (content|material)", MODERATED, "inferred"),
    Row(r"nsfw detected", MODERATED, "doc: section 6, `nsfw_detected` of an output"),
    Row(r"moderated|moderation (system|failed|blocked|check\w*)", MODERATED, "inferred"),
)
"""Patterns of words, in a code or a message. An input may be called `moderation` or
`enable_safety_checker`, so that a message of these words alone says nothing."""

MODERATION_CODES: Final = (
    Row(r"nsfw", MODERATED, "doc: section 6, likewise"),
    Row(r"moderation", MODERATED, "inferred"),
    Row(r"safety", MODERATED, "inferred"),
)
"""Patterns of words that say it in a code."""

_REACH: Final = re.compile(
    r"time ?d? ?out|unavailable|unreachable|overloaded|temporar(y|ily)|internal (server )?error"
    r"|connection (refused|reset|closed|aborted|lost|error)|try again (later|soon|in a)"
    r"|bad gateway|rate limit|too many requests|out of memory|http (error )?(429|5\d\d)\b"
)
"""The service's trouble, in words: a file that couldn't be fetched in time is no wrong input."""

_REFERENCE: Final = re.compile(r"\bhttps?\b(?!://)|\brunflow:|\bassets?\b", re.IGNORECASE)
"""The way in which a file was given was refused, not the file (section 4). A cell alone is refused
with that reason at once, and its file is then given otherwise; an item of a batch fails for it."""

_CASES: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHERS: Final = re.compile(r"[\W_]+")
_ENDINGS: Final = re.compile(r" (error|failed|failure|exception)$")

LONGEST: Final = 2000
"""Characters of a code or a message that are read."""


def failure_class(code: str | None, stage: str | None, message: str | None) -> FailureClass:
    """Return whether another run may help where one failed with these words of the service."""
    return _class_of(*((words or "")[:LONGEST] for words in (code, stage, message)))


@lru_cache(maxsize=1000)  # a million cells may have failed, most of them for a few reasons
def _class_of(code: str, stage: str, message: str) -> FailureClass:
    coded, worded = _words(code), _words(message)
    if _REACH.search(coded) or _REACH.search(worded):
        return AGAIN
    if _MODERATED_CODE.search(coded) or _MODERATED.search(worded):
        return MODERATED
    found = _BY_CODE.get(_ENDINGS.sub("", coded)) or _BY_STAGE.get(_words(stage), AGAIN)
    return AGAIN if found is INPUT and _REFERENCE.search(message) else found


def _words(text: str) -> str:
    """Return *text* as words in lower case, `someCode` and `SOME_CODE` alike."""
    return _OTHERS.sub(" ", _CASES.sub(" ", text)).strip().lower()


_NO_SWITCH: Final = r"(?<!enable )(?<!disable )(?<!allow )(?<!use )"


def _any_of(*rows: Row) -> re.Pattern[str]:
    return re.compile(_NO_SWITCH + r"\b(" + "|".join(row.words for row in rows) + r")\b")


_MODERATED: Final = _any_of(*MODERATION)
_MODERATED_CODE: Final = _any_of(*MODERATION, *MODERATION_CODES)
_BY_CODE: Final = {_ENDINGS.sub("", _words(row.words)): row.means for row in CODES}
_BY_STAGE: Final = {_words(row.words): row.means for row in STAGES}
