"""The rows of a results.jsonl, as often as they are asked for, and never all at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from batchrun.errors import FolderError, UsageError
from batchrun.results.rows import COLUMNS

_COLUMNS: Final = frozenset(COLUMNS)


class KeptRows:
    """The rows of the open *file* at *path*: each walk begins at the first. One walk at a time."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each row; FolderError for a line that is none."""
        self._file.seek(0)
        for number, line in enumerate(self._file, start=1):
            row = _row(line)
            if row is None:
                raise FolderError(
                    f"{self._path}:{number}: this is no row of results of this version; "
                    "`batchrun report MANIFEST` writes them anew"
                )
            yield row


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and row.keys() >= _COLUMNS else None


@contextmanager
def open_rows(path: Path) -> Iterator[KeptRows]:
    """Open the results at *path*. They stay the same, also where a call replaces them meanwhile.

    Raises UsageError where there are none, and FolderError where they can't be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        known = "and no manifest to write them by"
        raise UsageError(f"there are no results in {path.parent}, {known}") from None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield KeptRows(file, path)
