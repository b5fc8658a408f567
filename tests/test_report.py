"""`batchrun report`: the page and the results of a sweep, by its folder or its manifest."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from report_pages import HOSTILE, data_files, inside

from batchrun.base.output_store import OutputStore
from batchrun.cli import main
from batchrun.report.single_file import SINGLE
from batchrun.results.result_files import MANIFEST, REPORT, RESULTS_CSV, RESULTS_JSONL
from batchrun.results.starts import STARTS
from batchrun.sweep.kept_picks import PICKS

MANIFEST_TEXT = """
name: chairs
endpoint: simulator
models: [google/nano-banana-2, {id: openai/gpt-image-1.5, alias: gpt}]
inputs: {prompt: [a red chair, a blue chair]}
poll: {interval: 1ms}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "chairs.yaml").write_text(MANIFEST_TEXT)
    assert main([str(folder / "chairs.yaml"), "--quiet"]) == 0
    return folder


@pytest.fixture
def place(swept: Path, tmp_path: Path) -> Path:
    """Return a folder with a manifest of its own, and its sweep."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    sweep = tmp_path / "outputs/@simulator/chairs"
    for name in (REPORT, RESULTS_CSV, RESULTS_JSONL):
        (sweep / name).unlink(missing_ok=True)
    return tmp_path


def test_report_writes_the_page_and_the_results_anew(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = place / "outputs/@simulator/chairs"

    assert main(["report", str(place / "chairs.yaml")]) == 0

    assert f"{sweep / REPORT}: 4 rows" in capsys.readouterr().out
    assert (sweep / RESULTS_CSV).exists()
    head = json.loads(inside((sweep / REPORT).read_text()))
    assert (head["name"], head["counts"]["succeeded"], head["calls"]) == ("chairs", 4, 1)
    assert head["axes"] == ["prompt"]
    assert head["models"] == {
        "google-nano-banana-2": "google/nano-banana-2",
        "gpt": "openai/gpt-image-1.5",
    }
    assert head["complete"]
    assert list((sweep / "report/thumbs").glob("*/*.webp"))


def test_a_folder_is_as_good_as_its_manifest(place: Path) -> None:
    sweep = place / "outputs/@simulator/chairs"
    main(["report", str(place / "chairs.yaml")])
    before = data_files(sweep)

    assert main(["report", str(sweep)]) == 0

    assert data_files(sweep) == before


def test_without_its_manifest_a_sweep_is_shown_by_its_ledger(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = place / "outputs/@simulator/chairs"
    shutil.rmtree(sweep / STARTS)
    (sweep / MANIFEST).unlink()
    identity = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps(identity | {"manifest": None}))

    assert main(["report", str(sweep), "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["report"] == str(sweep / REPORT)
    assert json.loads(inside((sweep / REPORT).read_text()))["axes"] == ["prompt"]
    assert not (sweep / RESULTS_CSV).exists()


def test_where_no_sweep_is_there_is_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2

    assert "there is no sweep" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def mark(folder: Path, number: int, kind: str, **rest: object) -> str:
    """Return a line of `picks.jsonl`, of the first cell."""
    cell = json.loads((folder / RESULTS_JSONL).read_text().partition("\n")[0])["cell"]
    values = {
        "id": f"m{number}",
        "sweep": json.loads((folder / "sweep.json").read_text())["sweep"],
        "cell": cell,
        "kind": kind,
        "note": "",
        "at": f"2026-11-29T03:00:{number:02}.000Z",
    }
    return json.dumps(values | rest) + "\n"


@pytest.mark.parametrize("name", [REPORT, SINGLE])
def test_the_page_has_the_marks_that_were_taken_in(place: Path, name: str) -> None:
    sweep = place / "outputs/@simulator/chairs"
    main(["report", str(sweep)])
    note = HOSTILE.replace("\ud800", "")
    lines = [mark(sweep, 1, "pick"), mark(sweep, 2, "note", note=note)]
    gone = mark(sweep, 3, "pick", off=True)
    (sweep / PICKS).write_text("".join([*lines, gone, mark(sweep, 4, "redo", sweep="other")]))

    assert main(["report", str(sweep), "--single-file"]) == 0

    [found] = json.loads(inside((sweep / name).read_text(), "marks"))
    assert found["sweep"] == json.loads(gone)["sweep"]
    assert [each["id"] for each in found["marks"]] == ["m2", "m3"]
    assert found["marks"][0]["note"] == note
    assert found["marks"][1]["off"] is True


def test_marks_that_are_damaged_are_left_out_and_said_by_report_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = place / "outputs/@simulator/chairs"
    (sweep / PICKS).write_text("not json\n")

    assert main([str(place / "chairs.yaml"), "--quiet"]) == 0
    assert PICKS not in "".join(capsys.readouterr())
    assert json.loads(inside((sweep / REPORT).read_text(), "marks")) == []
    (sweep / REPORT).unlink()

    assert main(["report", str(sweep), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["name"] == "chairs"
    assert f"batchrun: the page shows no marks: {sweep / PICKS}:1: expected a mark" in said.err
    assert (sweep / REPORT).exists()


def test_one_file_has_all_of_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(place / "chairs.yaml"), "--single-file"]) == 0

    text = (place / "outputs/@simulator/chairs" / SINGLE).read_text()
    assert "with its files" in capsys.readouterr().out
    assert text.count('":"data:image/png;base64,') == 4
    assert 'id="data-o0"' in text
    assert 'id="data-d0"' in text


def test_where_the_files_are_too_large_one_file_has_thumbnails(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("batchrun.report.single_file.MOST", 150_000)

    assert main(["report", str(place / "chairs.yaml"), "--single-file"]) == 0

    text = (place / "outputs/@simulator/chairs" / SINGLE).read_text()
    assert "with thumbnails; the files are too large" in capsys.readouterr().out
    assert "data:image/webp;base64," in text
    assert "data:image/png;base64," not in text


def test_one_file_that_is_too_large_is_refused_with_what_to_do(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("batchrun.report.single_file.MOST", 1000)

    assert main(["report", str(place / "chairs.yaml"), "--single-file"]) == 2

    assert "send the folder instead" in capsys.readouterr().err
    assert not (place / "outputs/@simulator/chairs" / SINGLE).exists()


def test_a_page_that_cannot_be_written_ends_no_call_and_harms_no_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chairs.yaml").write_text(MANIFEST_TEXT)
    sweep = tmp_path / "outputs/@simulator/chairs"
    sweep.mkdir(parents=True)
    (sweep / "report").write_text("in the way")

    assert main([str(tmp_path / "chairs.yaml")]) == 0

    assert "report.html is left as it was: " in capsys.readouterr().err
    assert len((sweep / RESULTS_JSONL).read_text().splitlines()) == 4
    assert not (sweep / REPORT).exists()


def fill(monkeypatch: pytest.MonkeyPatch, sweep: Path) -> None:
    """Have the disk full as long as the page of *sweep* has a file on it."""
    replace = OutputStore.replacing

    @contextmanager
    def full(store: OutputStore, name: str, *, as_of: int | None = None) -> Iterator[IO[bytes]]:
        with replace(store, name, as_of=as_of) as file:
            yield file
            if any(path.is_file() for path in (sweep / "report").rglob("*")):
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutputStore, "replacing", full)


def test_the_page_gives_up_its_room_where_the_results_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chairs.yaml").write_text(MANIFEST_TEXT)
    sweep = tmp_path / "outputs/@simulator/chairs"
    fill(monkeypatch, sweep)

    assert main([str(tmp_path / "chairs.yaml")]) == 0

    assert "report.html is left as it was: cannot write" in capsys.readouterr().err
    assert len((sweep / RESULTS_JSONL).read_text().splitlines()) == 4
    assert (sweep / RESULTS_CSV).exists()
    assert not (sweep / REPORT).exists()


def test_the_page_of_report_gives_up_its_room_too(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = place / "outputs/@simulator/chairs"
    shutil.rmtree(sweep / "report", ignore_errors=True)
    for name in (REPORT, RESULTS_JSONL):
        (sweep / name).write_text("of an earlier call")
    fill(monkeypatch, sweep)

    assert main(["report", str(place / "chairs.yaml")]) == 9

    assert "report.html is left as it was: cannot write" in capsys.readouterr().err
    assert len((sweep / RESULTS_JSONL).read_text().splitlines()) == 4
    assert (sweep / REPORT).read_text() == "of an earlier call"


def test_where_no_thumbnail_can_be_written_the_page_shows_the_files(place: Path) -> None:
    sweep = place / "outputs/@simulator/chairs"
    shutil.rmtree(sweep / "report")
    (sweep / "report").mkdir()
    (sweep / "report/thumbs").write_text("in the way")

    assert main(["report", str(place / "chairs.yaml")]) == 0

    assert json.loads(inside((sweep / REPORT).read_text()))["undrawn"] == 4


def test_a_page_that_was_deleted_is_written_again(place: Path) -> None:
    (place / "outputs/@simulator/chairs" / REPORT).unlink(missing_ok=True)

    assert main([str(place / "chairs.yaml"), "--quiet"]) == 0

    assert (place / "outputs/@simulator/chairs" / REPORT).exists()


def test_a_page_leads_to_the_logs_that_are_kept(tmp_path: Path) -> None:
    text = MANIFEST_TEXT.replace("a red chair", "a chair to fail") + "outputs: {logs: failed}\n"
    (tmp_path / "chairs.yaml").write_text(text)
    assert main([str(tmp_path / "chairs.yaml"), "--quiet"]) == 1
    sweep = tmp_path / "outputs/@simulator/chairs"
    kept = {path.relative_to(sweep).as_posix() for path in sweep.glob("logs/*/*.json")}

    details = b"".join(data for name, data in data_files(sweep).items() if name.startswith("d"))

    assert len(kept) == 4, "two cells, two attempts each"
    assert sum(name.encode() in details for name in kept) == 2, "those of the last attempts"


@pytest.mark.parametrize("what", ["report_writer", "ReportWriter.add", "ReportWriter.finish"])
def test_a_fault_of_the_page_leaves_the_results_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    place = "commands.reporting" if what == "report_writer" else "report.writing"
    monkeypatch.setattr(f"batchrun.{place}.{what}", broken)
    (tmp_path / "chairs.yaml").write_text(MANIFEST_TEXT)

    assert main([str(tmp_path / "chairs.yaml")]) == 0

    results = tmp_path / "outputs/@simulator/chairs" / RESULTS_JSONL
    assert len(results.read_bytes().splitlines()) == 4
    assert f"{REPORT} is left as it was: " in capsys.readouterr().err


def test_a_page_shows_the_end_of_kept_logs_of_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = MANIFEST_TEXT.replace("a red chair", "a chair to fail") + "outputs: {logs: all}\n"
    (tmp_path / "chairs.yaml").write_text(text)
    assert main([str(tmp_path / "chairs.yaml"), "--quiet"]) == 1
    sweep = tmp_path / "outputs/@simulator/chairs"

    def ends() -> list[str]:
        [script] = [data for name, data in data_files(sweep).items() if name.startswith("d")]
        logs = json.loads(script[script.index(b",") + 1 : -2])["logs"]["values"]
        return [end.rpartition("\n")[2] for _, end in logs]

    shown = ends()
    assert sorted(map(bool, shown)) == [False, False, True, True]
    monkeypatch.setattr("batchrun.commands.reporting.MOST_LOGS", 1)
    shutil.rmtree(sweep / "report")
    assert main(["report", str(sweep)]) == 0
    assert sum(map(bool, ends())) == 1
    monkeypatch.setattr("batchrun.commands.reporting.LOGS_READ", 1)
    shutil.rmtree(sweep / "report")
    assert main(["report", str(sweep)]) == 0
    assert ends() == [""] * 4
