"""The git commit that a folder is at, read from the files of its repository.

git itself isn't asked: it need not be installed, and may refuse another user's folder. What can't
be read is no commit, and never an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

DIGITS: Final = frozenset("0123456789abcdef")
LENGTHS: Final = frozenset({40, 64})
"""How long the name of a commit is, by SHA-1 and by SHA-256."""

LARGEST: Final = 65_536
"""Bytes of a file that is read: a repository that was put there may hold anything."""

DEEPEST: Final = 5
"""References that may name each other."""


def commit_of(folder: Path) -> str | None:
    """Return the commit that is checked out in *folder* or above it; None where there is none."""
    try:
        for above in (folder, *folder.parents):
            if (above / ".git").exists():
                return _head(above / ".git")
    except (OSError, ValueError):
        pass
    return None


def _head(git: Path) -> str | None:
    if git.is_file():  # of a worktree or a submodule: it says where the folder is
        said = _text(git).strip()
        git = git.parent / said.removeprefix("gitdir:").strip()
    text = _text(git / "HEAD").strip()
    for _ in range(DEEPEST):
        if not text.startswith("ref:"):
            break
        text = _reference(git, text.removeprefix("ref:").strip())
    return text if len(text) in LENGTHS and DIGITS.issuperset(text) else None


def _reference(git: Path, name: str) -> str:
    """Return what a reference stands for, "" where that isn't known."""
    if not name.startswith("refs/") or ".." in name.split("/"):
        return ""  # `ref: ../key.hex` would name any file
    for place in _places(git):
        if (place / name).is_file():
            return _text(place / name).strip()
    for place in _places(git):
        if (place / "packed-refs").is_file():
            for line in _text(place / "packed-refs").splitlines():
                commit, _, packed = line.partition(" ")
                if packed == name:
                    return commit
    return ""


def _places(git: Path) -> Iterator[Path]:
    """Yield the folder of a worktree, and the one that all worktrees share."""
    yield git
    common = git / "commondir"
    if common.is_file():
        yield git / _text(common).strip()


def _text(path: Path) -> str:
    """Return the text of a regular file; ValueError for any other, and for a large one.

    A FIFO would be waited for without end, and the ledger is held meanwhile.
    """
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is no file of a repository")
    return path.read_text(encoding="utf-8")
