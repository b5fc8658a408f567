"""`outputs.name`: neither what its author writes nor what its values hold leaves the folder."""

from pathlib import Path

import pytest

from batchrun.errors import ManifestError
from batchrun.manifest.file_names import file_name
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest


def manifest(folder: Path, name: str) -> Path:
    path = folder / "m.yaml"
    values = "vars: {shot: ['../../up', /root], none: {$omit: true}}\ninputs: {prompt: '${shot}'}"
    path.write_text(f"models: [a/b]\n{values}\noutputs: {{name: '{name}'}}\n")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../${cell}",
        "x/../../${cell}",
        "${alias}/..",
        "..\\${cell}",
        "/srv/${cell}",
        "\\\\srv/${cell}",
        "~/${cell}",
        "..",
    ],
)
def test_a_name_that_is_written_to_leave_the_folder_is_a_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:4:17: `outputs.name` leaves the sweep's"):
        load_manifest(manifest(tmp_path, name), {})


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("./${shot}", "up"),
        ("${shot}/..${cell}", "up/CELL"),
        ("${none}/${shot}-${cell}", "up-CELL"),
        ("..${none}/${cell}", "CELL"),
        ("${env:PLACE}/${cell}", "srv/up/CELL"),
        ("x..y/${cell}", "x..y/CELL"),
    ],
)
def test_what_comes_from_values_is_made_safe(tmp_path: Path, name: str, first: str) -> None:
    loaded = load_manifest(manifest(tmp_path, name), {"PLACE": "/srv/../up"})
    cell = next(expand(loaded))

    assert file_name(loaded, cell).replace(cell.short, "CELL") == first
