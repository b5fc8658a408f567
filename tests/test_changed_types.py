"""A column whose type has changed is said by a plan, and refused where paid cells drop out.

The endpoint is a port on which nothing listens: no call here may ask the service for anything, but
the last test's, which has a simulator.
"""

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from called import Sweep as Called
from called import created
from ledger_lines import SWEEP, finished, intent, saved, submitted
from msgspec.structs import replace
from processes import simulator

from batchrun.cli import main
from batchrun.commands.call import prepare
from batchrun.commands.target import Place
from batchrun.ledger.records import AnyRecord, Dropped, Intent, Sweep, decode, encode
from batchrun.manifest.data.column_types import BY_FIELD
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.typed import read_as, types_of
from batchrun.results.starts import keep_start, start_of

ENDPOINT: Final = "http://127.0.0.1:9"
MANIFEST: Final = "models: [a/b]\nrows: p.csv\n"
ROWS: Final = "prompt,steps\na chair,30\na stool,31\na bench,32\n"
GAP: Final = f"{ROWS}a bed,N/A\n"
COST: Final = Decimal("0.08")


class Paid:
    """A sweep whose cells are all paid and saved; *plan* and *run* are calls on it."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
    ) -> None:
        self._folder = folder
        self._capsys = capsys
        self._environment = environment

    def write(self, rows: str, manifest: str = MANIFEST) -> None:
        (self._folder / "p.csv").write_text(rows)
        (self._folder / "m.yaml").write_text(manifest)

    def begin(
        self, rows: str, types: dict[str, str] | None, *, former: dict[str, str] | None = None
    ) -> None:
        """Pay for each cell; the last start had *types*, or none, and read columns as *former*."""
        self.write(rows)
        self.begin_anew(former or {}, types)

    def begin_anew(self, former: dict[str, str], types: dict[str, str] | None = None) -> None:
        """Pay for each cell of the files as they are."""
        call = prepare(self._folder / "m.yaml", Place(endpoint=ENDPOINT))
        digest = call.manifest.sha256
        start = replace(
            SWEEP, endpoint=ENDPOINT, label=None, name="m", types=types, manifest_sha256=digest
        )
        lines: list[AnyRecord] = [start]
        for cell in expand(read_as(call.manifest, former)):
            lines += [
                intent(cell.key, input=cell.input, model=cell.model),
                submitted(cell.key),
                finished(cell.key, cost=COST),
                saved(cell.key),
            ]
            [file] = saved(cell.key).files
            path = call.folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"GIF89a")
        self.ledger = call.folder / "ledger.jsonl"
        self.ledger.write_bytes(b"".join(map(encode, lines)))

    def plan(self, *options: str) -> str:
        """Return what a plan says; without a key it asks the service for nothing."""
        self._environment.delenv("RUNFLOW_API_KEY", raising=False)
        assert main(self._words("plan", *options)) == 0
        return self._capsys.readouterr().out

    def types(self) -> Any:
        return json.loads(self.plan("--json"))["plan"].get("types")

    def run(self, *options: str) -> tuple[int, str]:
        """Return the exit code, and what was said."""
        return self.call("run", *options)

    def call(self, command: str, *options: str) -> tuple[int, str]:
        self._environment.setenv("RUNFLOW_API_KEY", "rf_live_test")
        code = main(self._words(command, *options))
        return code, self._capsys.readouterr().err.replace(f"{self._folder}/", "")

    def _words(self, command: str, *options: str) -> list[str]:
        return [command, str(self._folder / "m.yaml"), "--endpoint", ENDPOINT, *options]

    def starts(self) -> list[Sweep]:
        records = map(decode, self.ledger.read_bytes().splitlines(keepends=True))
        return [each for each in records if isinstance(each, Sweep)]


@pytest.fixture
def paid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Paid:
    return Paid(tmp_path, capsys, monkeypatch)


KNOWN: Final = {"prompt": "text", "steps": "number"}


def test_each_start_remembers_the_types_of_its_columns(paid: Paid) -> None:
    paid.begin(ROWS, None)

    assert paid.run()[0] == 0
    assert paid.starts()[-1].types == KNOWN


def test_a_call_that_has_nothing_to_do_remembers_them_on(paid: Paid) -> None:
    paid.begin(ROWS, None)

    assert [paid.run()[0] for _ in range(3)] == [0, 0, 0]
    assert [each.types for each in paid.starts()] == [None, KNOWN, KNOWN, KNOWN]


def test_a_column_that_is_gone_keeps_its_type(paid: Paid) -> None:
    paid.begin(ROWS, {"size": "number"})

    assert paid.run()[0] == 0
    assert paid.starts()[-1].types == {"size": "number", **KNOWN}


def test_a_plan_says_what_one_row_does_to_all_of_its_column(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP)

    said = paid.plan()

    assert "the column `steps` was of numbers, and is text now: " in said
    assert (
        "p.csv:5 has `N/A`\nthat makes 3 new cells, and 3 paid cells (0.24 USD) drop out\n" in said
    )
    assert "would be refused (exit 2) without `--new-types`" in said.splitlines()[-1]


def test_as_json_it_is_the_same(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    assert paid.types() is None

    paid.write(GAP)

    assert paid.types() == {
        "columns": [{"column": "steps", "was": "number", "now": "text"}],
        "new_cells": 3,
        "paid_cells": 3,
        "cost": "0.24",
    }


def test_a_run_is_refused_before_anything_is_written_or_sent_and_says_the_ways_on(
    paid: Paid,
) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP)
    before = paid.ledger.read_bytes()

    code, said = paid.run()

    assert (code, paid.ledger.read_bytes()) == (2, before)
    assert "p.csv:5 has `N/A`" in said
    assert "3 paid cells (0.24 USD) drop out" in said
    assert "to keep `steps` as it was: mend p.csv:5\n" in said
    assert f"to pay for the new cells: `batchrun m.yaml --endpoint {ENDPOINT} --new-types`" in said


def test_a_type_to_say_is_a_way_on_only_where_its_fields_read_as_it(paid: Paid) -> None:
    paid.begin("steps\n1.50\n2.25\n", {"steps": "number"})
    paid.write("steps\n1.50\n2.25\n1.125\n")

    assert (
        "mend p.csv:2, or say `number: [steps]` in `rows`, where models take numbers\n"
        in paid.run()[1]
    )


def test_a_type_that_is_said_names_each_field_that_is_in_its_way(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP, "models: [a/b]\nrows: {file: p.csv, number: [steps]}\n")

    code, said = paid.run()

    assert code == 2
    assert "p.csv:5:7: this is not a number, as `number: [steps]` says" in said


def test_what_is_mended_pays_for_nothing_again(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP)
    assert paid.run()[0] == 2

    paid.write(ROWS, "models: [a/b]\nrows: {file: p.csv, number: [steps]}\n")

    assert paid.run()[0] == 0


@pytest.mark.parametrize("words", ["redo --only steps=30", "run --plan {plan}"])
def test_no_other_way_to_call_passes_it_by(paid: Paid, tmp_path: Path, words: str) -> None:
    paid.begin(ROWS, KNOWN)
    plan = tmp_path / "plan.json"
    paid.write(GAP)
    paid.plan("-o", str(plan))

    code, said = paid.call(*words.format(plan=plan).split())

    assert code == 2
    assert "3 paid cells (0.24 USD) drop out" in said
    assert len(paid.starts()) == 1


def test_status_says_that_the_next_call_is_refused(
    paid: Paid, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP)

    assert main(["status", str(tmp_path / "m.yaml"), "--endpoint", ENDPOINT]) == 0

    said = capsys.readouterr().out
    assert "that makes 3 new cells, and 3 paid cells (0.24 USD) drop out" in said
    assert f"m.yaml --endpoint {ENDPOINT}` is refused (exit 2) without `--new-types`" in said
    last = said.splitlines()[-1]
    assert last.startswith("to keep `steps` as it was: mend ")
    assert last.endswith("; or to pay for the new cells: " + last.partition("cells: ")[2])
    assert last.endswith(f"m.yaml --endpoint {ENDPOINT} --new-types`")


CHANGES: dict[str, tuple[str, dict[str, str] | None, str, str, str]] = {
    "a row with a gap": (
        ROWS,
        KNOWN,
        GAP,
        MANIFEST,
        "was of numbers, and is text now: p.csv:5 has `N/A`",
    ),
    "the row with the gap is taken out": (
        GAP,
        {"steps": "text"},
        ROWS,
        MANIFEST,
        "was text, and is of numbers now: all of its fields are",
    ),
    "the manifest says text": (
        ROWS,
        KNOWN,
        ROWS,
        "models: [a/b]\nrows: {file: p.csv, text: [steps]}\n",
        "was of numbers, and is text now, as `rows` says",
    ),
    "a version among prices": (
        "steps\n1.50\n2.25\n",
        {"steps": "number"},
        "steps\n1.50\n2.25\n1.125\n",
        MANIFEST,
        "was of numbers, and is text now: p.csv:2 has `1.50`",
    ),
    "a word among booleans": (
        "steps\ntrue\nFALSE\n",
        {"steps": "boolean"},
        "steps\ntrue\nFALSE\nyes\n",
        MANIFEST,
        "was of booleans, and is text now: p.csv:4 has `yes`",
    ),
}


@pytest.mark.parametrize(
    ("before", "known", "after", "manifest", "says"), CHANGES.values(), ids=CHANGES
)
def test_each_kind_of_change_is_refused_and_said(
    paid: Paid, before: str, known: dict[str, str] | None, after: str, manifest: str, says: str
) -> None:
    paid.begin(before, known)
    paid.write(after, manifest)

    code, said = paid.run()

    assert code == 2
    assert f"the column `steps` {says}\n" in said


def test_what_drops_no_paid_cell_is_said_and_not_refused(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    (head, *lines) = paid.ledger.read_bytes().splitlines(keepends=True)
    paid.ledger.write_bytes(b"".join([head, lines[0], encode(_dropped(lines[0]))]))
    paid.write(GAP)

    said = paid.plan()

    assert "that makes 3 new cells; no paid cell drops out\n" in said
    assert "begins 4 cells" in said


def _dropped(line: bytes) -> AnyRecord:
    cell = json.loads(line)["cell"]
    return Dropped(cell=cell, attempt=1, reason="the key was refused")


def test_a_new_column_and_new_rows_of_the_same_type_are_no_change(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write("prompt,steps,note\na chair,30,42\na stool,31,x\na bench,32,\na bed,33,true\n")

    assert paid.types() is None


def test_a_type_that_this_batchrun_does_not_know_counts_as_none(paid: Paid) -> None:
    paid.begin(ROWS, {"prompt": "text", "steps": "date"})

    assert paid.types() is None
    assert paid.run()[0] == 0


def test_a_description_makes_no_edit(paid: Paid, tmp_path: Path) -> None:
    paid.begin("prompt\n42\n43\n", {"prompt": "number"})
    (head, *lines) = map(decode, paid.ledger.read_bytes().splitlines(keepends=True))
    assert head is not None
    as_sent = [
        replace(each, input={"prompt": str(each.input["prompt"])}, keyed=each.input)
        if isinstance(each, Intent) and each.input
        else each
        for each in lines
        if each is not None
    ]
    paid.ledger.write_bytes(b"".join(map(encode, [head, *as_sent])))
    keep_start(paid.ledger.parent, start_of(load_manifest(tmp_path / "m.yaml", os.environ)))
    paid.write("prompt\n42\n44\n")

    said = paid.plan()

    assert "1 paid cell (0.08 USD) is no longer in the manifest" in said
    assert "`prompt` was 43 in the paid cells, now 44 (p.csv:3)" in said


def test_a_column_that_no_cell_sends_may_be_of_any_type(paid: Paid) -> None:
    manifest = "models: [a/b]\nrows: {file: p.csv, send: [prompt]}\n"
    paid.begin(ROWS, KNOWN)
    paid.write(ROWS, manifest)
    assert paid.types() is None

    paid.write(GAP, manifest)

    assert paid.types() is None


def test_an_edit_beside_the_change_is_no_part_of_it(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP.replace("a chair", "a red chair"))

    assert paid.types()["paid_cells"] == 2


def test_rows_that_are_excluded_or_left_out_are_no_part_of_it(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write(GAP, f"{MANIFEST}exclude: [{{prompt: [a chair, a stool, a bench]}}]\n")

    assert paid.types() is None


# Several starts, and edits that come with another type.


def test_a_start_with_other_rows_hides_no_type_that_cells_were_paid_under(paid: Paid) -> None:
    paid.begin("prompt,steps\na chair,1\na stool,2\n", KNOWN)
    start = replace(paid.starts()[0], types={**KNOWN, "steps": "text"})
    with paid.ledger.open("ab") as ledger:
        ledger.write(encode(start))
    paid.write("prompt,steps\na chair,1\na stool,2\na desk,3\na lamp,N/A\n")

    code, said = paid.run()

    assert code == 2
    assert "the column `steps` was of numbers, and is text now: p.csv:5 has `N/A`\n" in said
    assert "2 paid cells (0.16 USD) drop out" in said


def test_new_types_agreed_to_for_some_cells_are_not_for_the_others(paid: Paid) -> None:
    _paid_again(paid, 1)

    code, said = paid.run()

    assert (code, "2 paid cells (0.16 USD) drop out" in said) == (2, True)


def test_cells_that_were_made_anew_are_not_asked_about(paid: Paid) -> None:
    _paid_again(paid, 4)

    assert paid.types() is None
    assert paid.run()[0] == 0


def _paid_again(paid: Paid, number: int) -> None:
    """Pay for cells of numbers, and for so many of them again as text."""
    paid.begin(ROWS, KNOWN)
    before = paid.ledger.read_bytes()
    paid.write(GAP)
    paid.begin_anew({}, {**KNOWN, "steps": "text"})
    (head, *lines) = paid.ledger.read_bytes().splitlines(keepends=True)
    paid.ledger.write_bytes(before + head + b"".join(lines[: 4 * number]))


def test_the_row_taken_out_again_is_refused_for_nothing_where_nothing_is_new(paid: Paid) -> None:
    _paid_again(paid, 4)
    paid.write(ROWS)

    assert paid.run()[0] == 0


USED: Final = (
    "models: [a/b]\nrows: {file: p.csv, send: []}\ninputs: {prompt: 'a chair, ${s} wide'}\n"
)
REWRITTEN: dict[str, tuple[str, str, str]] = {
    "decimal commas": ("s\n0.5\n0.7\n", 's\n"0,5"\n"0,7"\n', "number"),
    "some decimal commas": ("s\n1\n0.5\n0.7\n", 's\n1\n"0,5"\n"0,7"\n', "number"),
    "booleans of another language": ("s\nTRUE\nFALSE\n", "s\nWAHR\nFALSCH\n", "boolean"),
    "commas made points": ('s\n"0,5"\n"0,7"\n', "s\n0.5\n0.7\n", "text"),
    "numbers made booleans": ("s\n1\n0\n", "s\nTRUE\nFALSE\n", "number"),
}


@pytest.mark.parametrize("manifest", [USED, "models: [a/b]\nrows: p.csv\n"], ids=["used", "sent"])
@pytest.mark.parametrize(("before", "after", "known"), REWRITTEN.values(), ids=REWRITTEN)
def test_a_column_whose_fields_are_all_written_otherwise_is_refused(
    paid: Paid, before: str, after: str, known: str, manifest: str
) -> None:
    paid.write(before, manifest)
    paid.begin_anew({}, {"s": known})
    paid.write(after, manifest)

    code, said = paid.run()

    assert code == 2
    assert "new cells, and " in said
    assert " drop out\n" in said
    assert "to keep `s` as it was: mend " in said


def test_other_rows_are_an_edit_as_any_other_where_no_cell_has_the_changed_column(
    paid: Paid,
) -> None:
    manifest = "models: [a/b]\nrows: {file: p.csv, send: [prompt]}\n"
    paid.write(ROWS, manifest)
    paid.begin_anew({}, KNOWN)
    paid.write("prompt,steps\na desk,N/A\n", manifest)

    assert paid.types() is None


def test_a_renamed_column_is_compared_with_nothing_that_it_never_was(paid: Paid) -> None:
    text = "models: [a/b]\nrows: {file: p.csv, send: []}\ninputs: {prompt: '${%s}', size: '${s}'}\n"
    rows = "%s,s\na chair,%s\n42,%s\n"
    paid.write(rows % ("words", "0.5", "0.7"), text % "words")
    paid.begin_anew({}, {"words": "text", "s": "number"})

    paid.write(rows % ("said", "0.5", "0.7"), text % "said")
    assert paid.types() is None

    paid.write(rows % ("said", '"0,5"', '"0,7"'), text % "said")
    assert [each["column"] for each in paid.types()["columns"]] == ["s"]


def test_a_type_to_say_instead_is_one_that_all_fields_read_as(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    said_text = "models: [a/b]\nrows: {file: p.csv, text: [steps]}\n"

    paid.write(ROWS, said_text)
    assert (
        "as it was: say `number: [steps]` in `rows` instead, where models take numbers"
        in paid.run()[1]
    )

    paid.write(GAP, said_text)
    mended = "as it was: mend its fields, and say `number: [steps]` in `rows` instead, where"
    assert mended in paid.run()[1]


def test_of_a_renamed_column_it_is_said_what_paid_cells_have(paid: Paid) -> None:
    text = "models: [a/b]\nrows: {file: p.csv, send: []}\ninputs: {steps: '${%s}'}\n"
    paid.write("n\n30\n31\n", text % "n")
    paid.begin_anew({}, {"n": "number"})
    paid.write("number\n30\n31\nN/A\n", text % "number")

    code, said = paid.run()

    assert code == 2
    held = "paid cells have the column `number` as numbers; it is text now: p.csv:4 has `N/A`"
    assert held in said
    assert "to keep `number` as paid cells have it: mend p.csv:4" in said
    assert "batchrun 0.1" not in said


@pytest.mark.parametrize(
    ("before", "after", "was"), [("9.90", "N/A", "number"), ("TRUE", "unknown", "boolean")]
)
def test_a_field_inside_text_is_edited_as_any_other_where_others_read_as_before(
    paid: Paid, before: str, after: str, was: str
) -> None:
    manifest = (
        "models: [a/b]\nrows: {file: p.csv, send: []}\ninputs: {prompt: 'is it ${s}, ${t}'}\n"
    )
    paid.write(f"t,s\na,{before}\nb,{before}\nc,{before}\n", manifest)
    paid.begin_anew({}, {"t": "text", "s": was})
    paid.write(f"t,s\na,{before}\nb,{before}\nc,{after}\n", f"# more\n{manifest}")

    assert paid.types() is None


def test_zeros_before_all_numbers_are_seen_inside_text_too(paid: Paid) -> None:
    manifest = "models: [a/b]\nrows: p.csv\ninputs: {prompt: 'number ${n}'}\n"
    paid.write("n\n1\n2\n", manifest)
    paid.begin_anew({}, {"n": "number"})
    paid.write("n\n001\n002\n", f"# more\n{manifest}")

    assert paid.types()["paid_cells"] == 2


def test_other_rows_of_the_same_types_are_an_edit_as_any_other(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    paid.write("prompt,steps\na desk,3\n")

    assert paid.types() is None


# Ledgers of a batchrun that took each field by itself.

MIXED: Final = "prompt,steps\na red chair,7.0\n42,7.5\ntrue,8\n"


def test_an_old_ledger_whose_columns_are_of_one_type_is_gone_on_with_in_silence(
    paid: Paid,
) -> None:
    paid.begin(ROWS, None, former={"prompt": BY_FIELD, "steps": BY_FIELD})

    assert paid.types() is None
    code, said = paid.run()
    assert (code, "column" in said) == (0, False)


def test_an_old_ledger_of_a_mixed_column_is_refused_and_then_gone_on_with_or_not(
    paid: Paid,
) -> None:
    paid.begin(MIXED, None, former={"prompt": BY_FIELD, "steps": BY_FIELD})

    code, said = paid.run()

    assert code == 2
    some = "paid cells have some fields of the column"
    assert f"{some} `prompt` as numbers or booleans; it is text now: p.csv:3 has `42`\n" in said
    assert f"{some} `steps` as text; it is of numbers now: p.csv:2 has `7.0`\n" in said
    assert "that makes 3 new cells, and 3 paid cells (0.24 USD) drop out" in said
    assert (
        "to keep `prompt` as paid cells have it: a JSONL file gives each value a type of its own\n"
        in said
    )


def test_one_late_row_of_a_long_old_sheet_is_enough(paid: Paid) -> None:
    rows = "prompt,flag\n" + "".join(f"a chair {number},TRUE\n" for number in range(400)) + "42,\n"
    paid.begin(rows, None, former={"prompt": BY_FIELD, "flag": BY_FIELD})
    paid.write(rows, "models: [a/b]\nrows: {file: p.csv, text: [flag]}\n")

    assert paid.types() == {
        "columns": [{"column": "prompt", "was": BY_FIELD, "now": "text"}],
        "new_cells": 1,
        "paid_cells": 1,
        "cost": "0.08",
    }


def test_a_column_that_drops_no_cell_is_not_named(paid: Paid) -> None:
    paid.write(
        "prompt,flag\na chair,\n42,TRUE\n", "models: [a/b]\nrows: {file: p.csv, send: [prompt]}\n"
    )
    paid.begin_anew({"prompt": BY_FIELD})

    assert [each["column"] for each in paid.types()["columns"]] == ["prompt"]


def test_an_old_ledger_of_texts_that_are_booleans_now_can_be_kept(paid: Paid) -> None:
    rows = "flag\nTRUE\nFALSE\n"
    paid.begin(rows, None, former={"flag": BY_FIELD})

    code, said = paid.run()
    assert code == 2
    assert "cells have the column `flag` as text; it is of booleans now: all of its" in said
    assert "as paid cells have it: say `text: [flag]` in `rows`, where models take text\n" in said

    paid.write(rows, "models: [a/b]\nrows: {file: p.csv, text: [flag]}\n")
    assert paid.run()[0] == 0


def test_a_jsonl_file_keeps_what_a_mixed_column_was(paid: Paid, tmp_path: Path) -> None:
    paid.begin("prompt\na red chair\n42\ntrue\n", None, former={"prompt": BY_FIELD})
    values = ["a red chair", 42, True]
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps({'prompt': v})}\n" for v in values))
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: p.jsonl\n")

    assert paid.run()[0] == 0


def test_a_rebuilt_ledger_shows_by_its_cells_what_its_columns_were(paid: Paid) -> None:
    rows = "prompt,steps,flag\na chair,1,TRUE\n4242,2.0,FALSE\ntrue,1,\n"
    paid.begin(rows, None)
    paid.write(f"{rows}a bed,N/A,TRUE\n")

    assert paid.types() == {
        "columns": [{"column": "steps", "was": "number", "now": "text"}],
        "new_cells": 3,
        "paid_cells": 3,
        "cost": "0.24",
    }


def test_a_column_that_was_said_to_be_text_is_no_change_for_an_old_ledger(paid: Paid) -> None:
    paid.begin(ROWS, None, former={"steps": "text"})
    paid.write(ROWS, "models: [a/b]\nrows: {file: p.csv, text: [steps]}\n")

    assert paid.types() is None
    assert paid.run()[0] == 0


def test_cells_that_the_former_types_cannot_make_count_by_the_ledger(paid: Paid) -> None:
    mapped = "models: [{id: a/b, map: {steps: {%s}}}]\nrows: p.csv\n"
    paid.begin("steps\n30\n31\n", {"steps": "number"})
    paid.write("steps\n30\n31\nN/A\n", mapped % '"30": low, "31": high, N/A: none')

    assert paid.types()["paid_cells"] == 2


def test_types_are_of_all_tables_of_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,empty\n1,\n")
    (tmp_path / "b.csv").write_text("b\nx\n")
    (tmp_path / "c.jsonl").write_text('{"c": 1}\n')
    (tmp_path / "m.yaml").write_text("models: [a/b]\nrows: {all: [a.csv, b.csv, c.jsonl]}\n")

    manifest = load_manifest(tmp_path / "m.yaml", os.environ)

    assert types_of(manifest) == {"a": "number", "b": "text"}


# With a service.

Make = Callable[[str, str], Called]


@pytest.mark.slow
def test_over_three_lives_with_an_edit_between_them_new_types_are_agreed_to_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    text = "models: [google/nano-banana-2]\nrows: {file: p.csv%s}\npoll: {interval: 500ms}\n"
    (tmp_path / "p.csv").write_text("prompt\n1001\n2002\n")
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        sweep = Called(tmp_path, url, text % ", text: [prompt]", capsys)
        assert sweep.call()[0] == 0
        paid = created(url)

        (tmp_path / "m.yaml").write_text(text % "")
        assert (sweep.call()[0], created(url)) == (2, paid)
        _, _, said = sweep.call("--new-types", "--input-errors", "warn")
        assert created(url) == paid + 2
        assert "the column `prompt` was text, and is of numbers now" in said

        _, _, said = sweep.call("--input-errors", "warn")
        assert created(url) == paid + 2
        assert "column" not in said


@pytest.mark.slow
def test_a_call_that_pays_for_some_of_the_new_cells_names_one_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    text = "models: [google/nano-banana-2]\nrows: {file: p.csv, send: []}\ninputs:\n"
    text += "  prompt: ['a ${n}']\n  seed: '${n}'\npoll: {interval: 500ms}\n"
    (tmp_path / "p.csv").write_text("n\n1001\n2002\n")
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        sweep = Called(tmp_path, url, text, capsys)
        assert sweep.call()[0] == 0
        (tmp_path / "p.csv").write_text("n\n1001\n2002\n0300\n")

        code, ended, _ = sweep.call("--new-types", "--limit", "1")
        assert code == 3
        assert " --new-types`; " in ended["next"]

        code, ended, _ = sweep.call("--new-types", "--limit", "1")
        assert code == 3
        assert "--new-types" not in ended["next"]
        code, ended, _ = sweep.call("--input-errors", "warn")
        assert (code, ended["complete"]) == (1, True)
