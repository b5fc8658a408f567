"""Words on stderr: with the time where they may be kept, and in marks that the output can have."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batchrun.base.plain_marks import MARKS, PLAIN
from batchrun.base.said import log, log_end, say, timed
from batchrun.base.text import decimals_of, number_of, usd

NIGHT = datetime(2026, 11, 29, 3, 0, 12, 987_000, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_line_of_a_log_begins_with_its_time() -> None:
    stream = io.StringIO()
    log("two ways:\n  the one", stream, now=NIGHT)

    assert stream.getvalue() == ("2026-11-29T03:00:12Z two ways:\n2026-11-29T03:00:12Z   the one\n")
    assert timed("", NIGHT) == "2026-11-29T03:00:12Z "


def test_a_terminal_gets_no_times_and_no_second_last_line() -> None:
    stream = Terminal()
    log("interrupted", stream, now=NIGHT)
    log_end(3, "go on", stream)

    assert stream.getvalue() == "interrupted\n"


def test_the_last_line_of_a_log_has_the_exit_code_and_how_to_go_on() -> None:
    stream = io.StringIO()
    log_end(3, "go on with `x`", stream)

    assert stream.getvalue()[20:] == " exit code 3: go on with `x`\n"


def test_a_closed_stream_ends_no_call() -> None:
    stream = io.StringIO()
    stream.close()

    log("x", stream)
    say("x", stream)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_each_mark_of_ours_has_a_plain_one(encoding: str) -> None:
    text = "".join(PLAIN)
    for mark, plain in PLAIN.items():
        shown = mark.encode(encoding, MARKS).decode(encoding)
        assert shown == plain or mark.encode(encoding, "ignore")

    assert text.encode("ascii", MARKS).decode() == "".join(PLAIN.values())


def test_what_is_no_mark_of_ours_is_spelled_by_its_number() -> None:
    assert "größe ─ 椅".encode("latin-1", MARKS) == "größe - \\u6905".encode("latin-1")
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", MARKS)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        ("4000", 2, "4,000.00"),
        ("1234567.125", 2, "1,234,567.125"),
        ("1.28", 3, "1.280"),
        ("0", 4, "0.0000"),
        ("-1234.5", 2, "-1,234.50"),
        ("1E+4", 2, "10,000.00"),
    ],
)
def test_money_for_people_has_separators(amount: str, decimals: int, text: str) -> None:
    assert usd(Decimal(amount), decimals=decimals) == text


def test_a_column_has_the_most_decimals_that_any_amount_needs() -> None:
    assert decimals_of(map(Decimal, ["1.28", "1.0640", "9.676", "12"])) == 3
    assert decimals_of([]) == decimals_of([Decimal(1)]) == 2


def test_numbers_of_many_have_separators() -> None:
    assert number_of(50_000, "cell") == "50,000 cells"
