import json
import re
from decimal import Decimal

import pytest
from msgspec.structs import replace

from batchrun.base.text import money, number_of
from batchrun.errors import (
    BatchrunError,
    BegunElsewhereError,
    BudgetReachedError,
    LedgerError,
    LostLedgerError,
    ManifestError,
    NotPermittedError,
    Place,
    Problem,
    UnreachableError,
)
from batchrun.results.failures import Failure
from batchrun.results.going_on import Others, how_to_go_on
from batchrun.results.summary import Stop, Summary, stop_of
from batchrun.results.tally import Tally

FIELDS = """
    schema sweep name label endpoint cells succeeded partial_succeeded failed rejected cancelled
    parked in_doubt pending in_flight orphaned folded unsaved lost cost requests retries
    rate_limited duration_s outputs ledger report complete exit_code next models failures
""".split()  # noqa: SIM905  (as the contract has it)

PROBLEM = Problem(Place("m.yaml", 7, 9), "`limits.rate` is wrong", "  rate: x", 1)


def test_the_object_has_the_promised_fields_in_their_order() -> None:
    assert list(json.loads(Summary().as_json())) == FIELDS


def test_an_error_comes_last_and_only_where_there_is_one() -> None:
    summary = Summary(exit_code=2, error=Stop(message="no", problems=(PROBLEM,)))
    found = json.loads(summary.as_json())

    assert list(found) == [*FIELDS, "error"]
    assert found["error"] == {
        "message": "no",
        "problems": [
            {"source": "m.yaml", "line": 7, "column": 9, "message": "`limits.rate` is wrong"}
        ],
    }


def test_the_object_is_one_line_of_ascii() -> None:
    text = Summary(name="stühle\n\x1b[31m椅", cost=Decimal("1E-7")).as_json()

    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["name"] == "stühle\n\x1b[31m椅"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("0E-9", "0.00"),
        ("1E+3", "1000.00"),
        ("0.1", "0.10"),
        ("0.0390", "0.039"),
        ("12.345678", "12.345678"),
        ("1E-7", "0.0000001"),
        ("-0.5", "-0.50"),
    ],
)
def test_money_is_plain_and_keeps_every_digit_that_counts(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text
    assert Decimal(money(Decimal(amount))) == Decimal(amount)


def test_several_reasons_to_stop_are_one_message_with_all_problems() -> None:
    stop = stop_of([ManifestError([PROBLEM]), UnreachableError("no answer")])

    assert stop is not None
    assert stop.message.endswith("\nno answer")
    assert stop.problems == (PROBLEM,)
    assert stop_of([]) is None
    assert stop_of([LedgerError("x")]) == Stop(message="x")


@pytest.mark.parametrize(
    ("tally", "code", "says"),
    [
        (Tally(cells=2, succeeded=2), 0, "all 2 done; files in /out"),
        (Tally(cells=2, partial_succeeded=2), 1, "all 2 done, 2 of them in part; files in /out"),
        (Tally(cells=2, succeeded=2, lost=1), 1, "nothing more can be had; 1 cell lost a file"),
        (Tally(cells=3, succeeded=1, lost=1, failed=2), 1, "--retry-failed"),
        (
            Tally(cells=2, failed=2),
            1,
            "2 cells failed; `batchrun m.yaml --retry-failed` tries them again",
        ),
        (Tally(cells=2, failed=2), 0, "--retry-failed"),
        (
            Tally(cells=2, rejected=2, invalid_input=2),
            1,
            "the API rejected 2 cells; fix these inputs, then `batchrun m.yaml`",
        ),
        (
            Tally(rejected=1, invalid_input=1, partial_succeeded=1),
            1,
            "the API rejected 1 cell; fix",
        ),
        (Tally(failed=2, invalid_input=2), 1, "the API rejected 2 cells; fix"),
        (Tally(failed=2, invalid_input=1), 1, "--retry-failed`"),
        (Tally(failed=3, moderated=2), 1, "again; 2 cells moderated: change these inputs first"),
        (Tally(failed=1, moderated=1), 1, "1 cell moderated: change these inputs, then"),
        (Tally(cells=2, rejected=1, failed=1), 1, "--retry-failed`"),
        (Tally(cells=2, cancelled=2), 1, "again; 2 cancelled cells may cost again"),
        (Tally(cells=2, cancelled=1, rejected=1), 1, "; 1 cancelled cell may cost again"),
        (Tally(cells=3, pending=2, in_flight=1), 3, "go on with `batchrun m.yaml`; 2 not yet done"),
        (Tally(cells=3, failed=1, in_doubt=1, unsaved=1), 3, "1 in doubt, 1 not saved"),
        (Tally(cells=3, pending=3), 4, "RUNFLOW_API_KEY"),
        (Tally(cells=3, pending=3), 5, "add credit"),
        (Tally(cells=3, pending=3), 6, "--budget"),
        (Tally(), 7, "wait for the other batchrun"),
        (Tally(), 8, "when the service can be reached"),
        (Tally(), 9, "fix the error, then run `batchrun m.yaml`"),
        (Tally(), 2, "nothing was sent"),
        (Tally(cells=3, pending=3), 130, "go on with `batchrun m.yaml`"),
        (Tally(), 70, "a bug in batchrun"),
    ],
)
def test_whatever_the_exit_the_last_line_says_how_to_go_on(
    tally: Tally, code: int, says: str
) -> None:
    line = how_to_go_on(tally, code, command="batchrun m.yaml", outputs="/out")

    assert says in line
    assert "\n" not in line
    assert not line.endswith(".")


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("batchrun m.yaml --budget 0.1 --yes", "batchrun m.yaml --budget … --yes"),
        ("batchrun m.yaml --budget-per-day=2", "batchrun m.yaml --budget-per-day=…"),
        ("batchrun my--budget 1", "batchrun my--budget 1"),
    ],
)
def test_the_sum_that_stopped_a_call_is_not_in_the_command_that_goes_on(
    typed: str, named: str
) -> None:
    assert f"then `{named}`" in how_to_go_on(Tally(cells=3, pending=3), 6, command=typed)
    assert typed in how_to_go_on(Tally(cells=3, pending=3), 5, command=typed)


