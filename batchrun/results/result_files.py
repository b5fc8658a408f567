"""The derived files of an output folder: written beside, renamed over.

A reader sees the old file or the new one, never half of either; a crash leaves a `.part` at most.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from batchrun.base.json_text import made_once
from batchrun.base.output_store import OutputStore
from batchrun.ledger.history import NOWHERE, History
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable, lost_files
from batchrun.ledger.records import Finished, Rejected, Reused, Saved
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.results.rows import ENDED, PointRow, columns, row

MANIFEST: Final = "manifest.yaml"
RESULTS_JSONL: Final = "results.jsonl"
RESULTS_CSV: Final = "results.csv"
REPORT: Final = "report.html"

as_json: Final = made_once(json.JSONEncoder(ensure_ascii=False))


def keep_manifest(folder: Path, text: bytes) -> None:
    """Keep the manifest as it was at the last start."""
    OutputStore(folder).put(MANIFEST, text)


def write_results(
    store: OutputStore,
    manifest: Manifest,
    ledger: Readable,
    *,
    attempts: int | None = None,
    cells: Iterable[Cell] | None = None,
    shown: Callable[[PointRow], None] | None = None,
    as_of: int | None = None,
) -> None:
    """Write `results.jsonl` and `results.csv`: a row for each point, in the grid's order.

    Row by row, so that memory doesn't grow with them; the CSV is made from the JSONL, because only
    after the last row all columns are known. *attempts* overrides the manifest's; *cells* is a
    walk of its grid that the caller has begun. Each row is *shown* to the page, too, where
    there is one. *as_of* is a moment before *ledger* was read: files of a later one stay.
    """
    limit = manifest.settings().attempts if attempts is None else attempts
    rows = point_rows(ledger, expand(manifest) if cells is None else cells, attempts=limit)
    with store.replacing(RESULTS_JSONL, as_of=as_of) as lines:
        names = _write_jsonl(lines, _shown(rows, shown))
        lines.seek(0)  # by its name it may be another writer's already, with other columns
        with store.replacing(RESULTS_CSV, as_of=as_of) as file:
            _write_csv(file, columns(names), lines)


def point_rows(ledger: Readable, cells: Iterable[Cell], *, attempts: int) -> Iterator[PointRow]:
    """Yield the row of each of *cells*, as *ledger* has it."""
    seen = KeyIndex()
    for cell in cells:
        yield _row(cell, ledger, attempts, shared=not seen.add(cell.key)[1])


def row_of(cell: Cell, ledger: Readable, attempts: int) -> dict[str, Any]:
    """Return the row of a cell, as the ledger has it now."""
    return _row(cell, ledger, attempts, shared=False).values


def _shown(
    rows: Iterable[PointRow], shown: Callable[[PointRow], None] | None
) -> Iterator[dict[str, Any]]:
    for each in rows:
        if shown is not None:
            shown(each)
        yield each.values


def _row(cell: Cell, ledger: Readable, attempts: int, *, shared: bool) -> PointRow:
    history = ledger.book.history(cell.key)
    saved, ended = _saved(ledger, cell.key, history), _ended(ledger, history)
    values = row(
        cell,
        history,
        ended,
        saved,
        attempts=attempts,
        lost=next(lost_files(ledger, cell.key), None),
        other_costs=ledger.book.other_costs.get(cell.key),
        shared=shared,
    )
    started_at = ended.started_at if isinstance(ended, Finished) else None
    return PointRow(cell=cell, values=values, saved=saved, started_at=started_at)


def _ended(ledger: Readable, history: History) -> Finished | Rejected | None:
    if history.state not in ENDED or history.ended_line == NOWHERE:
        return None
    record = ledger.read(history.ended_line)
    assert isinstance(record, Finished | Rejected)
    return record


def _saved(ledger: Readable, cell: str, history: History) -> Saved | Reused | None:
    line = history.saved_line if history.saved else ledger.book.files.partly.get(cell, NOWHERE)
    if line == NOWHERE:
        return None
    record = ledger.read(line)
    assert isinstance(record, Saved | Reused)
    return record


def _write_jsonl(file: IO[bytes], rows: Iterable[dict[str, Any]]) -> list[str]:
    """Write *rows*; return the names of all columns in the order in which they came."""
    names: dict[str, None] = {}
    shape: tuple[str, ...] = ()
    for each in rows:
        if tuple(each) != shape:  # rarely another than the last row's
            shape = tuple(each)
            names.update(dict.fromkeys(shape))
        file.write(json_line(each))
    return list(names)


def json_line(values: dict[str, Any]) -> bytes:
    """Return the line of a JSONL file that says *values*."""
    text = as_json(values)
    # Half a surrogate pair has no UTF-8; as a backslash escape it is what JSON says anyway.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _write_csv(file: IO[bytes], names: list[str], lines: Iterable[bytes]) -> None:
    # RFC 4180's line ends: with "\n" alone the csv module leaves a lone "\r" in a text unquoted.
    writer = csv.writer(Utf8(file), lineterminator="\r\n")
    writer.writerow(map(field, names))
    for line in lines:
        values = json.loads(line)
        writer.writerow([field(values.get(name)) for name in names])


class Utf8:
    """Lets the csv module write into a binary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))


FORMULA: Final = (*"=+-@", *"\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""A text that begins with one is run by a spreadsheet; the last four are full-width forms."""


_MARKED: Final = (*FORMULA, "'")


def field(value: Any) -> str:
    """Spell one value: text safe to open, anything else as JSON, nothing for null.

    Text that a spreadsheet would run gets an apostrophe in front, which it takes as "this is text"
    and does not show. So does text that already has one there: else both would look alike.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_MARKED) else value
    return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False)
