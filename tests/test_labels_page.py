"""`batchrun report --labels`: the sweeps of one name on one page, without a browser."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from report_pages import inside, row

from batchrun.cli import main
from batchrun.commands.status_report import rows_of
from batchrun.commands.target import Subject
from batchrun.errors import LedgerError
from batchrun.ledger.lock import locked
from batchrun.ledger.reader import Reader
from batchrun.report.labels import LABELS_DATA, LABELS_PAGE, LABELS_SINGLE, labelled
from batchrun.results.rows import PointRow
from batchrun.sweep.location import LEDGER

FIRST: Final = """
name: nightly
endpoint: simulator
models: [google/nano-banana-2]
inputs: {prompt: [a red chair, a blue chair]}
poll: {interval: 1ms}
"""

LATER: Final = """
name: nightly
endpoint: simulator
models:
  - {id: openai/gpt-image-1.5, alias: gpt, omit: [seed]}
  - google/nano-banana-2
inputs: {seed: [1, 2], prompt: [a red chair, a blue chair]}
poll: {interval: 1ms}
"""
"""Of another night: one model more, and one axis more; a row of the model shares a run."""
ODD: Final = "mon #1 100% ü?"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights and a sweep without a label, the last of another manifest."""
    folder = tmp_path_factory.mktemp("swept")
    manifest = folder / "nightly.yaml"
    manifest.write_text(FIRST)
    for words in (["--label", "tue"], ["--label", ODD], []):
        assert main([str(manifest), "--quiet", *words]) == 0
    manifest.write_text(LATER)
    assert main([str(manifest), "--quiet", "--label", "wed"]) == 0
    return folder


@pytest.fixture
def place(swept: Path, tmp_path: Path) -> Path:
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def nights(place: Path) -> Path:
    """The folder of the name."""
    return place / "outputs/@simulator/nightly"


def head(nights: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside((nights / LABELS_PAGE).read_text()))
    return found


def data(nights: Path, kind: str) -> list[dict[str, Any]]:
    """Return the chunks of a kind, as the page has them."""
    names = [each["overview" if kind == "o" else "details"] for each in head(nights)["chunks"]]
    texts = ((nights / LABELS_DATA / f"{name}.js").read_text() for name in names)
    return [json.loads(text[text.index(",") + 1 : text.rindex(")")]) for text in texts]


def values(packed: dict[str, Any], rows: int) -> list[Any]:
    if "all" in packed:
        return [packed["all"]] * rows
    codes = packed.get("codes", range(rows))
    return [None if code < 0 else packed["values"][code] for code in codes]


def files(nights: Path) -> list[Sequence[Any]]:
    """Return the files of all rows, the first of each."""
    [chunk] = data(nights, "d")
    return [each[0] for each in values(chunk["files"], len(chunk["files"]["values"]))]


def test_all_labels_stand_in_the_order_of_time_and_the_one_without(
    place: Path, nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(place / "nightly.yaml"), "--labels"]) == 0

    assert f"{nights / LABELS_PAGE}: 14 rows of 4 sweeps" in capsys.readouterr().out
    found = head(nights)
    assert [each["label"] for each in found["sweeps"]] == ["tue", ODD, None, "wed"]
    assert [each["rows"] for each in found["sweeps"]] == [2, 2, 2, 8]
    assert found["axes"] == ["label", "prompt", "seed"]
    assert (found["counts"]["cells"], found["counts"]["succeeded"], found["calls"]) == (12, 12, 4)
    assert found["complete"]
    [chunk] = data(nights, "o")
    assert values(chunk["label"], 14) == ["tue"] * 2 + [ODD] * 2 + ["w/o label"] * 2 + ["wed"] * 8
    assert values(chunk["seed"], 14)[:6] == [None] * 6  # an axis that only some nights have


def test_files_and_thumbnails_are_those_in_the_folders_of_their_sweeps(nights: Path) -> None:
    main(["report", str(nights / "@tue")])
    drawn = {path: path.stat().st_mtime_ns for path in nights.glob("@tue/report/thumbs/*/*")}

    assert main(["report", str(nights), "--labels"]) == 0

    paths = [each[0] for each in files(nights)]
    assert [path.split("/")[0] for path in paths[:6]] == ["@tue"] * 2 + [f"@{ODD}"] * 2 + [
        "files"
    ] * 2
    assert all((nights / path).is_file() for path in paths)
    thumbnails = [each[3] for each in files(nights)]
    assert thumbnails[0].startswith("@tue/report/thumbs/")
    assert all((nights / each).is_file() for each in thumbnails)
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn
    assert not list(nights.glob("labels/**/*.webp"))


def test_what_each_night_has_of_its_own_is_left_as_it_was(nights: Path) -> None:
    before = {path: path.read_bytes() for path in nights.rglob("re*.*") if path.is_file()}

    main(["report", str(nights / "@wed"), "--labels"])

    after = {path: path.read_bytes() for path in nights.rglob("re*.*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("patterns", "labels"),
    [
        (["--labels", "tue"], ["tue"]),
        (["--labels", "?ed", "--labels", "mon*"], [ODD, "wed"]),
        (["--labels", ""], [None]),
        (["--labels=*"], ["tue", ODD, None, "wed"]),
    ],
)
def test_patterns_choose_labels(
    nights: Path, patterns: Sequence[str], labels: Sequence[str | None]
) -> None:
    assert main(["report", str(nights), *patterns]) == 0

    assert [each["label"] for each in head(nights)["sweeps"]] == labels


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "2027*"], "no label fits 2027*; labels in "),
        (["--labels", "--label", "tue"], "leave one out"),
        (["--labels", "--excel"], "leave `--labels` out"),
        (["--labels", "--columns", "cost"], "leave `--labels` out"),
    ],
)
def test_what_is_of_no_use_is_refused(
    nights: Path, words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(nights), *words]) == 2

    assert said in capsys.readouterr().err
    assert not (nights / LABELS_PAGE).exists()


