"""Chunks on disk, each named by its content. One that hasn't changed isn't written again.

An open page goes on with the files that it was written with until they are removed, and never
meets a newer one under an old name. They are scripts: a page on a disk may read nothing else.
"""

import re
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, Protocol

from batchrun.base.output_store import OutputStore
from batchrun.report.embedded import embedded

FOLDER: Final = "report/data"

DIGITS: Final = 16
"""Digits of a content's hash in a name."""

_OURS: Final = re.compile(rf"[od]\d+-[0-9a-f]{{{DIGITS}}}\.js")


class Data(Protocol):
    """Where chunks go: files beside the page, or the page itself."""

    def put(self, kind: str, number: int, values: Any) -> str:
        """Keep *values*; return the name by which the page asks for them."""

    def close(self, named: Collection[str]) -> None:
        """Forget all but the *named* chunks."""


class DataFiles:
    """The chunks of a sweep's folder."""

    def __init__(self, store: OutputStore) -> None:
        self._store = store

    def put(self, kind: str, number: int, values: Any) -> str:
        text = embedded(values)
        name = f"{kind}{number}-{sha256(text).hexdigest()[:DIGITS]}"
        path = f"{FOLDER}/{name}.js"
        script = b'batchrunTake("%s",%s)\n' % (name.encode(), text)
        if self._store.size(path) != len(script):
            self._store.put(path, script)
        return name

    def close(self, named: Collection[str]) -> None:
        folder = self._store.path(FOLDER)
        kept = {f"{name}.js" for name in named}
        with suppress(OSError):
            for path in list(folder.iterdir()):
                if _OURS.fullmatch(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)


class DataInside:
    """Chunks that stand in the page itself, for a single file."""

    def __init__(self) -> None:
        self.chunks: dict[str, bytes] = {}

    def put(self, kind: str, number: int, values: Any) -> str:
        name = f"{kind}{number}"
        self.chunks[name] = embedded(values)
        return name

    def close(self, named: Collection[str]) -> None:
        pass

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(map(len, self.chunks.values()))
