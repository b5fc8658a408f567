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
        said = git.read_text(encoding="utf-8").strip()
        git = git.parent / said.removeprefix("gitdir:").strip()
    text = (git / "HEAD").read_text(encoding="utf-8").strip()
    for _ in range(DEEPEST):
        if not text.startswith("ref:"):
            break
        text = _reference(git, text.removeprefix("ref:").strip())
    return text if len(text) in LENGTHS and DIGITS.issuperset(text) else None


def _reference(git: Path, name: str) -> str:
    """Return what a reference stands for, "" where that isn't known."""
    for place in _places(git):
        if (place / name).is_file():
            return (place / name).read_text(encoding="utf-8").strip()
    for place in _places(git):
        if (place / "packed-refs").is_file():
            for line in (place / "packed-refs").read_text(encoding="utf-8").splitlines():
                commit, _, packed = line.partition(" ")
                if packed == name:
                    return commit
    return ""


def _places(git: Path) -> Iterator[Path]:
    """Yield the folder of a worktree, and the one that all worktrees share."""
    yield git
    common = git / "commondir"
    if common.is_file():
        yield git / common.read_text(encoding="utf-8").strip()
