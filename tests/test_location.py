"""One manifest is one sweep in one folder, however its path is spelled."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from batchrun.commands.call import prepare
from batchrun.commands.target import Place, said_of_former
from batchrun.errors import UsageError
from batchrun.sweep.location import LEDGER, folder_of, output_folder

TEXT = "models: [a/b]\ninputs: {prompt: a chair}\n"
API = "https://api.runflow.io"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifests" / "chairs.yaml"
    (path.parent / "below").mkdir(parents=True)
    path.write_text(TEXT)
    (tmp_path / "link").symlink_to(path.parent)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "link").symlink_to(path.parent)
    return path


@pytest.mark.parametrize(
    ("folder", "spelled"),
    [
        (".", "manifests/chairs.yaml"),
        ("manifests", "chairs.yaml"),
        ("manifests/below", "../chairs.yaml"),
        ("manifests", "./below/../chairs.yaml"),
        (".", "link/chairs.yaml"),
        ("deep/link", "chairs.yaml"),
        ("deep/link/below", "../chairs.yaml"),
    ],
)
def test_each_spelling_of_a_path_is_the_same_folder(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, folder: str, spelled: str
) -> None:
    root = manifest.parents[1]
    monkeypatch.chdir(root / folder)

    call = prepare(Path(spelled), Place(endpoint="http://127.0.0.1:9"))

    assert call.folder == root.resolve() / "outputs" / "@127.0.0.1-9" / "chairs"


def test_an_outputs_dir_is_relative_to_the_real_folder(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest.write_text(TEXT + "outputs: {dir: ../made}\n")
    monkeypatch.chdir(manifest.parents[1] / "deep")

    call = prepare(Path("link/chairs.yaml"), Place(endpoint="http://127.0.0.1:9"))

    assert call.folder.parents[1].resolve() == manifest.parents[1].resolve() / "made"


def test_a_manifest_that_is_a_link_itself_stays_where_it_is_named(tmp_path: Path) -> None:
    """Mounted configuration is links, and their targets have names of the day."""
    (tmp_path / "mounted").mkdir()
    (tmp_path / "..data-2026").mkdir()
    (tmp_path / "..data-2026" / "real.yaml").write_text(TEXT)
    path = tmp_path / "mounted" / "chairs.yaml"
    path.symlink_to(tmp_path / "..data-2026" / "real.yaml")

    assert folder_of(path) == (tmp_path / "mounted").resolve()
    assert prepare(path, Place(endpoint="http://127.0.0.1:9")).folder.name == "chairs"


@pytest.mark.parametrize("name", ["größe", "café", "Å", "椅子"])
def test_one_name_in_two_forms_of_unicode_is_one_folder(name: str, tmp_path: Path) -> None:
    forms = {
        output_folder(unicodedata.normalize(form, name), tmp_path / "m.yaml", endpoint=API)
        for form in ("NFC", "NFD")
    }

    assert len(forms) == 1


@pytest.mark.parametrize(
    ("folder", "spelled", "former"),
    [
        ("manifests/below", "../chairs.yaml", "manifests/below/../outputs"),
        ("deep", "link/chairs.yaml", "manifests/outputs"),
        (".", "link/chairs.yaml", "link/outputs"),
    ],
)
def test_a_ledger_where_batchrun_0_1_has_put_it_is_gone_on_with(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, folder: str, spelled: str, former: str
) -> None:
    root, place = manifest.parents[1], Place(endpoint="http://127.0.0.1:9")
    monkeypatch.chdir(root / folder)
    old = root / former / "@127.0.0.1-9" / "chairs"
    old.mkdir(parents=True)
    (old / LEDGER).touch()

    call = prepare(Path(spelled), place)
    said = said_of_former(call.manifest.head, place, call.endpoint, call.folder)
    new = root.resolve() / "outputs" / "@127.0.0.1-9" / "chairs"
    new.mkdir(parents=True)
    (new / LEDGER).touch()
    again = prepare(Path(spelled), place)

    assert call.folder.resolve() == old.resolve()
    assert said is not None
    assert str(new) in said
    assert again.folder == new
    assert said_of_former(again.manifest.head, place, again.endpoint, again.folder) is None


def test_the_former_folder_of_a_name_in_another_form_of_unicode_is_found(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "größe")
    path = tmp_path / "m.yaml"
    path.write_text(f"name: {name}\n{TEXT}", encoding="utf-8")
    old = tmp_path / "outputs" / "@127.0.0.1-9" / name
    old.mkdir(parents=True)
    (old / LEDGER).touch()

    assert prepare(path, Place(endpoint="http://127.0.0.1:9")).folder.samefile(old)


@pytest.mark.parametrize(("what", "most"), [("name", 255), ("label", 254)])
def test_a_name_or_label_that_no_folder_can_have_is_refused(what: str, most: int) -> None:
    given: dict[str, Any] = {"name": "n", "manifest": Path("m.yaml"), "endpoint": "simulator"}

    output_folder(**given | {what: "x" * most})
    for text in ("ü" * 128, "x" * (most + 1)):
        with pytest.raises(UsageError, match=f"bytes, and {most} is the most"):
            output_folder(**given | {what: text})


@pytest.mark.slow
@pytest.mark.parametrize("said", ["name: größe\n", ""])
def test_another_locale_is_the_same_folder(tmp_path: Path, said: str) -> None:
    path = tmp_path / ("größe.yaml" if not said else "m.yaml")
    path.write_text(TEXT + said, encoding="utf-8")
    script = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from batchrun.commands.call import prepare\n"
        "from batchrun.commands.target import Place\n"
        "call = prepare(Path(sys.argv[1]), Place(endpoint='http://127.0.0.1:9'))\n"
        "print(os.fsencode(call.folder).hex(), ascii(call.manifest.name))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, **extra},
            capture_output=True,
            check=True,
        ).stdout
        for extra in (
            {"PYTHONUTF8": "1"},
            {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        )
    }

    assert len(found) == 1
    assert ascii("größe").encode() in found.pop()
