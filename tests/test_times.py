"""The times and waits that a service names: what counts, and that nothing raises."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.base.times import (
    EARLIEST,
    LATEST,
    LONGEST_RUN,
    LONGEST_WAIT,
    http_date,
    milliseconds,
    moment,
    number,
    seconds_between,
    until_words,
    wait,
)
from batchrun.runflow.headers import seconds_to_wait, service_date

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    "named",
    [
        "2026-05-01T12:00:00Z",
        "2026-05-01t12:00:00z",
        "2026-05-01 12:00:00",
        " 2026-05-01T12:00:00 ",
        "2026-05-01T12:00:00.0000000001Z",
        "2026-05-01T14:00:00+02:00",
        "2026-05-01T11:59:60Z",
        "Fri, 01 May 2026 12:00:00 GMT",
        SECONDS,
        float(SECONDS),
        str(SECONDS),
        SECONDS * 1_000,
        str(SECONDS * 1_000),
        SECONDS * 1_000_000,
        SECONDS * 1_000_000_000,
    ],
    ids=repr,
)
def test_a_time_is_read_in_each_spelling(named: Any) -> None:
    assert moment(named) == NOON


@pytest.mark.parametrize(
    "named",
    [
        *(None, "", "soon", [], {}, True, math.nan, math.inf, -1, 0, 12, "7", 10**40, "9" * 5000),
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2019-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "2026-05-01T12:00:00+99:99",
        "2026-13-01T12:00:00Z",
        "1970-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_within_the_window_is_none(named: Any) -> None:
    assert moment(named) is None


@pytest.mark.parametrize(
    "named",
    [
        None,
        "",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1400",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 01 May 2026 12:00:00 +9999999999",
        "Fri, 99 May 2026 12:00:00 GMT",
    ],
)
def test_a_date_at_the_edge_of_the_calendar_is_none(named: str | None) -> None:
    assert http_date(named) is None


@pytest.mark.parametrize(
    ("named", "counts"),
    [(5.0, 5.0), (-1.0, 0.0), (1e308, LONGEST_WAIT), (math.inf, LONGEST_WAIT), (math.nan, None)],
)
def test_a_wait_has_a_floor_and_a_ceiling(named: float, counts: float | None) -> None:
    assert wait(named) == counts


@pytest.mark.parametrize(("ms", "counts"), [(0, 0), (12, 12), (-1, None), (10**18, None)])
def test_a_run_takes_no_negative_time_and_no_hundred_years(ms: int, counts: int | None) -> None:
    assert milliseconds(ms) == counts


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:02.5Z", 2.5),
        ("2026-05-01T12:00:02Z", "2026-05-01T12:00:00Z", None),
        ("2020-05-01T12:00:02Z", "2099-05-01T12:00:00Z", None),
        (None, "2026-05-01T12:00:00Z", None),
    ],
)
def test_times_in_no_order_or_far_apart_say_no_length(
    start: str | None, end: str | None, seconds: float | None
) -> None:
    assert seconds_between(start, end) == seconds


def date(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S GMT")


HOUR = timedelta(hours=1)
LATER = date(NOON + HOUR)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-1"}, 0.0),
        ({"Retry-After": "5, 120"}, 120.0),
        ({"Retry-After": "9" * 25}, LONGEST_WAIT),
        ({"Retry-After": "20260501"}, LONGEST_WAIT),
        *(({"Retry-After": text}, None) for text in ("", "soon", "nan", "inf", "1e9", "1_0", "5s")),
        ({"Retry-After": LATER}, 3600.0),
        ({"Retry-After": LATER, "Date": date(NOON + HOUR / 2)}, 1800.0),
        ({"Retry-After": LATER, "Date": date(NOON), "Age": "1800"}, 1800.0),
        ({"Retry-After": LATER, "Date": "Mon, 01 Jan 0001 00:00:00 GMT"}, 3600.0),
        ({"Retry-After": date(NOON - HOUR)}, 0.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"Retry-After": str(SECONDS + 60)}, 60.0),
        ({"Retry-After": "soon", "RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Reset": str(SECONDS + 60)}, 60.0),
        ({"X-RateLimit-Reset": str(1000 * SECONDS + 60_000)}, 60.0),
        ({"X-Rate-Limit-Reset": "2026-05-01T12:01:00Z"}, 60.0),
    ],
)
def test_a_wait_is_read_from_each_header_by_the_services_own_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert seconds_to_wait(headers, NOON) == seconds


@pytest.mark.parametrize("named", [LATER, str(SECONDS + 60), "2026-05-01T13:00:00Z"])
def test_an_absolute_time_without_the_services_clock_says_nothing(named: str) -> None:
    assert seconds_to_wait({"Retry-After": named}, None) is None
    assert seconds_to_wait({"X-RateLimit-Reset": named}, None) is None
    assert seconds_to_wait({"Retry-After": named, "Date": date(NOON)}, None) in {60.0, 3600.0}


@pytest.mark.parametrize(
    ("age", "shift"), [("60", 60), ("-5", 0), ("soon", 0), ("9" * 30, 86_400), ("", 0)]
)
def test_an_answer_from_a_cache_is_as_much_older_as_it_says(age: str, shift: int) -> None:
    assert service_date({"Date": date(NOON), "Age": age}) == NOON + timedelta(seconds=shift)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOON + timedelta(seconds=45), "12:00:45 UTC (in 45 s)"),
        (NOON + timedelta(seconds=299.7), "12:05:00 UTC (in 5 min)"),
        (NOON + timedelta(seconds=3599.9), "13:00:00 UTC (in 1 h)"),
        (NOON + timedelta(hours=2, minutes=20), "14:20:00 UTC (in 2 h 20 min)"),
        (NOON + timedelta(hours=13), "2026-05-02 01:00:00 UTC (in 13 h)"),
        (NOON + timedelta(days=30), "2026-05-31 12:00:00 UTC (in 30 days)"),
        (NOON - timedelta(seconds=5), "11:59:55 UTC (over by now)"),
    ],
)
def test_a_moment_to_wait_for_is_said_with_how_long_it_is(at: datetime, said: str) -> None:
    assert until_words(at, NOON) == said


TEXTS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"\d{1,4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{0,9})?([zZ]|[+-]\d\d:\d\d)?"),
    st.from_regex(r"(Mon|Fri), \d\d (Jan|Dec) \d{4} \d\d:\d\d:\d\d (GMT|[+-]\d{4,12})"),
    st.from_regex(r"[+-]?\d{1,40}(\.\d*)?"),
    st.datetimes().map(str),
    st.datetimes().map(date),
)
ANYTHING = st.one_of(
    TEXTS, st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())
)


@settings(max_examples=examples(300), deadline=None)
@given(value=ANYTHING, other=ANYTHING)
def test_no_word_of_a_service_raises_and_each_time_is_within_the_window(
    value: object, other: object
) -> None:
    at = moment(value)

    assert at is None or (EARLIEST <= at <= LATEST and at.tzinfo is UTC)
    took = seconds_between(value, other)
    assert took is None or 0 <= took <= LONGEST_RUN


@settings(max_examples=examples(300), deadline=None)
@given(named=TEXTS, reset=TEXTS, given_date=TEXTS, age=TEXTS, known=st.booleans())
def test_no_header_raises_and_each_wait_is_within_the_window(
    named: str, reset: str, given_date: str, age: str, *, known: bool
) -> None:
    headers = {"Retry-After": named, "RateLimit-Reset": reset, "Date": given_date, "Age": age}

    seconds = seconds_to_wait(headers, NOON if known else None)

    assert seconds is None or 0 <= seconds <= LONGEST_WAIT
    assert number(named) is None or math.isfinite(number(named) or 0)
