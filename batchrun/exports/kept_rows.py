"""The rows of a results.jsonl, as often as they are asked for, and never all at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import msgspec
from msgspec import Meta, Struct

from batchrun.base.regular_file import open_regular
from batchrun.errors import FolderError, UsageError
from batchrun.results.rows import COLUMNS

_COLUMNS: Final = frozenset(COLUMNS)

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Money = Annotated[str, Meta(pattern=r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$")]


class _Ours(Struct, frozen=True, kw_only=True):
    """What the formats take for granted of the columns of ours, in a file that anyone may edit."""

    model: str | None
    alias: str | None
    replicate: Number | None
    cell: str | None
    status: str | None
    attempts: Number | None
    run_id: str | None
    cost: Money | None
    shared: bool | None
    duration_ms: Number | None
    created_at: str | None
    completed_at: str | None
    files: tuple[str, ...]
    failure_code: str | None
    failure_message: str | None


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
        msgspec.convert(row, _Ours)
    except (ValueError, RecursionError):  # a ValidationError is one
        return None
    return row if row.keys() >= _COLUMNS else None


@contextmanager
def open_rows(path: Path) -> Iterator[KeptRows]:
    """Open the results at *path*. They stay the same, also where a call replaces them meanwhile.

    Raises UsageError where there are none, and FolderError where they can't be read.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        known = "and no manifest to write them by"
        raise UsageError(f"there are no results in {path.parent}, {known}") from None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield KeptRows(file, path)
