"""What was edited since the last start is said before it is paid for again."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import SWEEP, finished, intent, submitted, text
from msgspec.structs import replace

from batchrun.commands.run import main
from batchrun.ledger.records import AnyRecord, Mark, Marks, Uploaded, encode
from batchrun.manifest.cells import plain
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.result_files import keep_manifest
from batchrun.results.starts import STARTS, keep_start, start_of

MANIFEST = """\
name: chairs
models: [a/b]
inputs:
  prompt: a chair
  seed: {$range: [1, 3]}
"""
COST = Decimal("0.04")


class Paid:
    """A sweep whose cells are all paid, and its manifest, which is edited then."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest = folder / "m.yaml"
        self.folder = folder / "outputs" / "chairs"
        self._capsys = capsys

    def begin(self, manifest: str = MANIFEST, *uploads: Uploaded) -> None:
        """Pay for each cell of *manifest*, as its first start."""
        self.manifest.write_text(manifest)
        loaded = load_manifest(self.manifest, {})
        records: list[AnyRecord] = [*uploads]
        for cell in {cell.key: cell for cell in expand(loaded)}.values():
            given = plain(cell.input)
            if uploads:
                given = {**given, "image_url": uploads[0].reference}
            records += [
                intent(cell.key, input=given, model=cell.model),
                submitted(cell.key),
                finished(cell.key, cost=COST),
            ]
        self.folder.mkdir(parents=True)
        sweep = replace(SWEEP, label=None, name="chairs")
        (self.folder / "ledger.jsonl").write_bytes(text([sweep], records))
        keep_manifest(self.folder, loaded.text)
        keep_start(self.folder, start_of(loaded))

    def edit(self, old: str, new: str) -> None:
        said = self.manifest.read_text()
        assert old in said
        self.manifest.write_text(said.replace(old, new))

    def plan(self) -> str:
        """Return what a plan says of edits, "" for nothing."""
        assert main([str(self.manifest), "--dry-run"]) == 0
        shown, _ = self._capsys.readouterr()
        lines: list[str] = shown.splitlines()
        return "\n".join(line for line in lines if "paid cell" in line or "last start" in line)

    def as_json(self) -> Any:
        assert main([str(self.manifest), "--dry-run", "--json"]) == 0
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def paid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Paid:
    return Paid(tmp_path, capsys)


def test_one_space_in_a_prompt_is_said_with_what_it_pays_again(paid: Paid) -> None:
    paid.begin()
    paid.edit("a chair", "a  chair")

    assert paid.plan() == (
        "3 paid cells (0.12 USD) are no longer in the manifest: "
        '`prompt` was "a chair" at the last start, now "a  chair" (line 4)'
    )


def test_as_json_it_is_the_same(paid: Paid) -> None:
    paid.begin()
    paid.edit("a chair", "a  chair")

    axis = {"axis": "prompt", "dropped": 1, "was": ['"a chair"'], "added": 1}
    assert paid.as_json()["changed"] == {
        "paid_cells": 3,
        "cost": "0.12",
        "files": [],
        "axes": [{**axis, "now": ['"a  chair"'], "place": "line 4"}],
    }


def test_nothing_is_said_where_nothing_was_edited(paid: Paid) -> None:
    paid.begin()

    assert paid.plan() == ""
    assert "changed" not in paid.as_json()


def test_what_changes_no_cell_is_not_said(paid: Paid) -> None:
    paid.begin()
    paid.edit("name: chairs\n", "# a comment\nname: chairs\nlimits: {rate: 5/s}\n")

    assert paid.plan() == ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "[1, 3]",
            "[2, 5]",
            (
                "1 paid cell (0.04 USD) is no longer in the manifest: "
                "`seed` no longer has 1, now has 4, 5 (line 5)"
            ),
        ),
        ("[1, 3]", "[1, 4]", "new since the last start: `seed` now has 4 (line 5)"),
        (
            "[1, 3]",
            "[2, 3]",
            "1 paid cell (0.04 USD) is no longer in the manifest: `seed` no longer has 1",
        ),
        (
            "[1, 3]",
            "[11, 15]",
            (
                "3 paid cells (0.12 USD) are no longer in the manifest: "
                "`seed` no longer has 1, 2, 3, now has 11, 12, 13 and 2 more (line 5)"
            ),
        ),
        (
            "a/b",
            "a/c",
            (
                "3 paid cells (0.12 USD) are no longer in the manifest: "
                '`model` was "a/b" at the last start, now "a/c"'
            ),
        ),
        (
            "prompt: a chair",
            "prompt:\n    - a chair\n    - a stool",
            'new since the last start: `prompt` now has "a stool" (line 6)',
        ),
        (
            "inputs:",
            "repeat: 2\ninputs:",
            "new since the last start: `replicate` now has 2",
        ),
        (
            "inputs:",
            "exclude: [{seed: [1, 2]}]\ninputs:",
            "2 paid cells (0.08 USD) are no longer in the manifest: `seed` no longer has 1, 2",
        ),
    ],
)
def test_values_that_went_and_came_are_named(paid: Paid, old: str, new: str, says: str) -> None:
    paid.begin()
    paid.edit(old, new)

    assert paid.plan() == says


def test_cells_that_an_earlier_edit_dropped_are_not_put_down_to_the_last_one(paid: Paid) -> None:
    paid.begin()
    paid.edit("[1, 3]", "[1, 2]")
    keep_start(paid.folder, start_of(load_manifest(paid.manifest, {})))
    paid.edit("[1, 2]", "[2, 2]")
    earlier = "1 paid cell (0.04 USD) was dropped before the last start"

    assert paid.plan() == (
        "1 paid cell (0.04 USD) is no longer in the manifest: `seed` no longer has 1\n" + earlier
    )
    assert paid.as_json()["changed"]["paid_cells"] == 2


