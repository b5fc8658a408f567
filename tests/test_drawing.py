"""A draw that takes long says how far it is, and ends at once where the user wants it to."""

import signal
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.commands import drawing
from batchrun.commands.drawing import draw_samples, progress
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
