"""Names and paths whose bytes are no UTF-8: a path is one like any other, a name is refused."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from batchrun.base.json_text import decoded, encoded
from batchrun.cli import main
from batchrun.commands.options import typed
from batchrun.errors import UsageError
from batchrun.sweep.location import output_folder

TEXT = """
name: chairs
endpoint: simulator
models: [google/nano-banana-2]
inputs: {prompt: a chair, seed: [1, 2]}
"""

ODD = os.fsdecode(b"b\xffd")


class Said(Struct, frozen=True):
    path: str
    counts: dict[int, str]


def manifest(folder: Path, name: str = "m.yaml", text: str = TEXT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "picks", "recover"])
def test_a_label_that_is_no_text_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = manifest(tmp_path)

    assert main([command, str(path), "--label", ODD]) == 2

    assert "--label: 'b\\udcffd': expected text in UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def test_a_name_that_is_no_text_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = manifest(tmp_path, f"{ODD}.yaml", TEXT.replace("name: chairs\n", ""))

    assert main([str(path)]) == 2

    assert "the name 'b\\udcffd' cannot be the name of a folder: it is no text in UTF-8" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("given", [{"label": ODD}, {"label": "\ud800"}, {"name": ODD}])
def test_a_program_that_gives_such_a_name_is_refused_too(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no text in UTF-8"):
        output_folder(**{"name": "n", "manifest": Path("m.yaml"), "endpoint": "simulator", **given})


def test_the_id_of_a_sweep_to_recover_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recover", str(manifest(tmp_path)), "--recover", ODD]) == 2

    assert "expected the id of a sweep" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "options"), [(ODD, []), (".", ["--outputs", ODD])], ids=["manifest", "outputs"]
)
def test_a_path_of_such_bytes_is_one_like_any_other(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    options: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = manifest(tmp_path / folder)
    base = Path(options[1]) if options else path.parent / "outputs"

    codes = [main([str(path), *options, "--json"]) for _ in range(3)]

    assert codes == [0, 0, 0]
    calls = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["succeeded"] for each in calls] == [2, 2, 2]
    assert calls[2]["requests"] == 0
    for words in (["report", str(path), *options], ["report", str(base / "@simulator/chairs")]):
        assert main(words) == 0
    assert main(["list", str(base), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["state"] for each in listed["sweeps"]] == ["complete"]


def test_json_of_such_a_path_can_be_read_back() -> None:
    value = Said(path=f"/tmp/{ODD}", counts={1: "é"})

    assert decoded(encoded(value), Said) == value
    assert decoded(json.dumps(msgspec.to_builtins(value)).encode(), Said) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"path": "\\udcff"', b'{"path": "\\ud"}', b'{"path": 1}', b'{"path": "\\udcff"}'],
)
def test_other_json_is_an_error_of_one_kind(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoded(data, Said)


def test_json_of_other_bytes_is_an_error() -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decoded(b'{"path": "\xff", "counts": {}}', Said)


def test_what_was_typed_is_text_in_any_locale() -> None:
    assert typed("größe") == "größe"
    assert typed(os.fsencode("größe").decode("ascii", "surrogateescape")) == "größe"
