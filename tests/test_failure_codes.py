"""Which failures are worth a second run: the table, and what a cell's history makes of it."""

import re

import pytest
from ledger_lines import finished, intent, submitted

from batchrun.ledger.failure_codes import (
    CODES,
    MODERATION,
    MODERATION_CODES,
    STAGES,
    FailureClass,
    Row,
    failure_class,
)
from batchrun.ledger.history import (
    History,
    Rest,
    Standing,
    State,
    Submit,
    apply,
    grant,
    left_out,
    next_step,
    standing,
)
from batchrun.ledger.history_index import Histories
from batchrun.ledger.records import CellLine, Dropped, Rejected

AGAIN, INPUT, MODERATED = FailureClass
FILE = "media URL must use HTTP(S) or data URI"


# The table.


@pytest.mark.parametrize("row", CODES, ids=lambda row: row.words)
def test_a_code_of_the_table_is_what_its_row_says_however_it_is_spelled(row: Row) -> None:
    words = row.words.lower().split("_")
    spellings = (row.words, "-".join(words), " ".join(words), "".join(map(str.title, words)))

    assert [failure_class(each, None, None) for each in spellings] == [row.means] * 4


@pytest.mark.parametrize("row", STAGES, ids=lambda row: row.words)
def test_a_stage_speaks_where_the_code_is_unknown(row: Row) -> None:
    assert failure_class("SOMETHING_ELSE", row.words, None) is row.means
    assert failure_class(None, row.words.upper(), "") is row.means


def test_each_row_has_a_source_of_its_own() -> None:
    for rows in (CODES, STAGES, (*MODERATION, *MODERATION_CODES)):
        assert all(re.match(r"(doc|client|inferred)\b", row.source) for row in rows)
        assert len({row.words for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("code", "stage", "message"),
    [
        (None, None, None),
        ("", "", ""),
        ("BROKEN", "dispatch", "it broke"),
        ("TIMEOUT", "preprocess", "no answer"),
        ("FETCH_FAILED", "preprocess", "the image timed out"),
        ("INPUT_VALIDATION_FAILED", "preprocess", "its host is temporarily unreachable"),
        ("DOWNLOAD_FAILED", "preprocess", "connection reset by peer"),
        ("RATE_LIMIT_EXCEEDED", "preprocess", None),
        ("STORAGE", "preprocess", "HTTP 503 of the storage"),
        ("BROKEN", "preprocess", "please try again later"),
        ("MODERATION_ERROR", "dispatch", "the moderation system gave 502 Bad Gateway"),
        ("PROVIDER_ERROR", "dispatch", "safety checker failed: CUDA out of memory"),
        ("BUSY", None, "safety_tolerance is a setting"),
        ("BUSY", None, "enable_safety_checker: expected true or false"),
        ("BUSY", None, "moderation: expected one of auto, low"),
        ("BUSY", None, "disable_nsfw_filter isn't known"),
        ("PROVIDER_ERROR", None, "content moderation is temporarily unavailable"),
        ("MODERATION_TIMEOUT", None, None),
        ("🤖", "\x00", "\ud800"),
    ],
)
def test_the_services_trouble_and_the_unknown_are_worth_another_run(
    code: str | None, stage: str | None, message: str | None
) -> None:
    assert failure_class(code, stage, message) is AGAIN


def test_words_to_change_the_prompt_are_no_trouble_of_the_service() -> None:
    said = "blocked by our safety system; please try again with another prompt"

    assert failure_class("PROVIDER_ERROR", "dispatch", said) is MODERATED


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NSFW", None),
        ("NSFW_DETECTED", ""),
        ("ContentPolicyViolation", None),
        ("CONTENT_MODERATED", None),
        ("IMAGE_SAFETY", "no image was made"),
        ("PROHIBITED_CONTENT", None),
        ("SENSITIVE_CONTENT", None),
        ("FAILED", "the safety checker found something"),
        ("FAILED", "NSFW content detected"),
        ("FAILED", "refused by our moderation"),
        ("FAILED", "this goes against the usage guidelines"),
        ("PROVIDER_ERROR", "Your request was rejected by the safety system."),
        ("INPUT_VALIDATION_FAILED", "the prompt violates our content policies"),
        (None, "Output was flagged as sensitive content"),
    ],
)
def test_what_was_refused_for_its_content_is_a_class_of_its_own(
    code: str | None, message: str | None
) -> None:
    assert failure_class(code, "preprocess", message) is MODERATED


