"""Chunks on disk, each named by its content. One that hasn't changed isn't written again.

An open page goes on with the files that it was written with: they stay for a while, and no newer
one has an old name. Two that write the page at once, a call and `batchrun report`, don't meet. The
files are scripts: a page on a disk may read nothing else.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

from batchrun.base.output_store import OutputStore
from batchrun.report.embedded import embedded
from batchrun.report.head import DATA

FOLDER: Final = DATA

KEPT: Final = 600.0
"""Seconds for which a file stays that the page names no more: for one that is open or being opened,
or for another call that is writing the page.
"""

DIGITS: Final = 16
"""Digits of a content's hash in a name."""

_OURS: Final = re.compile(rf"[od]\d+-[0-9a-f]{{{DIGITS}}}")


class Data(Protocol):
    """Where chunks go: files beside the page, or the page itself."""

    def put(self, kind: str, number: int, values: Any) -> str:
        """Keep *values*; return the name by which the page asks for them."""

    def replacing(self, page: Path, /) -> AbstractContextManager[None]:
        """Have *page* written inside; then forget the chunks that it doesn't name any more."""


class DataFiles:
    """The chunks in the folder *below* that of a sweep."""

    def __init__(self, store: OutputStore, below: str = FOLDER) -> None:
        self._store = store
        self._below = below

    def put(self, kind: str, number: int, values: Any) -> str:
        text = embedded(values)
        name = f"{kind}{number}-{sha256(text).hexdigest()[:DIGITS]}"
        path = f"{self._below}/{name}.js"
        script = b'batchrunTake("%s",%s)\n' % (name.encode(), _own(text))
        if self._store.size(path) != len(script):
            self._store.put(path, script)
        else:
            with suppress(OSError):
                os.utime(self._store.path(path))
        return name

    @contextmanager
    def replacing(self, page: Path) -> Iterator[None]:
        before = _named(page)
        yield
        named, now = _named(page), time.time()  # a page of a later moment may have stayed
        with suppress(OSError):
            for path in list(self._store.path(self._below).iterdir()):
                if path.suffix != ".js" or not _OURS.fullmatch(path.stem) or path.stem in named:
                    continue
                if path.stem in before:
                    os.utime(path)
                elif path.stat().st_mtime < now - KEPT:
                    path.unlink(missing_ok=True)


def _named(page: Path) -> set[str]:
    """Return the names of all chunks in a page that may be there."""
    try:
        text = page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(_OURS.findall(text))


def _own(text: bytes) -> bytes:
    """Return JSON as a script that means the same.

    There `"__proto__":` would not be a key of an object. In JSON text that is always a key: a quote
    inside a string has a backslash.
    """
    return text.replace(b'"__proto__":', b'["__proto__"]:')


class DataInside:
    """Chunks that stand in the page itself, for a single file."""

    def __init__(self) -> None:
        self.chunks: dict[str, bytes] = {}

    def put(self, kind: str, number: int, values: Any) -> str:
        name = f"{kind}{number}"
        self.chunks[name] = embedded(values)
        return name

    @contextmanager
    def replacing(self, _page: Path) -> Iterator[None]:
        yield

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(map(len, self.chunks.values()))