def test_where_only_models_are_forbidden_the_last_line_names_them_and_not_the_key() -> None:
    refused = NotPermittedError("no", models=["a/one", "b/two"])

    line = how_to_go_on(None, 4, command="again", errors=[refused])

    assert line == (
        "have the key permitted to run a/one, b/two, or take that out of the manifest, then `again`"
    )
    assert "RUNFLOW_API_KEY" in how_to_go_on(None, 4, command="again")


def test_what_was_rejected_is_not_sent_again_as_it_is() -> None:
    assert "--retry-failed" not in how_to_go_on(
        Tally(rejected=1, invalid_input=1), 1, command="batchrun m.yaml"
    )


def test_only_what_was_cancelled_may_cost_again() -> None:
    assert "cost" not in how_to_go_on(Tally(failed=1, rejected=1), 1, command="batchrun m.yaml")


DONE = Tally(cells=2, succeeded=2)
FAILED = Tally(cells=2, failed=1, succeeded=1)
OTHERS_LEFT = "7 other cells not done: `all` goes on with all"


@pytest.mark.parametrize(
    ("tally", "left", "line"),
    [
        (DONE, 0, "all 2 done; files in /out"),
        (DONE, 1, "what was selected is done; 1 other cell not done: `all` goes on with all"),
        (DONE, 7, f"what was selected is done; {OTHERS_LEFT}"),
        (Tally(), 7, f"no cell is selected; {OTHERS_LEFT}"),
        (Tally(cells=2, pending=2), 7, "go on with `some`; 2 not yet done"),
        (
            FAILED,
            7,
            f"1 of 2 cells failed; `some --retry-failed` tries it again; {OTHERS_LEFT}",
        ),
    ],
)
def test_of_what_only_left_out_it_says_how_much_is_not_done(
    tally: Tally, left: int, line: str
) -> None:
    others = Others(unfinished=left, command="all")

    assert how_to_go_on(tally, 0, command="some", outputs="/out", others=others) == line


def test_one_of_a_kind_is_not_many() -> None:
    assert [number_of(number, "cell") for number in range(3)] == ["0 cells", "1 cell", "2 cells"]


def test_models_that_refuse_everything_are_named_with_what_to_do() -> None:
    refusing = ["`a/b` refused 10 cells alike and took none (HTTP 404)", "`c/d` too"]
    left = how_to_go_on(Tally(pending=9, rejected=10), 3, command="some", refusing=refusing)

    assert left == (
        f"{'; '.join(refusing)}: correct the model in the manifest, or take it out, then `some`; "
        "9 not yet done"
    )
    done = how_to_go_on(Tally(rejected=10, invalid_input=10), 1, command="some", refusing=refusing)
    assert done.startswith("the API rejected 10 cells; fix these inputs, then `some`")


def refused(alias: str, count: int, message: str) -> Failure:
    return Failure(alias=alias, code="V", example=message, count=count, invalid=True)


