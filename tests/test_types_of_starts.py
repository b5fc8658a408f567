"""Over several starts: what was paid for by any type of a column is never paid for again unsaid."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import SWEEP, finished, intent, saved, submitted
from msgspec import Struct
from msgspec.structs import replace
from test_changed_types import COST, GAP, KNOWN, MANIFEST, MIXED, ROWS, Paid

from batchrun.errors import ManifestError
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import AnyRecord, encode
from batchrun.manifest.cells import Cell
from batchrun.manifest.data.column_types import BY_FIELD
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import read_as, types_of
from batchrun.planning import former_types
from batchrun.planning.type_changes import type_changes

OLD: Final = {"prompt": BY_FIELD, "steps": BY_FIELD}
TEXTS: Final = {**KNOWN, "steps": "text"}


@pytest.fixture
def paid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Paid:
    return Paid(tmp_path, capsys, monkeypatch)


def go_on(
    paid: Paid, rows: str, types: dict[str, str] | None, *, number: int, manifest: str = MANIFEST
) -> None:
    """Add a start of *types* that pays for so many of the first cells, as they are read now."""
    before = paid.ledger.read_bytes()
    paid.write(rows, manifest)
    paid.begin_anew({}, types)
    (head, *lines) = paid.ledger.read_bytes().splitlines(keepends=True)
    known = before.splitlines()
    new = [line for line in lines[: 4 * number] if line.strip() not in known]
    paid.ledger.write_bytes(before + head + b"".join(new))


# Cells of batchrun 0.1, which remembered no types.


def test_an_old_cell_is_asked_about_after_a_start_without_its_row(paid: Paid) -> None:
    paid.begin(MIXED, None, former=OLD)
    go_on(paid, "prompt,steps\na stool,4\n", KNOWN, number=1)
    paid.write(MIXED)
    assert paid.types()["paid_cells"] == 3

    code, said = paid.run()

    assert code == 2
    held = "paid cells have some fields of the column `prompt` as numbers or booleans"
    assert f"{held}; it is text now: p.csv:3 has `42`\n" in said
    assert "3 paid cells (0.24 USD) drop out" in said


def test_old_cells_are_asked_about_until_all_of_them_are_made_anew(paid: Paid) -> None:
    paid.begin(MIXED, None, former=OLD)
    go_on(paid, MIXED, KNOWN, number=1)

    assert paid.types()["paid_cells"] == 2

    go_on(paid, MIXED, KNOWN, number=3)
    assert paid.run()[0] == 0
    assert paid.types() is None


def test_an_old_column_that_was_said_to_be_text_is_found_after_later_starts(paid: Paid) -> None:
    paid.begin(ROWS, None, former={"steps": "text"})
    go_on(paid, "prompt,steps\na desk,1\n", KNOWN, number=1)
    paid.write(ROWS)

    code, said = paid.run()

    assert code == 2
    assert "paid cells have the column `steps` as text; it is of numbers now" in said
    assert "3 paid cells (0.24 USD) drop out" in said


def test_of_a_large_sheet_one_late_old_cell_is_found(
    paid: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_types, "MOST_MADE", 0)
    rows = "prompt,steps\n" + "".join(f"a chair {number},1\n" for number in range(400)) + "42,7.0\n"
    paid.begin(rows, None, former=OLD)
    go_on(paid, "prompt,steps\na desk,1\n", KNOWN, number=1)
    paid.write(rows)

    assert paid.types()["paid_cells"] == 1


def test_a_column_that_got_another_name_and_type_is_known_by_its_cells(paid: Paid) -> None:
    manifest = "models: [a/b]\nrows: {file: p.csv, send: [prompt]}\ninputs: {steps: '${%s}'}\n"
    paid.write("prompt,n\na chair,1\na stool,N/A\n", manifest % "n")
    paid.begin_anew({}, {"prompt": "text", "n": "text"})
    paid.write("prompt,count\na chair,1\na stool,2\n", manifest % "count")

    found = paid.types()

    assert found["columns"] == [{"column": "count", "was": "text", "now": "number"}]
    assert found["paid_cells"] == 1


# Ledgers that were rebuilt.


@pytest.mark.parametrize("kept", [None, KNOWN], ids=["nothing is kept", "a start is kept"])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "after another start"])
def test_a_rebuilt_ledger_may_have_cells_of_any_start(
    paid: Paid,
    kept: dict[str, str] | None,
    later: bool,  # noqa: FBT001
) -> None:
    rows = "prompt,steps\na chair,7.0\na stool,8.5\n"
    paid.begin(rows, kept, former={"steps": "text"})
    (head, *lines) = paid.ledger.read_bytes().splitlines(keepends=True)
    start = replace(paid.starts()[0], recovered=True)
    paid.ledger.write_bytes((head if kept else b"") + encode(start) + b"".join(lines))
    if later:
        go_on(paid, "prompt,steps\na desk,1\n", KNOWN, number=1)
    paid.write(rows)
    assert paid.types() is not None

    code, said = paid.run()

    assert code == 2
    assert "paid cells have the column `steps` as text; it is of numbers now" in said
    assert "2 paid cells (0.16 USD) drop out" in said


def test_a_rebuilt_ledger_is_gone_on_with_where_no_cell_changes(paid: Paid) -> None:
    paid.begin(GAP, None)
    (_, *lines) = paid.ledger.read_bytes().splitlines(keepends=True)
    start = replace(paid.starts()[0], recovered=True)
    paid.ledger.write_bytes(encode(start) + b"".join(lines))
    paid.write(f"{GAP}a lamp,7\n")

    assert paid.types() is None


# Several starts, each with other types.


def test_what_drops_out_by_the_types_of_several_starts_is_added_up(paid: Paid) -> None:
    paid.begin("a,b\n1,2\nx,3\n", {"a": "text", "b": "number"})
    go_on(paid, "a,b\n4,5\n6,x\n", {"a": "number", "b": "text"}, number=2)
    paid.write("a,b\n1,2\n4,5\n")

    code, said = paid.run()

    assert code == 2
    assert "the column `b` was text, and is of numbers now: all of its fields are\n" in said
    assert "the column `a` was text, and is of numbers now: all of its fields are\n" in said
    assert "that makes 2 new cells, and 2 paid cells (0.16 USD) drop out\n" in said


def test_a_start_writes_down_the_types_of_now_over_those_before(paid: Paid) -> None:
    manifest = "models: [a/b]\nrows: {file: p.csv, send: [prompt]}\n"
    paid.write(ROWS, manifest)
    paid.begin_anew({}, TEXTS)

    assert paid.run("--new-types")[0] == 0
    assert paid.starts()[-1].types == KNOWN


# To another type, and back.


def back_and_forth(paid: Paid) -> None:
    paid.begin(ROWS, KNOWN)
    go_on(paid, GAP, TEXTS, number=4)


def test_going_back_costs_nothing_and_says_nothing_of_types(paid: Paid) -> None:
    back_and_forth(paid)
    paid.write(ROWS)

    said = paid.plan()

    assert "column" not in said
    assert "begins" not in said
    assert paid.run()[0] == 0


def test_a_new_row_beside_going_back_is_no_change_of_a_type(paid: Paid) -> None:
    back_and_forth(paid)
    paid.write(f"{ROWS}a desk,33\n")

    said = paid.plan()

    assert "column" not in said
    assert "begins 1 cell" in said


def test_going_forth_again_is_refused_for_the_rows_that_were_paid_on_the_way(paid: Paid) -> None:
    back_and_forth(paid)
    rows = f"{ROWS}a desk,33\n"
    go_on(paid, rows, KNOWN, number=4)
    paid.write(f"{rows}a bed,N/A\n")

    found = paid.types()

    assert (found["new_cells"], found["paid_cells"]) == (1, 1)
    assert paid.run()[0] == 2


def test_types_of_long_ago_by_which_no_cell_can_be_made_are_no_alarm(paid: Paid) -> None:
    mapped = 'models: [{id: a/b, map: {steps: {"30": low, "31": high, N/A: none}}}]\nrows: p.csv\n'
    rows = "prompt,steps\na chair,30\na stool,31\n"
    paid.begin(rows, KNOWN)
    go_on(paid, f"{rows}a bed,N/A\n", TEXTS, number=3, manifest=mapped)
    paid.write(f"{rows}a bed,N/A\na lamp,31\n", mapped)

    assert paid.types() is None
    assert "begins 1 cell" in paid.plan()


# What is no change, and what is.

SAME: Final[Mapping[str, tuple[str, str, str]]] = {
    "the manifest says text, which it was": ("c\n1\nx\n", "c\n1\nx\n", "text: [c]"),
    "the manifest says number, which it was": ("c\n1\n2.5\n", "c\n1\n2.5\n", "number: [c]"),
    "the manifest says boolean, which it was": ("c\nTRUE\nfalse\n", "c\nTRUE\n", "boolean: [c]"),
    "a mark at the file's beginning": ("c\n1\n2\n", "\ufeffc\n1\n2\n", ""),
    "other line ends": ("c\n1\n2\n", "c\r\n1\r\n2\r\n", ""),
    "quotes": ("c\n1\nx\n", 'c\n"1"\n"x"\n', ""),
    "other rows": ("c\n1\nx\n", "c\nx\n1\ny\n", ""),
    "one row": ("c\n1\n", "c\n1\n2\n", ""),
    "the column is all empty now": ("a,c\nx,1\ny,2\n", "a,c\nx,\ny,\n", ""),
    "the column was all empty": ("a,c\nx,\ny,\n", "a,c\nx,\ny,\nz,1\n", ""),
    "only empty fields are added": ("a,c\nx,1\ny,2\n", "a,c\nx,1\ny,2\nz,\n", ""),
    "a number is spelled otherwise": ("c\n7\n8\n", "c\n7.0\n8\n", ""),
}


@pytest.mark.parametrize(("before", "after", "options"), SAME.values(), ids=SAME)
def test_it_is_no_change(paid: Paid, tmp_path: Path, before: str, after: str, options: str) -> None:
    _begun(paid, tmp_path, before)
    paid.write(after, f"models: [a/b]\nrows: {{file: p.csv, {options}}}\n")

    assert paid.types() is None
    assert "drop" not in paid.plan()


OTHER: Final[Mapping[str, tuple[str, str, str, int]]] = {
    "a row with a text comes in by night": ("c\n1\n2\n", "c\n1\n2\nx\n", "", 2),
    "of one row": ("c\n1\n", "c\n1\nx\n", "", 1),
    "the only text goes": ("c\n1\n2\nx\n", "c\n1\n2\n", "", 2),
    "the only text becomes empty": ("a,c\nr,1\ns,x\n", "a,c\nr,1\ns,\n", "", 1),
    "an id with zeros comes in": ("c\n417\n", "c\n417\n00417\n", "", 1),
    "ids are said to be numbers": ("c\n007\n", "c\n007\n", "number: [c]", 1),
    "booleans are said to be text": ("c\nTRUE\n", "c\nTRUE\n", "text: [c]", 1),
    "after a mark": ("c\n1\n2\n", "\ufeffc\n1\n2\nx\n", "", 2),
}


@pytest.mark.parametrize(("before", "after", "options", "lost"), OTHER.values(), ids=OTHER)
def test_it_is_a_change(
    paid: Paid, tmp_path: Path, before: str, after: str, options: str, lost: int
) -> None:
    _begun(paid, tmp_path, before)
    paid.write(after, f"models: [a/b]\nrows: {{file: p.csv, {options}}}\n")

    assert paid.types()["paid_cells"] == lost
    assert paid.run()[0] == 2


def test_files_end_to_end_have_one_type(paid: Paid, tmp_path: Path) -> None:
    both = "models: [a/b]\nrows: {file: [p.csv, q.csv]}\n"
    (tmp_path / "q.csv").write_text("c\n3\n")
    paid.write("c\n1\n2\n", both)
    paid.begin_anew({}, {"c": "number"})
    (tmp_path / "q.csv").write_text("c\n3\nx\n")

    code, said = paid.run()

    assert code == 2
    assert "the column `c` was of numbers, and is text now: q.csv:3 has `x`" in said
    assert "3 paid cells" in said


def test_a_jsonl_file_beside_them_changes_no_type(paid: Paid, tmp_path: Path) -> None:
    paid.write("c\n1\n2\n", "models: [a/b]\nrows: p.csv\n")
    paid.begin_anew({}, {"c": "number"})
    (tmp_path / "q.jsonl").write_text('{"c": "x"}\n')
    paid.write("c\n1\n2\n", "models: [a/b]\nrows: {file: [p.csv, q.jsonl]}\n")

    assert paid.types() is None
    assert "begins 1 cell" in paid.plan()


def _begun(paid: Paid, tmp_path: Path, rows: str) -> None:
    paid.write(rows)
    types = types_of(load_manifest(tmp_path / "m.yaml", os.environ))
    paid.begin_anew({}, types)


# Any sheets, any edits.

FIELDS: Final = ["1", "2", "7.0", "9.90", "007", "1e3", "true", "TRUE", "N/A", "a", ""]
ROW: Final = st.tuples(*[st.sampled_from(FIELDS)] * 2)
SAID: Final = ["", "", "", "text: [a]", "text: [a, b]", "number: [a]", "boolean: [b]"]


class Step(Struct, frozen=True):
    """An edit, and a call: *old* is one of batchrun 0.1, *rebuilt* one on a ledger made anew."""

    rows: Sequence[tuple[str, str]]
    said: str
    pays: int
    old: bool
    rebuilt: bool


@st.composite
def nights(draw: st.DrawFn) -> list[Step]:
    """Draw some steps, whose sheets have most rows in common."""
    rows = st.lists(st.sampled_from(draw(st.lists(ROW, min_size=2, max_size=5))), min_size=1)
    said, pays, seldom = (
        st.sampled_from(SAID),
        st.integers(0, 4),
        st.integers(0, 3).map(lambda n: not n),
    )
    step = st.builds(Step, rows, said, pays, seldom, seldom)
    return draw(st.lists(step, min_size=2, max_size=5))


class Night:
    """A sheet, its ledger, and the fields that each paid cell came of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[AnyRecord] = []
        self._types: Mapping[str, str] = {}
        self.fields: dict[str, set[tuple[str, str]]] = {}

    def read(self, step: Step) -> Manifest:
        rows = "\n".join(map(",".join, step.rows))
        (self._folder / "p.csv").write_text(f"a,b\n{rows}\n")
        (self._folder / "m.yaml").write_text(f"models: [a/b]\nrows: {{file: p.csv, {step.said}}}\n")
        return load_manifest(self._folder / "m.yaml", {})

    @contextmanager
    def ledger(self) -> Iterator[Reader]:
        path = self._folder / "ledger.jsonl"
        path.write_bytes(b"".join(map(encode, self._lines)))
        with open_reader(path) as reader:
            yield reader

    def start(self, manifest: Manifest, step: Step, cells: Sequence[Cell]) -> None:
        """Write down a start of *step*, which pays for the first of the *cells*."""
        if step.rebuilt:
            self._lines = [each for each in self._lines if type(each) is not type(SWEEP)]
            self._lines.insert(0, replace(SWEEP, recovered=True))
            self._types = {}
        if not step.old:
            self._types = {**self._types, **types_of(manifest)}
        types: Any = None if step.old else self._types
        self._lines.append(replace(SWEEP, types=types, manifest_sha256=manifest.sha256))
        filled = [row for row in step.rows if any(row)]
        for row, cell in list(zip(filled, cells, strict=True))[: step.pays]:
            if cell.key not in self.fields:
                self._lines += [
                    intent(cell.key, input=cell.input, model=cell.model),
                    submitted(cell.key),
                    finished(cell.key, cost=COST),
                    saved(cell.key),
                ]
            self.fields.setdefault(cell.key, set()).add(row)


