"""Whether what a manifest was read from is as it was, without reading it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from msgspec import Struct

from batchrun.base.file_state import file_state, is_still, lasting
from batchrun.base.local_file import FileState
from batchrun.base.regular_file import open_regular
from batchrun.manifest.data.local_files import listing
from batchrun.manifest.sources import Sources

_REST: Final = 20
"""Times as long as a look at a young file took, no other follows: nothing else goes on meanwhile.

A file from a machine whose clock is ahead stays young for hours, and each cell asks.
"""


class Seal(Struct, frozen=True):
    """The sources of a manifest, as they can be compared later. Texts are kept as digests only."""

    files: Mapping[str, FileState]
    listings: Mapping[str, str]
    variables: Mapping[str, str]


class Watch:
    """Looks whether the files that are read again while cells are made are as they were read."""

    def __init__(self, sources: Sources) -> None:
        self._written = dict(sources.read_again)
        self._digests = {path: sources.digests.get(path) for path in self._written}
        self._states = {path: sources.files.get(path) for path in self._written}
        self._due: dict[str, float] = {}

    def changed(self) -> str | None:
        """Return the first file whose content is another, as messages show it; None for none.

        A file that was written anew with the same content, as a copy or a checkout does, is as it
        was.
        """
        for path, known in self._states.items():
            if known is not None and is_still(path, known) and not self._is_due(path, known):
                continue
            began = monotonic()
            state = file_state(path)
            content = state and (state.sha256 or _content(Path(path)))
            if state is None or content != self._digests[path]:
                return self._written[path]
            self._states[path] = state
            now = monotonic()
            self._due[path] = now + _REST * (now - began)
        return None

    def _is_due(self, path: str, known: FileState) -> bool:
        """Say whether a file whose times prove nothing is to be read once more."""
        return known.sha256 is not None and monotonic() >= self._due.get(path, 0.0)


def seal(sources: Sources, *, secret: str) -> Seal | None:
    """Return the seal of *sources*; None where one of them has changed since it was read.

    *secret* goes into the digests of variables, so that a short one can't be guessed from its own.
    """
    files = {}
    for path, known in sources.files.items():
        state = None if known is None else lasting(path, known)
        if state is None:
            return None
        files[path] = state
    variables = {**sources.variables, "HOME": os.environ.get("HOME")}
    return Seal(
        files=files,
        listings={pattern: _digest(found) for pattern, found in sources.listings.items()},
        variables={name: _of_variable(text, secret) for name, text in variables.items()},
    )


def holds(known: Seal, base: Path, environ: Mapping[str, str], *, secret: str) -> bool:
    """Say whether every file, listing and variable is as the seal of a manifest in *base* says."""
    return (
        all(
            _of_variable(environ.get(name), secret) == digest
            for name, digest in known.variables.items()
        )
        and all(
            _digest(listing(base, pattern)) == digest for pattern, digest in known.listings.items()
        )
        and all(is_still(path, state) for path, state in known.files.items())
    )


def digests(sources: Sources, base: Path) -> dict[str, str | None]:
    """Return the sha256 of each file of *sources*, by its path relative to *base* where it can be.

    None for a file that can't be read, a folder among them.
    """
    found = {}
    for name in sorted(sources.files):
        path = Path(name)
        spelled = path.relative_to(base).as_posix() if path.is_relative_to(base) else name
        found[spelled] = sources.digests.get(name) or _content(path)
    return found


def _content(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _of_variable(text: str | None, secret: str) -> str:
    """Return the digest of a variable; one that is not set differs from an empty one."""
    return _digest([secret] if text is None else [secret, text])


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()