def test_a_refused_way_of_giving_a_file_is_not_the_inputs_fault() -> None:
    code = "INPUT_VALIDATION_FAILED"

    assert failure_class(code, "preprocess", f"image_url: {FILE}") is AGAIN
    assert failure_class(code, "preprocess", "runflow://assets/a isn't known") is AGAIN
    assert failure_class(code, "preprocess", "https://a.test/b.png is too large") is INPUT


def test_a_long_message_is_read_quickly_and_only_in_part() -> None:
    assert failure_class("X", None, "safety " * 10**6 + "nsfw") is AGAIN


# A cell's history.


def failed(number: int = 1, code: str | None = None, stage: str | None = None) -> list[CellLine]:
    ended = finished("c1", number, status="failed", failure_code=code, failure_stage=stage)
    return [intent("c1", number), submitted("c1", number), ended]


def fold(*lines: CellLine) -> History:
    history = History()
    for offset, line in enumerate(lines):
        apply(history, line, offset)
    return history


@pytest.mark.parametrize("code", ["INPUT_VALIDATION_FAILED", "NSFW"])
def test_such_a_failure_uses_up_the_attempts_at_once(code: str) -> None:
    history = fold(*failed(code=code))

    assert next_step(history, attempts=5) == Rest()
    assert standing(history, attempts=5) is Standing.FAILED


@pytest.mark.parametrize("code", [None, "PROVIDER_ERROR", "NEVER_HEARD_OF"])
def test_any_other_failure_is_tried_again_as_before(code: str | None) -> None:
    history = fold(*failed(code=code))

    assert next_step(history, attempts=2) == Submit(2)
    assert next_step(history, attempts=1) == Rest()


def test_the_newest_failure_decides() -> None:
    history = fold(*failed(1, "NSFW"), *failed(2, "PROVIDER_ERROR"))

    assert next_step(history, attempts=3) == Submit(3)


@pytest.mark.parametrize("code", ["INPUT_VALIDATION_FAILED", "NSFW"])
def test_such_a_failure_is_granted_one_run_and_only_where_it_is_named(code: str) -> None:
    history = fold(*failed(code=code))
    granted = grant(history, attempts=2, named=True)

    assert grant(history, attempts=2) == 0
    assert next_step(history, attempts=2, granted=granted) == Submit(2)
    again = fold(*failed(1, code), *failed(2, code))
    assert next_step(again, attempts=2, granted=granted) == Rest()


def test_refused_input_is_granted_as_before_but_not_what_was_moderated() -> None:
    no_ratio = Rejected(cell="c1", attempt=1, http_status=422, message="no such ratio")
    unsafe = Rejected(cell="c1", attempt=1, http_status=400, code="CONTENT_POLICY_VIOLATION")

    assert grant(fold(intent("c1"), no_ratio), attempts=2) == 3
    assert grant(fold(intent("c1"), unsafe), attempts=2) == 0
    assert grant(fold(intent("c1"), unsafe), attempts=2, named=True) == 3


def test_a_dropped_attempt_changes_nothing_of_it() -> None:
    dropped = Dropped(cell="c1", attempt=2, reason="held back")
    history = fold(*failed(code="NSFW"), intent("c1", 2), dropped)

    assert (history.state, left_out(history)) == (State.FAILED, MODERATED)


def test_a_cell_that_succeeds_in_the_end_is_left_out_of_nothing() -> None:
    ended = finished("c1", 2, status="succeeded")
    history = fold(*failed(code="NSFW"), intent("c1", 2), submitted("c1", 2), ended)

    assert left_out(history) is None


@pytest.mark.parametrize("code", ["INPUT_VALIDATION_FAILED", "NSFW", "PROVIDER_ERROR"])
def test_a_packed_history_knows_it_too(code: str) -> None:
    histories = Histories()
    for offset, line in enumerate(failed(code=code)):
        histories.fold(line, offset)
    expected = fold(*failed(code=code))
    for number in range(600):  # so many recent ones that the cell is packed
        histories.fold(intent(f"x{number}"), 9)
        histories.fold(Dropped(cell=f"x{number}", attempt=1, reason=""), 9)

    assert "c1" not in histories._recent
    assert histories["c1"] == expected
