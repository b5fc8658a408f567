"""Questions that only the whole file of a ledger answers. Each reads all of it, once.

They are rare: memory holds what is asked often. `Ledger.scan` asks them beside the event loop.
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import msgspec

from batchrun.ledger.book import Book
from batchrun.ledger.records import Dropped, Intent, Mark, Rejected, Submitted, decode

_IDENTITY: Final = re.compile(rb'"(?:idempotency_key|run_id)":("(?:[^"\\]|\\.)*")')

_MARKS: Final = b'{"type":"marks"'
_SENT: Final = (b'{"type":"intent"', b'{"type":"submitted"')
_ANSWERS: Final = tuple(
    f'{{"type":"{word}"'.encode() for word in ("submitted", "rejected", "dropped")
)


def has_text(path: Path, texts: Iterable[str]) -> bool:
    """Say whether one of *texts* stands in the file."""
    wanted = [text.encode() for text in texts]
    return any(text in line for line in _lines(path) for text in wanted)


def keys_of(path: Path, client_ref: str) -> set[str]:
    """Return the Idempotency-Keys of a wave's intents."""
    return {intent.idempotency_key for intent in intents_of(path, client_ref)}


def intents_of(path: Path, client_ref: str) -> list[Intent]:
    """Return a wave's intents."""
    wanted = client_ref.encode()
    records = (decode(line) for line in _whole(path) if wanted in line)
    return [each for each in records if isinstance(each, Intent) and each.client_ref == client_ref]


def runs_in(path: Path, refs: AbstractSet[str]) -> dict[str, list[str]]:
    """Return the ids of the runs that the file knows of waves, by their references."""
    wave_of: dict[str, str] = {}
    found: dict[str, list[str]] = {ref: [] for ref in refs}
    for line in _whole(path):
        if not line.startswith(_SENT):
            continue
        match decode(line):
            case Intent(cell=cell, client_ref=ref):
                wave_of[cell] = ref
            case Submitted(cell=cell, run_id=run_id) if wave_of.get(cell) in refs:
                found[wave_of[cell]].append(run_id)
            case _:
                pass
    return found


def was_answered(path: Path, client_ref: str) -> bool:
    """Say whether a run or a refusal of one of a wave's intents is in the file."""
    wanted, waiting = client_ref.encode(), set[str]()
    for line in _whole(path):
        if wanted not in line and not (waiting and line.startswith(_ANSWERS)):
            continue
        match decode(line):
            case Intent(cell=cell, client_ref=ref) if ref == client_ref:
                waiting.add(cell)
            case Dropped(cell=cell):
                waiting.discard(cell)
            case Submitted(cell=cell) | Rejected(cell=cell) if cell in waiting:
                return True
            case _:
                pass
    return False


def known_ids(path: Path, wanted: AbstractSet[str]) -> set[str]:
    """Return which of *wanted* the file has as a run's id or an intent's Idempotency-Key."""
    spelled = {msgspec.json.encode(name): name for name in wanted}
    # The first match in a line is the record's own field; later ones are inside the request.
    names = (found[1] for line in _lines(path) if (found := _IDENTITY.search(line)))
    return {spelled[name] for name in names if name in spelled}


def redone_in(path: Path) -> dict[str, list[int]]:
    """Return the replicates that marks of the file made, as a book has them; none without a file.

    Only marks are read: it is quick also where the ledger is long.
    """
    return _marked(path).redone


def marks_in(path: Path) -> dict[str, Mark]:
    """Return the marks of the file, by the keys of what they make; likewise."""
    return _marked(path).marks


def _marked(path: Path) -> Book:
    book = Book()
    try:
        for line in _whole(path):
            if line.startswith(_MARKS) and (record := decode(line)) is not None:
                book.add(record, 0)
    except (OSError, ValueError):  # a call reads the file anew, and says what is wrong with it
        pass
    return book


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as lines:
        yield from lines


def _whole(path: Path) -> Iterator[bytes]:
    """Yield the lines that have an end: the last may be in the making, and memory has it, too."""
    return (line for line in _lines(path) if line.endswith(b"\n"))
