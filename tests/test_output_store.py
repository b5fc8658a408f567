"""The store of finished files: names, what is whole, and what fails."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from batchrun.base.output_store import OutputStore
from batchrun.errors import FolderError


def test_a_part_has_its_name_once_it_is_published(tmp_path: Path) -> None:
    store = OutputStore(tmp_path)

    with store.writing("files/a chair") as part:
        part.file.write(b"picture")
        assert not store.exists("files/a chair.png")
        name = part.publish(".png")

    assert name == "files/a chair.png"
    assert store.path(name).read_bytes() == b"picture"
    assert store.size(name) == 7
    assert [each.name for each in (tmp_path / "files").iterdir()] == ["a chair.png"]


def test_a_name_has_the_same_bytes_on_disk_in_each_locale(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from batchrun.base.output_store import OutputStore\n"
        "from batchrun.ledger.missing_files import is_there\n"
        "name, folder = 'gr\\xf6\\xdfe/wei\\xdf', Path(sys.argv[1])\n"
        "with OutputStore(folder).writing(name) as part:\n"
        "    part.file.write(b'picture')\n"
        "    assert part.publish('.png') == name + '.png'\n"
        "assert is_there(folder, name + '.png')\n"
    )
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}

    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, **plain}, check=True
    )

    assert (tmp_path / "größe" / "weiß.png").read_bytes() == b"picture"  # here it is UTF-8


def test_a_part_that_was_not_published_leaves_nothing(tmp_path: Path) -> None:
    store = OutputStore(tmp_path)

    with suppress(KeyError), store.writing("files/x") as part:
        part.file.write(b"half")
        raise KeyError

    assert list((tmp_path / "files").iterdir()) == []
    assert store.size("files/x") is None


def test_what_is_put_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    store = OutputStore(tmp_path)
    store.put("files/x/y.json", b"old")

    store.put("files/x/y.json", b"new")

    assert store.path("files/x/y.json").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x.json", "below/x.json"])
def test_a_file_in_a_folders_place_is_said_with_its_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "files").write_text("a file")

    with pytest.raises(FolderError, match=f"files/{name}"):
        OutputStore(tmp_path).put(f"files/{name}", b"data")


def test_a_disk_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OutputStore(tmp_path)
    store.put("x", b"old")

    def failing(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(FolderError, match="No space left"):
        store.put("x", b"new")
    with pytest.raises(FolderError, match="No space left"), store.writing("y") as part:
        part.publish(".png")

    assert store.path("x").read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
