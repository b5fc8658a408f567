from collections.abc import Sequence
from decimal import Decimal
from unicodedata import east_asian_width

from counting import group
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import finished

from batchrun.ledger.records import Finished, Rejected
from batchrun.results.failures import LONGEST, MOST_CELLS, Failure, as_dicts, failures
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


def test_amounts_of_one_column_have_one_number_of_decimals_and_separators() -> None:
    rows = (
        model("banana", "1.28", cells=50_000, succeeded=50_000),
        model("gpt", "1234.064", cells=8, succeeded=8),
    )

    assert table(summary_of(rows, cost=Decimal("1300.344")), rows).splitlines() == [
        "model                 cells    done        USD",
        "───────────────────  ──────  ──────  ─────────",
        "banana               50,000  50,000      1.280",
        "gpt                       8       8  1,234.064",
        "not in the manifest                     65.000",
        "total                50,008  50,008  1,300.344",
    ]


def test_the_place_is_not_said_twice() -> None:
    summary = summary_of(ROWS, outputs="/out", next="all 48 done; files in /out")

    assert "files: " not in table(summary, ROWS)


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
    shown = table(summary_of(ROWS, folded=2, orphaned=120), ROWS, orphans_cost=Decimal("9.6"))
    one = table(summary_of(ROWS, folded=1, orphaned=1), ROWS)

    assert shown.splitlines()[-2:] == [
        "2 of 50 combinations send their model the same as another, so they share a run",
        "120 cells no longer match the manifest (9.60 USD); their files are kept",
    ]
    assert one.splitlines()[-2:] == [
        "1 of 49 combinations sends its model the same as another, so it shares a run",
        "1 cell no longer matches the manifest; its files are kept",
    ]


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


def failed(
    code: str | None, message: str | None, status: str = "failed", cell: str = "c1"
) -> Finished:
    return finished(cell, status=status, failure_code=code, failure_message=message)


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


def test_the_object_names_the_first_cells_of_a_group_each_once() -> None:
    ended = [("a", failed("X", "m", cell=f"c{n:02}")) for n in (*range(30), 3)]
    [found] = as_dicts(group(ended), {"a": 40})

    assert found["cells"] == [f"c{n:02}" for n in range(MOST_CELLS)]
    assert (found["count"], found["of"]) == (31, 40)


def test_a_failure_without_words_gets_some() -> None:
    ended = [("a", failed(None, None, "cancelled")), ("b", failed("X", None))]

    assert [each["message"] for each in as_dicts(group(ended), {})] == [
        "the run was cancelled; it may have been billed",
        "the service gave no reason",
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
