"""Where the time of a cell's attempts went: only what two times of one clock say."""

from ledger_lines import finished, intent, saved, submitted
from msgspec.structs import replace

from batchrun.ledger.records import AnyRecord, Rejected
from batchrun.results.waits import Wait, in_words, waits_of


def at(second: float) -> str:
    return f"2026-05-04T12:{int(second) // 60:02}:{second % 60:09.6f}Z"


ENDED = finished(
    at=at(62),
    created_at="2026-05-04T11:00:00.500000Z",
    started_at="2026-05-04T11:00:02.500000Z",
    completed_at="2026-05-04T11:00:43.500000Z",
    duration_ms=41_000,
)
LIFE: list[AnyRecord] = [
    intent(at=at(0)),
    submitted(at=at(0.25)),
    ENDED,
    replace(saved(), at=at(63)),
]


def by_name(records: list[AnyRecord]) -> dict[str, float]:
    return {wait.name: wait.seconds for wait in waits_of(records)}


def test_each_wait_is_between_two_times_of_one_clock() -> None:
    waits = list(waits_of(LIFE))

    assert waits == [
        Wait(attempt=1, name="sending", seconds=0.25, clock="ours"),
        Wait(attempt=1, name="queue", seconds=2.0, clock="service"),
        Wait(attempt=1, name="running", seconds=41.0, clock="service"),
        Wait(attempt=1, name="download", seconds=1.0, clock="ours"),
    ]
    assert " ".join(in_words(waits)) == (
        "waits: sending 0.2 s, the limiter's wait among it, queued 2.0 s, running 41 s, "
        "saved 1.0 s later"
    )


def test_without_the_start_queue_and_running_are_not_told_apart() -> None:
    ended = replace(ENDED, started_at=None)

    assert by_name([intent(), ended]) == {"queue and running": 43.0}


def test_without_times_there_is_what_the_service_says_and_else_nothing() -> None:
    assert by_name([finished(duration_ms=1500)]) == {"took": 1.5}
    assert by_name([finished(duration_ms=-7)]) == {}
    assert by_name([intent(), submitted(), finished(), saved()]) == {}


def test_odd_times_are_no_waits() -> None:
    for start, end in (("soon", "later"), (at(9), at(3)), ("0001-01-01T00:00:00Z", at(3))):
        odd = replace(ENDED, created_at=start, started_at=None, completed_at=end, duration_ms=None)
        assert by_name([odd]) == {}


def test_a_run_that_was_found_again_was_not_answered() -> None:
    assert by_name([intent(at=at(0)), submitted(at=at(90), adopted=True)]) == {"looking up": 90.0}


def test_a_file_that_is_fetched_again_a_month_later_is_no_wait() -> None:
    again = replace(saved(), at="2026-06-04T12:00:00.000000Z")

    assert [wait.name for wait in waits_of([*LIFE, again])].count("download") == 1


def test_each_attempt_has_its_own_line() -> None:
    refused = Rejected(cell="c1", attempt=1, http_status=422, at=at(1))
    second: list[AnyRecord] = [intent(attempt=2, at=at(5)), submitted(attempt=2, at=at(8))]

    assert list(in_words(list(waits_of([intent(at=at(0)), refused, *second])))) == [
        "waits of attempt 1: sending 1.0 s, the limiter's wait among it",
        "waits of attempt 2: sending 3.0 s, the limiter's wait among it",
    ]