@pytest.mark.parametrize(
    ("failures", "line"),
    [
        (
            [refused("resize", 24, "field required: image_url")],
            (
                "the API rejected 24 cells of `resize` (V: field required: image_url); fix these "
                "inputs, then `some`"
            ),
        ),
        (
            [refused("a", 1, "x"), Failure(alias="b", code="T", example="late", count=3)],
            "the API rejected 1 cell of `a` (V: x); fix these inputs, then `some`",
        ),
        (
            [refused(alias, 2, "x") for alias in "abcde"],
            (
                "the API rejected 2 cells of `a` (V: x) and 2 cells of `b` (V: x) and 2 cells of "
                "`c` (V: x) and 4 more; fix these inputs, then `some`"
            ),
        ),
    ],
)
def test_what_was_rejected_is_named_with_its_reason(failures: list[Failure], line: str) -> None:
    tally = Tally(cells=30, rejected=24, invalid_input=24)

    assert how_to_go_on(tally, 1, command="some", failures=failures) == line


def test_what_was_rejected_is_named_beside_what_may_be_tried_again() -> None:
    tally = Tally(cells=30, rejected=24, failed=2, invalid_input=24)
    failures = [refused("resize", 24, "x")]

    assert how_to_go_on(tally, 1, command="some", failures=failures) == (
        "2 of 30 cells failed; `some --retry-failed` tries them again; the API rejected 24 cells "
        "of `resize` (V: x): fix these inputs first"
    )


def failed(alias: str, code: str, message: str) -> Failure:
    return Failure(alias=alias, code=code, example=message)


@pytest.mark.parametrize(
    ("tally", "failures", "line"),
    [
        (
            Tally(cells=6, succeeded=4, failed=2),
            [failed("gpt", "TIMEOUT", "no answer\nafter 30 s")],
            (
                "2 of 6 cells failed (`gpt`: TIMEOUT: no answer after 30 s); "
                "`some --retry-failed` tries them again"
            ),
        ),
        (
            Tally(cells=1, failed=1),
            [failed("gpt", "TIMEOUT", "")],
            "1 cell failed (`gpt`: TIMEOUT); `some --retry-failed` tries it again",
        ),
        (
            Tally(cells=9, succeeded=2, failed=4, rejected=2, cancelled=1, invalid_input=1),
            [
                refused("gpt", 1, "bad"),
                failed("gpt", "A", ""),
                failed("gpt", "B", ""),
                failed("banana", "A", ""),
                failed("banana", "C", ""),
            ],
            (
                "6 of 9 cells did not succeed (`gpt`: A; `gpt`: B; `banana`: A; 1 more reason); "
                "`some --retry-failed` tries them again; the API rejected 1 cell of `gpt` "
                "(V: bad): fix these inputs first; 1 cancelled cell may cost again"
            ),
        ),
        (
            Tally(cells=4, succeeded=3, cancelled=1),
            [],
            (
                "1 of 4 cells was cancelled; `some --retry-failed` tries it again; "
                "1 cancelled cell may cost again"
            ),
        ),
    ],
)
def test_what_failed_is_named_with_its_number_and_reason(
    tally: Tally, failures: list[Failure], line: str
) -> None:
    assert how_to_go_on(tally, 1, command="some", failures=failures) == line


ELSEWHERE = BegunElsewhereError("begun elsewhere", sweeps=["k3f9"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LedgerError("no space left"), "fix the error, then run `some`: no space left"),
        (
            ManifestError([PROBLEM]),
            (
                "fix 1 mistake in m.yaml, then run `some`; the first is m.yaml:7:9: `limits.rate` "
                "is wrong"
            ),
        ),
        (
            ManifestError([replace(PROBLEM, more=39), PROBLEM]),
            (
                "fix 41 mistakes in m.yaml, then run `some`; the first is m.yaml:7:9: "
                "`limits.rate` is wrong"
            ),
        ),
        (
            LostLedgerError("it is gone"),
            "restore its newest copy, or rebuild it with `batchrun recover MANIFEST`",
        ),
        (
            ELSEWHERE,
            (
                "to rebuild its ledger here: `batchrun recover MANIFEST`; or to do so and go on at "
                "once: `batchrun MANIFEST --recover`; or to pay for all of it again: `batchrun "
                "MANIFEST --new-sweep k3f9`"
            ),
        ),
        (
            BudgetReachedError("the budget of 5.00 USD allows no further run"),
            (
                "raise the budget in the manifest, or by `--budget` or `--budget-per-day`, then "
                "`some`: the budget of 5.00 USD allows no further run"
            ),
        ),
    ],
)
def test_the_last_line_makes_sense_alone(error: BatchrunError, line: str) -> None:
    errors = [UnreachableError("and besides"), error]

    assert how_to_go_on(None, error.exit_code, command="some", errors=errors) == line
    assert not re.search(r"\b(above|below|as said)\b", line)
