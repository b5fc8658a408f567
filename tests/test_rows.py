from collections.abc import Mapping
from decimal import Decimal

import pytest
from ledger_lines import finished, intent, saved, submitted
from result_lines import PHOTO, MemoryLedger, cell

from batchrun.ledger.history import History
from batchrun.ledger.records import AnyRecord, Finished, Rejected, Saved
from batchrun.manifest.cells import OMIT, plain
from batchrun.results.rows import COLUMNS, columns, row


def row_of(
    *records: AnyRecord, attempts: int = 2, values: Mapping[str, object] | None = None
) -> dict[str, object]:
    ledger = MemoryLedger(records)
    history = ledger.book.history("c1")
    ended = next((r for r in reversed(records) if isinstance(r, Finished | Rejected)), None)
    files = next((r for r in records if isinstance(r, Saved)), None)
    return row(cell(values=values), history, ended, files, attempts=attempts)


def test_a_row_has_the_axes_first_and_then_the_promised_columns() -> None:
    assert list(row_of(values={"prompt": "a", "seed": 1})) == ["prompt", "seed", *COLUMNS]


def test_a_finished_cell_s_row_says_it_all() -> None:
    ended = finished(
        duration_ms=2500,
        created_at="2026-05-04T12:00:00.000000Z",
        completed_at="2026-05-04T12:00:02.500000Z",
        cost=Decimal("0.0390"),
    )

    assert row_of(intent(), submitted(), ended, saved(), values={"prompt": "a chair"}) == {
        "prompt": "a chair",
        "model": "google/banana",
        "alias": "banana",
        "replicate": 1,
        "cell": "c1",
        "status": "succeeded",
        "attempts": 1,
        "run_id": "run-c1-1",
        "cost": "0.039",
        "shared": False,
        "duration_ms": 2500,
        "created_at": "2026-05-04T12:00:00.000000Z",
        "completed_at": "2026-05-04T12:00:02.500000Z",
        "files": ["files/banana/c1.png"],
        "failure_code": None,
        "failure_message": None,
    }


def test_a_point_without_a_line_has_a_row_that_says_so() -> None:
    found = row(cell(), History(), None, None, attempts=2)

    assert found["status"] == "pending"
    assert found["attempts"] == 0
    assert found["files"] == []
    assert found["run_id"] is None


def test_a_rejected_cell_has_the_service_s_reason_and_no_run() -> None:
    record = Rejected(cell="c1", attempt=1, http_status=422, code="INVALID", message="no ratio")
    found = row_of(intent(), record)

    assert found["status"] == "rejected"
    assert (found["failure_code"], found["failure_message"]) == ("INVALID", "no ratio")
    assert found["run_id"] is None


def test_a_rejection_without_a_code_has_its_http_status() -> None:
    found = row_of(intent(), Rejected(cell="c1", attempt=1, http_status=413))

    assert found["failure_code"] == "HTTP 413"


def test_a_new_attempt_s_row_says_nothing_of_the_last_one() -> None:
    failed = finished(status="failed", failure_code="BROKEN", failure_message="it broke")
    found = row_of(intent(), submitted(), failed, intent(attempt=2), submitted(attempt=2))

    assert found["status"] == "in_flight"
    assert found["run_id"] == "run-c1-2"
    assert found["failure_code"] is None
    assert found["cost"] is None


def test_a_failed_cell_with_an_attempt_left_is_pending_and_says_why() -> None:
    failed = finished(status="failed", failure_code="BROKEN")
    found = row_of(intent(), submitted(), failed)

    assert (found["status"], found["failure_code"]) == ("pending", "BROKEN")
    assert row_of(intent(), submitted(), failed, attempts=1)["status"] == "failed"


@pytest.mark.parametrize("name", COLUMNS)
def test_an_axis_called_like_a_column_of_ours_hides_nothing(name: str) -> None:
    found = row_of(values={name: "mine"})

    assert found[f"input.{name}"] == "mine"
    assert found[name] == row_of()[name]


def test_values_stay_what_they_are_and_files_are_paths() -> None:
    value = {"images": [PHOTO, "https://x.test/a.png"], "n": 1.5, "deep": {"none": None}}

    assert plain(PHOTO) == "photos/a.png"
    assert plain(value) == {
        "images": ["photos/a.png", "https://x.test/a.png"],
        "n": 1.5,
        "deep": {"none": None},
    }
    assert plain([1, OMIT, {"a": OMIT}]) == [1, {}]


def test_the_columns_are_the_axes_as_they_came_and_then_ours() -> None:
    assert columns(["b", "a", "model", "b", "status"]) == ["b", "a", *COLUMNS]


def test_no_two_axes_meet_in_one_column() -> None:
    values = {"cost": 1, "input.cost": 2, "input.input.cost": 3, "input.seed": 4, "seed": 5}

    found = row_of(values=values)

    names = [name for name in found if name not in COLUMNS]
    assert {name: found[name] for name in names} == {
        "input.cost": 1,
        "input.input.cost": 2,
        "input.input.input.cost": 3,
        "input.seed": 4,
        "seed": 5,
    }
