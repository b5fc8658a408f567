"""When runs were and when requests met 429s, as the page of results has it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import NOON
from report_pages import data_files, inside, row, written

from batchrun.ledger.records import Throttled, timestamp
from batchrun.report.run_times import RunTimes, run_times
from batchrun.report.throttle_bins import MOST, ThrottleBins, joined, throttle_bins

CREATED = "2026-05-04T12:00:00Z"
MS = 1_777_896_000_000


@pytest.mark.parametrize(
    ("started", "completed", "duration", "whole", "work"),
    [
        ("2026-05-04T12:00:03Z", "2026-05-04T12:00:11.500Z", 8500, 11_500, 8500),
        ("2026-05-04T12:00:03Z", "2026-05-04T12:00:11.500Z", 11_500, 11_500, 8500),
        ("2026-05-04T12:00:00Z", "2026-05-04T12:00:11Z", None, 11_000, 11_000),
        ("2026-05-04T12:00:11Z", "2026-05-04T12:00:11Z", None, 11_000, 0),
        (None, "2026-05-04T12:00:11Z", 8000, 11_000, None),  # the times before the duration
        (None, None, 8000, 8000, None),
        ("2026-05-04T12:00:03Z", None, 8000, 8000, None),  # the queue may be in it
        (None, None, None, None, None),
        ("2026-05-04T11:59:00Z", "2026-05-04T12:00:11Z", None, 11_000, None),  # before it was made
        ("2026-05-04T12:00:12Z", "2026-05-04T12:00:11Z", None, 11_000, None),  # after its end
        ("soon", "later", -1, None, None),
    ],
)
def test_a_run_waits_and_works(
    started: str | None,
    completed: str | None,
    duration: int | None,
    whole: int | None,
    work: int | None,
) -> None:
    found = run_times(CREATED, started, completed, duration)

    assert found == RunTimes(created=MS, whole=whole, work=work)


def test_a_creation_that_is_no_time_leaves_the_duration() -> None:
    found = run_times("soon", "2026-05-04T12:00:03Z", "2026-05-04T12:00:11Z", 8000)

    assert found == RunTimes(created=None, whole=8000, work=None)


def test_the_overview_has_times_as_numbers(tmp_path: Path) -> None:
    times: dict[str, Any] = {
        "created_at": CREATED,
        "started_at": "2026-05-04T12:00:03Z",
        "completed_at": "2026-05-04T12:00:05Z",
    }
    written(tmp_path, [row("c1", {}, **times), row("c2", {})])

    (name,) = [name for name in data_files(tmp_path) if name.startswith("o")]
    chunk = json.loads(data_files(tmp_path)[name].partition(b",")[2].removesuffix(b")\n"))
    assert chunk["created_at"] == {"values": [MS, None]}
    assert chunk["completed_at"] == {"values": [5000, 2000]}
    assert chunk["duration_ms"] == {"values": [2000, None]}


def line(seconds: float, *counts: int, ahead: float | None = None) -> Throttled:
    since = NOON.replace(microsecond=0) + timedelta(seconds=seconds)
    server_at = None if ahead is None else timestamp(since + timedelta(seconds=ahead))
    return Throttled(since=timestamp(since), step=10, counts=counts, server_at=server_at)


def test_429s_are_by_the_services_clock_where_it_is_known() -> None:
    lines = [line(0, 3, 0, 1), line(10, 2), line(30, 5, ahead=3600)]

    found = throttle_bins(lines)

    assert found.step == 10_000
    assert found.counts == ((MS, 3), (MS + 10_000, 2), (MS + 20_000, 1), (MS + 3_630_000, 5))


def test_a_time_that_makes_no_sense_is_left_out() -> None:
    lines = [Throttled(since="soon", step=10, counts=(3,)), line(0, 1)]

    assert throttle_bins(lines).counts == ((MS, 1),)
    assert throttle_bins([]) == ThrottleBins()


@given(st.integers(1, 5000))
def test_a_page_has_so_many_steps_at_most_and_no_429_is_lost(lines: int) -> None:
    found = throttle_bins(line(60 * number, 1, 2, 3, 4, 5, 6) for number in range(lines))

    assert len(found.counts) <= MOST
    assert sum(count for _, count in found.counts) == 21 * lines
    assert all(at % found.step == 0 for at, _ in found.counts)


def test_the_page_has_the_429s_of_all_calls(tmp_path: Path) -> None:
    text = written(tmp_path, [row("c1", {})], throttles=throttle_bins([line(0, 3, 0, 1)]))

    throttles = json.loads(inside(text))["throttles"]
    assert throttles == {"step": 10_000, "counts": [[MS, 3], [MS + 20_000, 1]]}


def test_steps_of_several_sweeps_are_put_together_and_none_is_lost() -> None:
    one = ThrottleBins(10_000, ((MS, 2), (MS + 10_000, 1)))
    other = ThrottleBins(20_000, ((MS // 20_000 * 20_000, 5),))

    found = joined([one, other])

    assert found.step == 20_000
    assert sum(count for _, count in found.counts) == 8
    assert joined([]) == ThrottleBins()