VARS = """\
name: chairs
models: [a/b]
inputs: {prompt: "a ${color} chair in ${place}"}
vars:
  color: [red, blue]
  place: a room
"""


def test_of_a_template_its_own_edit_is_said_and_not_what_follows(paid: Paid) -> None:
    paid.begin(VARS)
    paid.edit("a room", "a hall")
    assert paid.plan() == (
        "2 paid cells (0.08 USD) are no longer in the manifest: "
        '`place` was "a room" at the last start, now "a hall" (line 6)'
    )

    paid.edit("a hall", "a room")
    paid.edit("chair in", "chair, in")
    assert paid.plan() == (
        "2 paid cells (0.08 USD) are no longer in the manifest: `prompt` was "
        '"a ${color} chair in ${place}" at the last start, now "a ${color} chair, in ${place}" '
        "(line 3)"
    )


def test_of_long_values_the_part_that_differs_is_shown(paid: Paid) -> None:
    long = "word " * 40
    paid.begin(MANIFEST.replace("a chair", f"{long}ends here{long}"))
    paid.edit("ends here", "ends there")

    said = paid.plan()
    assert "ends here" in said
    assert "ends there" in said
    assert len(said) < 400


def test_of_a_long_template_no_half_of_a_reference_is_shown(paid: Paid) -> None:
    text = "a ${color} armchair, which stands in a room with windows and doors and a lamp"
    paid.begin(VARS.replace("a ${color} chair in ${place}", text))
    paid.edit("armchair, which", "armchair which")

    assert "`prompt` was …${color} armchair, which" in paid.plan()


def test_a_row_that_was_edited_is_known_by_what_was_sent(paid: Paid, tmp_path: Path) -> None:
    """The manifest that was kept would read the file as it is now, and see no edit."""
    rows = tmp_path / "prompts.csv"
    rows.write_text("prompt\na stool\na chair\n")
    paid.begin("name: chairs\nmodels: [a/b]\nrows: prompts.csv\n")
    rows.write_text("prompt\na stool\na  chair\n")

    assert paid.plan() == (
        "1 paid cell (0.04 USD) is no longer in the manifest: "
        '`prompt` was "a chair" in the paid cells, now "a  chair" (prompts.csv:3); '
        "`prompts.csv` has changed"
    )


def test_a_data_file_that_is_gone_is_no_hindrance(paid: Paid, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt\na stool\n")
    paid.begin("name: chairs\nmodels: [a/b]\nrows: a.csv\n")
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_text("prompt\na  stool\n")
    paid.edit("a.csv", "b.csv")

    said = paid.plan()
    assert '`prompt` was "a stool" in the paid cells, now "a  stool" (b.csv:2)' in said


def test_a_text_that_was_edited_is_known_by_what_was_sent(paid: Paid, tmp_path: Path) -> None:
    (tmp_path / "chair.txt").write_text("a chair\n")
    paid.begin("name: chairs\nmodels: [a/b]\ninputs: {prompt: {$text: chair.txt}}\n")
    (tmp_path / "chair.txt").write_text("a red chair\n")

    assert paid.plan() == (
        "1 paid cell (0.04 USD) is no longer in the manifest: "
        '`prompt` was "a chair" in the paid cells, now "a red chair" (line 3); '
        "`chair.txt` has changed"
    )


def test_a_local_file_is_known_by_its_content(paid: Paid, tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n"
    (tmp_path / "a.png").write_bytes(png)
    sent = Uploaded(
        sha256="4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6",
        asset_id="asset_1",
        reference="https://assets.test/1",
    )
    manifest = "name: chairs\nmodels: [a/b]\ninputs: {image_url: {$file: a.png}, seed: [1, 2]}\n"
    paid.begin(manifest, sent)
    (tmp_path / "a.png").write_bytes(png + b"more")

    said = paid.plan()
    assert "`image_url` was a file with the sha256 4c4b6a3be131… in the paid cells" in said
    assert "now a.png (line 3)" in said
    assert "`seed`" not in said


def test_what_was_made_again_is_no_edit(paid: Paid) -> None:
    """The manifest that was kept names no replicate but the first."""
    paid.begin()
    first = next(expand(load_manifest(paid.manifest, {})))
    mark = Mark(id="m", cell=first.key, first=first.key, replicate=2, makes="0" * 32)
    with (paid.folder / "ledger.jsonl").open("ab") as ledger:
        ledger.write(encode(Marks(marks=(mark,))))
    paid.edit("[1, 3]", "[1, 4]")

    assert paid.plan() == "new since the last start: `seed` now has 4 (line 5)"


def test_without_what_was_kept_the_paid_cells_are_counted_all_the_same(paid: Paid) -> None:
    paid.begin()
    for path in (paid.folder / STARTS).iterdir():
        path.unlink()
    (paid.folder / "manifest.yaml").unlink()
    paid.edit("a chair", "a  chair")

    assert paid.plan() == "3 paid cells (0.12 USD) are no longer in the manifest"


def test_of_a_folder_of_an_older_version_the_copy_of_the_manifest_is_read(paid: Paid) -> None:
    paid.begin()
    for path in (paid.folder / STARTS).iterdir():
        path.unlink()
    paid.edit("a chair", "a stool")

    said = paid.plan()
    assert '`prompt` was "a chair" at the last start, now "a stool" (line 4)' in said


def test_cells_that_cost_nothing_are_not_called_paid(paid: Paid) -> None:
    paid.begin()
    ledger = paid.folder / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(line for line in lines if b'"type":"sweep"' in line))
    paid.edit("a chair", "a stool")

    said = paid.plan()
    assert said.startswith("new since the last start: ")
