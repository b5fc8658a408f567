"""metadata.jsonl beside the files, as image datasets have it: a line for each file.

Hugging Face's `imagefolder` reads the files of a folder along with this, and makes a column of each
name. It wants one type in each column, and every name in each line.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from batchrun.base.output_store import OutputStore
from batchrun.errors import UsageError
from batchrun.exports.survey import Kind, Survey
from batchrun.ledger.history import State
from batchrun.results.result_files import as_json, json_line
from batchrun.results.rows import beside_ours

FOLDER: Final = "files/"
METADATA: Final = f"{FOLDER}metadata.jsonl"

_ABOUT: Final = ("model", "alias", "replicate", "cell", "run_id")
"""What a line says of its file behind the axes."""

_TAKEN: Final = frozenset({"file_name", "image", "video", "audio", "label"})
"""Columns that the reader of datasets makes itself: an axis with such a name gets a prefix."""


def write_metadata(store: OutputStore, rows: Iterable[Mapping[str, Any]], known: Survey) -> int:
    """Write a line for each file of a cell that succeeded; return how many there are.

    Raises UsageError where a cell has a file of that name: it is never written over.
    """
    number = 0
    store.make_folder(METADATA)
    with store.replacing(METADATA) as file:
        for line in lines(rows, known):
            file.write(json_line(line))
            number += 1
    return number


def lines(rows: Iterable[Mapping[str, Any]], known: Survey) -> Iterator[dict[str, Any]]:
    """Yield what is known of each file, once: points that share a cell share its files."""
    for row in rows:
        if METADATA in map(str.casefold, row["files"]):
            raise UsageError(
                f"`{METADATA}` is a file of the cell {row['cell']}; it is left as it is"
            )
        if row["status"] != State.SUCCEEDED or row["shared"]:
            continue
        about = {_name(name): _value(row.get(name), known.kinds[name]) for name in known.axes}
        about |= {name: row[name] for name in _ABOUT}
        for path in row["files"]:
            yield {"file_name": path.removeprefix(FOLDER), **about}


def _name(axis: str) -> str:
    return beside_ours(axis, _TAKEN)


def _value(value: Any, kind: Kind) -> Any:
    """Return *value* as it is where its column has one type, else as JSON."""
    if value is None:
        return None
    match kind:
        case Kind.JSON:
            return as_json(value)
        case Kind.NUMBER:
            return float(value)
        case _:
            return value
