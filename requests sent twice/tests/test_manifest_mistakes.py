"""Wrong manifests, each with the whole message beside it. A message changed on purpose: run this
file with UPDATE=1 in the environment, and read what it wrote.
"""

import os
from pathlib import Path

import pytest

from batchrun.errors import ManifestError
from batchrun.manifest.load import load_manifest

FOLDER = Path(__file__).parent / "manifests"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_wrong_manifest_is_answered_with_all_that_is_wrong(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)

    with pytest.raises(ManifestError) as caught:
        load_manifest(Path(f"{name}.yaml"), {"HOME": "/home"})

    expected = FOLDER / f"{name}.expected"
    said = f"{caught.value}\n".replace(str(FOLDER), "FOLDER")
    if "UPDATE" in os.environ:
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert caught.value.exit_code == 2
    assert "hunter2" not in said


def test_problems_come_in_the_order_of_file_and_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)

    with pytest.raises(ManifestError) as caught:
        load_manifest(Path("keys.yaml"), {})

    places = [problem.place for problem in caught.value.problems]
    assert places == sorted(places)
    assert len(places) == 8
