from collections.abc import Sequence
from decimal import Decimal
from unicodedata import east_asian_width

from counting import group
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import finished

from batchrun.ledger.records import Finished, Rejected
from batchrun.results.failures import LONGEST, Failure, failures
from batchrun.results.summary import Summary
from batchrun.results.tally import ModelRow, Tally
from batchrun.results.terminal_table import table


def model(alias: str, cost: str = "0", /, **numbers: int) -> ModelRow:
    return ModelRow(alias=alias, tally=Tally(**numbers), cost=Decimal(cost))


def summary_of(rows: Sequence[ModelRow], **more: object) -> Summary:
    names = Tally().as_dict()
    sums = {name: sum(row.tally.as_dict()[name] for row in rows) for name in names}
    given: dict[str, object] = {"cost": sum((row.cost for row in rows), Decimal(0)), **more}
    return Summary(**{**sums, **given})  # type: ignore[arg-type]  # fields by name


PRINTABLE = st.characters(exclude_categories=["C", "Zl", "Zp"])

ROWS = (
    model("banana", "0.96", cells=24, succeeded=24),
    model("seedance", "12.5", cells=24, succeeded=20, failed=3, pending=1),
)


def test_a_line_for_each_model_and_the_totals_below() -> None:
    assert table(summary_of(ROWS), ROWS).splitlines() == [
        "model     cells  done  failed  pending    USD",
        "────────  ─────  ────  ──────  ───────  ─────",
        "banana       24    24       -        -   0.96",
        "seedance     24    20       3        1  12.50",
        "total        48    44       3        1  13.46",
    ]


def test_one_model_needs_no_totals() -> None:
    assert table(summary_of(ROWS[:1]), ROWS[:1]).splitlines() == [
        "model   cells  done   USD",
        "──────  ─────  ────  ────",
        "banana     24    24  0.96",
    ]


def test_the_files_and_the_report_are_named_below() -> None:
    shown = table(summary_of(ROWS[:1], outputs="/out/chairs", report="/out/report.html"), ROWS[:1])

    assert shown.endswith("\n\nfiles: /out/chairs\nreport: /out/report.html")


def test_points_folded_and_cells_orphaned_are_said() -> None:
    shown = table(summary_of(ROWS, folded=1, orphaned=2), ROWS)

    assert "\n1 point came to a cell that was there already\n" in shown
    assert shown.endswith("2 cells of the ledger not in the manifest any more")


def test_money_of_models_that_are_gone_is_on_a_line_of_its_own() -> None:
    shown = table(summary_of(ROWS[:1], cost=Decimal(1)), ROWS[:1]).splitlines()

    assert shown[3].split("  ")[0] == "not in the manifest"
    assert shown[3].endswith(" 0.04")
    assert shown[4].endswith(" 1.00")


def test_every_count_that_is_not_zero_has_a_column() -> None:
    numbers = {name: 1 for name in Tally().as_dict() if name not in {"orphaned", "folded"}}
    rows = [ModelRow(alias="m", tally=Tally(**numbers))]

    head = table(summary_of(rows), rows, 200).splitlines()[0]
    assert " ".join(head.split()) == (
        "model cells done partial failed rejected cancelled parked in doubt in flight pending "
        "unsaved lost USD"
    )


@given(
    st.lists(st.text(PRINTABLE, min_size=1, max_size=60), min_size=1, max_size=4),
    st.integers(30, 120),
)
def test_columns_stay_in_line_and_within_the_width(aliases: list[str], width: int) -> None:
    rows = [model(alias, "1.5", cells=3, succeeded=3) for alias in aliases]
    lines = table(summary_of(rows), rows, width).split("\n")

    assert len(lines) == len(rows) + (2 if len(rows) == 1 else 3)
    assert len({_columns(line) for line in lines}) == 1
    assert _columns(lines[0]) <= max(width, 30)


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def test_a_table_of_nothing_is_a_table() -> None:
    assert table(Summary(), []).splitlines()[0] == "model  cells  done  USD"


# Failures.


def failed(code: str | None, message: str | None, status: str = "failed") -> Finished:
    return finished(status=status, failure_code=code, failure_message=message)


def test_failures_of_one_cause_are_one_line_and_the_most_frequent_come_first() -> None:
    ended: list[tuple[str, Finished | Rejected]] = [
        ("banana", failed("TIMEOUT", "no answer after 30 s")),
        *(("seedance", failed("NSFW", f"image {n} of run_{n}abc was refused")) for n in range(37)),
        ("banana", Rejected(cell="c", attempt=1, http_status=422, message="bad ratio")),
        ("banana", failed(None, None, "cancelled")),
    ]

    assert failures(group(ended), {"seedance": 40, "banana": 50}).splitlines() == [
        "37 of 40 seedance, moderated: NSFW: image 0 of run_0abc was refused",
        "1 of 50 banana: HTTP 422: bad ratio (cell c)",
        "1 of 50 banana: TIMEOUT: no answer after 30 s (cell c1)",
        "1 of 50 banana: cancelled (cell c1)",
    ]


def test_other_codes_and_other_models_are_other_failures() -> None:
    ended = [("a", failed("X", "m")), ("a", failed("Y", "m")), ("b", failed("X", "m"))]

    assert [failure.count for failure in group(ended)] == [1, 1, 1]


def test_a_message_cannot_take_over_the_terminal() -> None:
    message = "red \x1b[31m\x07 and\r\nmore " + "x" * 500
    (line,) = failures(group([("a", failed("X", message))]), {}).split("\n")

    assert "\x1b" not in line
    assert "\r" not in line
    assert line.endswith("… (cell c1)")
    assert len(line) <= len("1 of 1 a: X:  (cell c1)") + LONGEST


def test_more_failures_than_cells_are_never_said() -> None:
    shown = failures([Failure(alias="a", code="X", example="", count=3)], {"a": 1})

    assert shown == "3 of 3 a: X"


def test_a_manifest_that_excludes_every_cell_is_told_so() -> None:
    assert "\n\nno cell is left to run: `exclude` drops every one" in table(summary_of([]), [])
    assert "exclude" not in table(summary_of(ROWS), ROWS)
