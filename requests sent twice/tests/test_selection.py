"""Which cells a call is about, also by status and code: as they stood when it began."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from engine_world import World
from ledger_lines import finished, intent, submitted
from result_lines import MemoryLedger, cell
from simulated import Runflow

from batchrun.engine.selection import Selection, check_statuses
from batchrun.ledger.records import Finished, Rejected

CELLS = [cell(key, values={"seed": seed}) for seed, key in enumerate(("a", "b", "c", "d", "e"))]
LEDGER = MemoryLedger(
    [
        *(intent("a"), submitted("a"), finished("a")),
        *(intent("b"), Rejected(cell="b", attempt=1, http_status=422, code="NO")),
        *(intent("c"), submitted("c"), finished("c", status="failed", failure_code="BROKEN")),
        *(intent("d"), submitted("d")),
    ]
)


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ({}, "abcde"),
        ({"seed": ("0", "4")}, "ae"),
        ({"status": ("succeeded",)}, "a"),
        ({"status": ("rejected", "in_flight")}, "bd"),
        ({"status": ("pending",)}, "ce"),  # what failed has an attempt left
        ({"status": ("pending",), "seed": ("4",)}, "e"),
        ({"status": ("pending", "succeeded")}, "ace"),
        ({"status": ("parked",)}, ""),
        ({"code": ("NO",)}, "b"),
        ({"code": ("NO", "BROKEN")}, "bc"),
        ({"code": ("BROKEN",), "status": ("rejected",)}, ""),
        ({"code": ("BROKEN",), "status": ("pending",)}, "c"),
    ],
)
def test_what_was_asked_for_is_wanted(only: Mapping[str, tuple[str, ...]], wanted: str) -> None:
    selection = Selection(only, LEDGER, attempts=2)

    assert "".join(each.key for each in CELLS if selection.wants(each)) == wanted
    assert bool(selection) == bool(only)


def test_without_a_ledger_everything_is_pending() -> None:
    pending = Selection({"status": ("pending",)}, None, attempts=2)
    failed = Selection({"status": ("failed",)}, None, attempts=2)

    assert all(map(pending.wants, CELLS))
    assert not any(map(failed.wants, CELLS))


def test_what_a_cell_becomes_does_not_change_what_is_wanted() -> None:
    ledger = MemoryLedger([intent("a"), submitted("a")])
    selection = Selection({"status": ("in_flight",)}, ledger, attempts=2)
    ledger.book.add(Finished(cell="a", attempt=1, run_id="run-a-1", status_code="succeeded"), 2)

    assert [each.key for each in CELLS if selection.wants(each)] == ["a"]


def test_a_status_that_no_cell_can_have_is_named() -> None:
    check_statuses({"status": ("failed", "in_doubt")})

    with pytest.raises(ValueError, match=r"`--only status=faild`.*did you mean `failed`"):
        check_statuses({"status": ("failed", "faild")})
    with pytest.raises(ValueError, match="it is one of succeeded, "):
        check_statuses({"status": ("x",)})


async def test_by_status_nothing_else_is_sent(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number == 1 else "succeeded")
    world = World(tmp_path, service)
    await world.call(attempts=1, limit=3)
    failed = [key for key, each in world.book().histories.items() if each.state == "failed"]
    await world.call(attempts=1, only={"status": ("failed",)}, retry_failed=True)

    assert len(failed) == 1
    assert len(service.runs) == 4  # and none for the three that were pending
    assert world.book().history(failed[0]).state == "succeeded"


async def test_by_code_nothing_else_is_sent(tmp_path: Path) -> None:
    service = Runflow(ending=lambda number: "failed" if number == 1 else "succeeded")
    world = World(tmp_path, service)
    await world.call(attempts=1, limit=3)
    await world.call(attempts=1, only={"code": ("OTHER",)}, retry_failed=True)
    other = len(service.runs)
    await world.call(attempts=1, only={"code": ("PROVIDER_ERROR",)}, retry_failed=True)

    assert (other, len(service.runs)) == (3, 4)
