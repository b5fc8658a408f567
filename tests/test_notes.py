"""Notes on a manifest: said on stderr and in the object, and no reason to stop."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from batchrun.commands.notes import MOST, notes_of, say_notes
from batchrun.errors import Place, Problem
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest


def noted(count: int) -> Manifest:
    manifest = read_manifest(b"models: [google/nano-banana-2]", Path("m.yaml"), {})
    notes = (Problem(Place("m.yaml", line, 3), f"look at {line}", "x") for line in range(count))
    return replace(manifest, notes=tuple(notes))


def test_a_note_is_one_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    say_notes(noted(2), quiet=False)

    shown, said = capsys.readouterr()
    assert shown == ""
    assert said == "note: m.yaml:0:3: look at 0\nnote: m.yaml:1:3: look at 1\n"


def test_too_many_notes_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    say_notes(noted(MOST + 3), quiet=False)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MOST + 1
    assert lines[-1] == "and 3 more notes"


def test_quiet_says_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    say_notes(noted(2), quiet=True)

    assert capsys.readouterr().err == ""


def test_the_object_has_each_note_with_its_place() -> None:
    assert notes_of(noted(0).notes) is None
    assert notes_of(noted(1).notes) == (
        {"source": "m.yaml", "line": 0, "column": 3, "message": "look at 0"},
    )
