"""A file is known by size, time and inode; while it is young, by its content."""

import os
from pathlib import Path

from batchrun.base.file_state import file_state, is_still, lasting

OLD = 1_700_000_000


def aged(path: Path, data: bytes = b"data") -> str:
    path.write_bytes(data)
    os.utime(path, (OLD, OLD))
    return str(path)


def test_an_old_file_is_known_by_its_time(tmp_path: Path) -> None:
    path = aged(tmp_path / "file")
    known = file_state(path)

    assert known is not None
    assert known.sha256 is None
    assert lasting(path, known) == known
    assert is_still(path, known)
    os.utime(path, (OLD + 1, OLD + 1))
    assert not is_still(path, known)
    assert lasting(path, known) is None


def test_another_file_in_its_place_is_another_file(tmp_path: Path) -> None:
    path = aged(tmp_path / "file")
    known = file_state(path)
    aged(tmp_path / "other")
    (tmp_path / "other").replace(path)

    assert known is not None
    assert not is_still(path, known)


def test_a_young_file_lasts_once_it_is_old_and_its_content_is_what_was_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    known = file_state(str(path))

    assert known is not None
    assert known.sha256 is not None
    assert lasting(str(path), known) is None, "it is still young"
    aged(path)
    found = lasting(str(path), known)
    assert found is not None
    assert is_still(str(path), found)
    aged(path, b"atad")
    assert lasting(str(path), known) is None, "of the same size, with other content"


def test_what_is_not_there_has_no_state(tmp_path: Path) -> None:
    path = aged(tmp_path / "file")
    known = file_state(path)
    (tmp_path / "file").unlink()

    assert known is not None
    assert file_state(path) is None
    assert not is_still(path, known)
    assert lasting(path, known) is None


def test_a_file_of_ours_is_believed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    known = file_state(str(path), ours=True)

    assert known is not None
    assert known.sha256 is None
    assert is_still(str(path), known)