def test_where_no_sweep_is_there_is_no_page_of_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path), "--labels"]) == 2

    assert f"there is no sweep in {tmp_path}, and no label" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_night_that_cannot_be_read_is_named_and_the_others_are_shown(
    nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (nights / "@tue" / LEDGER).read_bytes().splitlines(keepends=True)
    (nights / "@tue" / LEDGER).write_bytes(b"".join([lines[0], b"no line\n", *lines[2:]]))
    newer = (nights / "@wed" / LEDGER).read_bytes().replace(b'"format":1', b'"format":99')
    (nights / "@wed" / LEDGER).write_bytes(newer)

    assert main(["report", str(nights), "--labels"]) == 9

    said = capsys.readouterr().err
    assert "label tue is left out: " in said
    assert "is broken at line 2" in said
    assert "label wed is left out: " in said
    assert "newer batchrun" in said
    found = head(nights)
    assert [(each["label"], each["rows"]) for each in found["sweeps"] if each["problem"]] == [
        ("tue", 0),
        ("wed", 0),
    ]
    assert (found["counts"]["cells"], found["complete"]) == (4, False)
    main(["report", str(nights), "--labels", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["exit_code"], shown["rows"], shown["counts"]["cells"]) == (9, 4, 4)
    assert shown["report"] == str(nights / LABELS_PAGE)


@pytest.mark.parametrize("error", [LedgerError("it went"), PermissionError(13, "not yours")])
def test_a_night_that_breaks_off_is_shown_as_far_as_it_goes(
    nights: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def breaking(subject: Subject, reader: Reader) -> Iterator[PointRow]:
        rows = rows_of(subject, reader)
        yield next(rows)
        if subject.folder.name == "@tue":
            raise error
        yield from rows

    monkeypatch.setattr("batchrun.commands.labels_page.rows_of", breaking)

    assert main(["report", str(nights), "--labels"]) == 9

    assert "label tue is not whole: " in capsys.readouterr().err
    assert [each["rows"] for each in head(nights)["sweeps"]] == [1, 2, 2, 8]


def test_where_no_night_can_be_read_the_page_stays_as_it_was(nights: Path) -> None:
    (nights / "@tue" / LEDGER).write_bytes(b"no line\n")

    assert main(["report", str(nights), "--labels", "tue"]) == 9

    assert not (nights / LABELS_PAGE).exists()


def test_a_ledger_that_a_call_holds_is_read(nights: Path) -> None:
    with locked(nights / "@tue"):
        assert main(["report", str(nights), "--labels"]) == 0

    assert [each["rows"] for each in head(nights)["sweeps"]] == [2, 2, 2, 8]


def test_a_sheet_that_is_another_by_now_is_not_read_into_an_earlier_night(tmp_path: Path) -> None:
    manifest = tmp_path / "nightly.yaml"
    manifest.write_text(
        "name: nightly\nendpoint: simulator\nmodels: [google/nano-banana-2]\n"
        "inputs: {prompt: {$lines: sheet.txt}}\npoll: {interval: 1ms}\n"
    )
    for label, text in (("tue", "a chair\n"), ("wed", "a lamp\na chair\n")):
        (tmp_path / "sheet.txt").write_text(text)
        assert main([str(manifest), "--quiet", "--label", label]) == 0
    nights = tmp_path / "outputs/@simulator/nightly"

    assert main(["report", str(nights), "--labels"]) == 0

    [chunk] = data(nights, "o")
    assert values(chunk["prompt"], 3) == ["a chair", "a lamp", "a chair"]
    assert values(chunk["status"], 3) == ["succeeded"] * 3


def test_one_file_has_the_pictures_of_all_labels(
    nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(nights), "--labels", "--single-file"]) == 0

    assert f"{nights / LABELS_SINGLE}: " in capsys.readouterr().out
    text = (nights / LABELS_SINGLE).read_text()
    assert text.count('":"data:image/png;base64,') == 12
    assert '"@tue/files/' in text


def test_one_file_of_too_many_labels_is_refused_with_what_to_do(
    nights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("batchrun.report.single_file.MOST", 10_000)

    assert main(["report", str(nights), "--labels", "--single-file"]) == 2

    assert f"in one file; choose fewer labels, or send {nights}" in capsys.readouterr().err
    assert not (nights / LABELS_SINGLE).exists()


def test_an_input_called_label_keeps_its_values_beside_the_axis() -> None:
    named = row("c", {"label": "mine", "input.label": "odd"})

    found = labelled(named, "tue", "@tue/").values

    assert (found["label"], found["input.input.label"], found["input.label"]) == (
        "tue",
        "mine",
        "odd",
    )
    assert next(iter(found)) == "label"
