"""What takes long says how far it is, and ends at once where the user wants it to."""

import signal
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.commands import drawing
from batchrun.commands.drawing import draw_samples, progress
from batchrun.manifest.data import globs
from batchrun.manifest.grid import sample
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sample, "BLOCK", 10)
    path = tmp_path / "m.yaml"
    path.write_text(
        "models: [google/nano-banana-2]\nendpoint: simulator\nlimits: {input_errors: warn}\n"
        "inputs: {prompt: a chair, seed: {$range: [1, 50]}}\nsample: {n: 3}\n"
    )
    return path


@pytest.fixture
def manifest(path: Path) -> Manifest:
    return load_manifest(path, {})


def test_the_progress_of_a_draw_has_the_time_left() -> None:
    said = "drawing 8 of 39,366,000 points: 12 %, about 60 s left"

    assert progress(8, 4_723_920, 39_366_000, 8.2) == said


def test_a_short_draw_says_nothing(manifest: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    draw_samples(manifest)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_draw_says_how_far_it_is(
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    quiet: bool,
) -> None:
    monkeypatch.setattr(drawing, "SILENT", 0.0)

    draw_samples(manifest, quiet=quiet)

    said = capsys.readouterr().err.splitlines()
    assert len(said) == (0 if quiet else 1)
    assert all(line.startswith("drawing 3 of 50 points: 20 %, about 0 s left") for line in said)


@pytest.mark.parametrize("words", [["plan"], ["run"], ["status"]])
def test_an_interrupt_ends_a_draw_at_once(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    def interrupted(*_: object) -> str:
        signal.raise_signal(signal.SIGINT)
        return "never said"

    monkeypatch.setattr(drawing, "SILENT", 0.0)
    monkeypatch.setattr(drawing, "progress", interrupted)

    assert main([*words, str(path)]) == 3

    said = capsys.readouterr().err
    assert "batchrun: interrupted" in said
    assert "Traceback" not in said
    assert "never said" not in said


# Files.


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(globs, "EACH", 2)
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n%d" % number)
    path = tmp_path / "photos.yaml"
    path.write_text(
        "models: [google/nano-banana-2]\nendpoint: simulator\nlimits: {input_errors: warn}\n"
        "inputs: {prompt: a chair, image_url: {$glob: '*.png'}}\n"
    )
    return path


@pytest.mark.parametrize(("words", "says"), [("", True), ("--quiet", False), ("--json", False)])
def test_a_long_search_says_on_a_terminal_how_far_it_is(
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    *,
    says: bool,
) -> None:
    monkeypatch.setattr(drawing, "SILENT", 0.0)
    monkeypatch.setattr(drawing, "BETWEEN", 0.0)
    monkeypatch.setattr(drawing, "is_terminal", lambda _: True)

    main(["run", "--dry-run", str(photos), *words.split()])

    said = capsys.readouterr().err
    assert ("looking for files: 2 found among 4 names so far\n" in said) is says
    assert ("reading files: 5 so far\n" in said) is says


def test_where_there_is_no_terminal_nothing_is_said_of_files(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "SILENT", 0.0)

    main(["plan", str(photos)])

    assert "files:" not in capsys.readouterr().err


def test_a_short_search_says_nothing(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "is_terminal", lambda _: True)

    main(["plan", str(photos)])

    assert "files:" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_interrupt_ends_a_search_at_once(
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    class Slow:
        def searching(self, *_: int) -> None:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError

    monkeypatch.setattr(drawing, "FilesSaid", Slow)
    monkeypatch.setattr(drawing, "is_terminal", lambda _: True)

    assert main([command, str(photos)]) == 3
    assert "interrupted" in capsys.readouterr().err
