"""The life of a cell in words, and as JSON.

It fits one screen: a value that is long is cut here, and whole in the JSON.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from batchrun.base.text import money, usd
from batchrun.ledger.history import BAD
from batchrun.ledger.life import SHOWN, Life
from batchrun.ledger.records import (
    Absent,
    AnyRecord,
    Dropped,
    Extra,
    Finished,
    Intent,
    Lost,
    Parked,
    Priced,
    Rejected,
    Reused,
    Saved,
    Submitted,
    reason,
)
from batchrun.results.origins import CellOrigin
from batchrun.results.waits import in_words, waits_of

LONGEST: Final = 300
"""Characters of a value that are shown."""


def lines(life: Life, origin: CellOrigin) -> Iterator[str]:
    """Yield the cell, its inputs and their sources, its lines, and its waits."""
    history = life.history
    if life.mark is not None:
        number, of = life.mark.replicate, life.mark.cell[:SHOWN]
        yield f"{life.key}  to be made as replicate {number} of cell {of}: {history.state}"
    else:
        yield f"{life.key}  {history.model} ({history.alias}): {history.state}"
    for name, value in life.input.items():
        source = origin.sources.get(name)
        yield f"  {name}: {_value(value)}{'' if source is None else f'  ({source})'}"
    if origin.replicate is not None and origin.replicate > 1:
        yield f"  replicate {origin.replicate}"
    if origin.said:
        yield f"  {origin.said}; this is what was sent" if life.input else f"  {origin.said}"
    yield ""
    for record in life.records:
        yield f"{record.at[:19].replace('T', ' ')}  {described(record)}"
    if waits := list(waits_of(life.records)):
        yield ""
        yield from in_words(waits)


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def described(record: AnyRecord) -> str:
    """Return a line of the ledger in words."""
    match record:
        case Intent():
            return _sent(record)
        case Submitted():
            return f"run {record.run_id}{' found again' if record.adopted else ''}"
        case Finished() | Rejected():
            return _ended(record)
        case Extra() | Priced():
            late = isinstance(record, Priced)
            what = "the cost became known of" if late else "a second run came to light:"
            return f"{what} run {record.run_id}{_cost(record)}"
        case Saved() | Reused() | Absent() | Lost():
            return _of_files(record)
        case Dropped() | Parked():
            what = "parked" if isinstance(record, Parked) else "dropped, no run exists"
            return f"{what}: {record.reason}"
        case _:
            raise AssertionError(record)


def _of_files(record: Saved | Reused | Absent | Lost) -> str:
    if isinstance(record, Saved | Reused):
        files = ", ".join(file.path for file in record.there) or "no file"
        if isinstance(record, Reused):
            there = f"sweep {record.sweep}, run {record.run_id}{_cost(record)} there"
            return f"taken over from {there}: {files}"
        return f"saved: {files}{f', {len(record.owed)} owed' if record.owed else ''}"
    what = "is gone for good" if isinstance(record, Lost) else "was not at its host"
    return f"{record.file} {what}: {record.message}"


def _sent(record: Intent) -> str:
    reserved = "" if record.reserved is None else f", {usd(record.reserved)} USD reserved"
    batch = "" if record.batch is None else f", item {record.index} of a batch"
    return f"attempt {record.attempt}: to be sent under {record.client_ref}{batch}{reserved}"


def _ended(record: Finished | Rejected) -> str:
    code, message = reason(record)
    why = f": {code}{f': {message}' if message else ''}"
    if isinstance(record, Rejected):
        return f"rejected, no run exists{why}"
    took = "" if record.duration_ms is None else f", {record.duration_ms / 1000:.1f} s"
    failed = record.failure_code is not None or record.status_code in BAD
    return f"{record.status_code}{_cost(record)}{took}{why if failed else ''}"


def _cost(record: Finished | Extra | Priced | Reused) -> str:
    return "" if record.cost is None else f", {usd(record.cost)} USD"


def runs_of(records: Sequence[AnyRecord]) -> list[dict[str, Any]]:
    """Return the cell's runs in the order in which they came to light; a cost is text, in USD."""
    runs: dict[str, dict[str, Any]] = {}
    for record in records:
        if isinstance(record, Submitted | Finished | Extra | Priced | Reused):
            new = {"run_id": record.run_id, "attempt": getattr(record, "attempt", None)}
            run = runs.setdefault(record.run_id, new | {"status": None, "cost": None})
            if isinstance(record, Finished):
                run["status"] = record.status_code
            cost = getattr(record, "cost", None)
            run["cost"] = run["cost"] if cost is None else money(cost)
    return list(runs.values())


def as_dict(life: Life, origin: CellOrigin, gone: Sequence[str]) -> dict[str, Any]:
    """Return the cell for JSON; `lines` are the ledger's. *gone* are files no longer on disk."""
    history = life.history
    saved = [each for each in life.records if isinstance(each, Saved | Reused)]
    files = saved[-1].there if saved else ()
    return {
        "cell": life.key,
        "model": history.model,
        "alias": history.alias,
        "status": str(history.state),
        "attempts": history.attempt,
        "run_id": history.run_id,
        "replicate": origin.replicate,
        "input": life.input,
        "named": origin.named,
        "origin": origin.said or None,
        "sources": {name: msgspec.to_builtins(each) for name, each in origin.sources.items()},
        "runs": runs_of(life.records),
        "waits": [msgspec.to_builtins(each) for each in waits_of(life.records)],
        "files": [
            {"path": each.path, "bytes": each.bytes, "there": each.path not in gone}
            for each in files
        ],
        "lines": msgspec.to_builtins(list(life.records)),
    }