@given(steps=nights())
def test_what_was_paid_for_by_some_reading_is_kept_or_its_change_is_refused(
    steps: Sequence[Step],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        night = Night(Path(folder))
        for step in steps:
            try:
                manifest = night.read(step)
            except ManifestError:  # a field isn't of the type that is said, or no row is left
                continue
            if step.old:
                manifest = read_as(manifest, dict.fromkeys({"a", "b"} - _said(step), BY_FIELD))
            cells = list(expand(manifest))
            if not step.old:
                _check(night, manifest, step, cells)
            night.start(manifest, step, cells)


def _said(step: Step) -> set[str]:
    return {name for name in ("a", "b") if name in step.said.partition("[")[2]}


def _check(night: Night, manifest: Manifest, step: Step, cells: Sequence[Cell]) -> None:
    """Compare what is said of *cells* with the fields that the paid ones came of."""
    present = {cell.key for cell in cells}
    orphans = {key for key in night.fields if key not in present}
    filled = [row for row in step.rows if any(row)]
    anew = {row for row, c in zip(filled, cells, strict=True) if c.key not in night.fields}
    again = {key for key in orphans if night.fields[key] & anew}

    with night.ledger() as ledger:
        found = type_changes(manifest, ledger)

    lost = 0 if found is None else found.lost.cells
    assert len(again) <= lost <= len(orphans)
    if found is not None:
        assert found.changes
        assert 0 < found.new <= len({c.key for c in cells} - night.fields.keys())
    if not anew:
        assert found is None
