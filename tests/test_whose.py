"""A call that came to nothing still says which sweep it was about."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from batchrun.commands.whose import Whose, whose
from batchrun.sweep.identity import Identity, write_identity

DEFAULT = "https://api.runflow.io"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.yaml").write_text("name: nightly\nendpoint: simulator\nmodels: [a/b]\n")
    (tmp_path / "wrong.yaml").write_text("name: nightly\nmodels: 7\nnonsense: [1, 2]\n")
    (tmp_path / "twice.yaml").write_text("name: nightly\nmodels: [a/b]\nmodels: [a/b]\n")
    (tmp_path / "nameless.yaml").write_text("models: 7\n")
    (tmp_path / "no.yaml").write_text("name: x\n  - : [\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    identity = Identity(sweep="k3f9", name="old", endpoint="simulator", label="n1")
    (tmp_path / "sweep").mkdir()
    write_identity(tmp_path / "sweep", identity)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words", "name", "label", "endpoint"),
    [
        ("run", "fine.yaml --label n5", "nightly", "n5", "simulator"),
        ("run", "--label=n5 fine.yaml --endpoint=http://127.0.0.1:1", "nightly", "n5", "http"),
        ("run", "--budget 5 --limit 3 fine.yaml", "nightly", None, "simulator"),
        ("run", "--only cell=1 fine.yaml other.yaml", "nightly", None, "simulator"),
        ("run", "wrong.yaml --json --bogus", "nightly", None, DEFAULT),
        ("run", "twice.yaml", "nightly", None, DEFAULT),
        ("plan", "nameless.yaml", "nameless", None, DEFAULT),
        ("run", "no.yaml --label n6", "no", "n6", DEFAULT),
        ("run", "list.yaml", "list", None, DEFAULT),
        ("run", "binary.yaml", "binary", None, DEFAULT),
        ("run", "gone/night.yaml --label 2026/11/28", "night", "2026/11/28", DEFAULT),
        ("run", "fine.yaml --endpoint ftp://u:secret@h", "nightly", None, None),
        ("run", "fine.yaml --label", "nightly", "", "simulator"),
        ("run", "--json", None, None, DEFAULT),
        ("status", "sweep", "old", "n1", "simulator"),
        ("status", "broken", "broken", None, DEFAULT),
        ("recover", "--sweep k3f9 fine.yaml", "nightly", None, "simulator"),
        ("report", "sweep --labels", "old", "n1", "simulator"),
        (
            "report",
            "--columns cost --format parquet --labels x fine.yaml",
            "nightly",
            None,
            "simulator",
        ),
        ("list", "sweep", None, None, None),
        ("", "frob --label x", None, None, None),
    ],
)
def test_the_sweep_is_known_as_far_as_it_can_be_read(
    command: str, words: str, name: str | None, label: str | None, endpoint: str | None
) -> None:
    found = whose(command, words.split())

    assert found.endpoint == endpoint or (endpoint == "http" and found.endpoint is not None)
    assert (found.name, found.label) == (name, label)


def test_its_folder_and_ledger_are_known_where_its_place_can_be_read(folder: Path) -> None:
    place = folder / "outputs" / "@simulator" / "nightly" / "@n5"
    of = Whose(name="nightly", label="n5", endpoint="simulator", outputs=str(place))
    words = ["fine.yaml", "--label", "n5", "--bogus"]
    assert whose("run", words) == of

    place.mkdir(parents=True)
    (place / "ledger.jsonl").touch()
    write_identity(place, Identity(sweep="q1", name="nightly", endpoint="simulator", label="n5"))

    begun = replace(of, sweep="q1", ledger=str(place / "ledger.jsonl"))
    assert whose("run", words) == whose("status", [str(place)]) == begun


def test_a_damaged_identity_hides_the_sweeps_id_alone(folder: Path) -> None:
    place = folder / "outputs" / "@simulator" / "nightly"
    place.mkdir(parents=True)
    (place / "sweep.json").write_text("{")

    assert whose("run", ["fine.yaml"]).outputs == str(place)


@pytest.mark.parametrize("words", ["no.yaml", "fine.yaml --label a/b", "fine.yaml --endpoint x:y"])
def test_a_place_that_is_none_is_not_said(words: str) -> None:
    found = whose("run", words.split())

    assert (found.sweep, found.outputs, found.ledger) == (None, None, None)


def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")

    assert whose("run", ["pipe.yaml"]).name == "pipe"


def test_the_endpoint_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFLOW_API_URL", "http://127.0.0.1:8765")

    assert whose("run", ["wrong.yaml"]).endpoint == "http://127.0.0.1:8765"
