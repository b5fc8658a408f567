"""Pipes where files are expected: nothing that reads a folder waits for one of them."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.commands.nothing_to_do import repeated
from batchrun.commands.run_options import parse
from batchrun.commands.target import Place, subject_of
from batchrun.errors import FolderError, LedgerError
from batchrun.ledger.reader import open_reader
from batchrun.results.starts import newest_start
from batchrun.sweep.identity import IDENTITY, read_identity
from batchrun.sweep.location import LEDGER

TEXT = """
name: chairs
endpoint: simulator
models: [google/nano-banana-2]
inputs: {prompt: a chair}
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the manifest of a sweep that is done, and its outputs."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "chairs.yaml").write_text(TEXT)
    assert main([str(folder / "chairs.yaml"), "--quiet"]) == 0
    return folder


@pytest.fixture
def sweep(begun: Path, tmp_path: Path) -> Path:
    place = tmp_path / "place"
    shutil.copytree(begun, place)
    identity = place / "outputs/@simulator/chairs" / IDENTITY
    identity.write_text(identity.read_text().replace(str(begun), str(place)))
    return identity.parent


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", [LEDGER, IDENTITY])
@pytest.mark.parametrize(
    "words", [["report"], ["report", "--labels"], ["picks"], ["list"], ["status"]], ids=" ".join
)
def test_no_command_waits_for_a_pipe_in_the_folder(
    sweep: Path, words: list[str], name: str
) -> None:
    pipe(sweep / name)

    assert main([words[0], str(sweep), *words[1:]]) in {0, 9}


def test_a_manifest_that_came_by_a_pipe_is_that_of_the_last_start(sweep: Path) -> None:
    pipe(sweep.parents[2] / "chairs.yaml")

    subject = subject_of(sweep, Place(), quiet=True)

    assert subject.manifest is not None
    assert subject.manifest.name == "chairs"
    assert main(["report", str(sweep)]) == 0


def test_a_pipe_is_an_error_that_names_it(tmp_path: Path) -> None:
    for name in (LEDGER, IDENTITY):
        os.mkfifo(tmp_path / name)

    with pytest.raises(LedgerError, match="a pipe, not a file"), open_reader(tmp_path / LEDGER):
        pass
    with pytest.raises(FolderError, match="a pipe, not a file"):
        read_identity(tmp_path)


def test_a_start_that_is_a_pipe_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    os.mkfifo(tmp_path / "starts/x.json")

    assert newest_start(tmp_path) is None


def test_a_manifest_that_comes_by_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    os.mkfifo(path)
    assert repeated(parse([str(path)]), [str(path)], 0.0) is None
    writer = threading.Thread(target=path.write_text, args=(TEXT,))
    writer.start()

    assert main(["plan", str(path)]) == 0

    writer.join()
