"""Questions that only the whole file of a ledger answers. Each reads all of it, once.

They are rare: memory holds what is asked often. `Ledger.scan` asks them beside the event loop.
"""

import re
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from batchrun.ledger.book import Book
from batchrun.ledger.day_sums import DaySums
from batchrun.ledger.history import GOOD, State
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.records import (
    AnyRecord,
    Dropped,
    Finished,
    Intent,
    Mark,
    Priced,
    Rejected,
    Reused,
    Saved,
    Submitted,
    Throttled,
    decode,
)

T = TypeVar("T")

_IDENTITY: Final = re.compile(rb'"(?:idempotency_key|run_id)":("(?:[^"\\]|\\.)*")')

_COSTS: Final = (b'{"type":"intent"', b'{"type":"finished"', b'{"type":"priced"')
END_OF_COSTS: Final = 64 << 20
"""Bytes of a file in which costs are looked for: some 40,000 cells."""

_ENDS: Final = (b'{"type":"intent"', b'{"type":"finished"')
_OF_DAYS: Final = (
    *_COSTS,
    *(f'{{"type":"{word}"'.encode() for word in ("submitted", "rejected", "dropped", "extra")),
)

_FILES: Final = (b'{"type":"saved"', b'{"type":"reused"')
_SWEEP: Final = b'{"type":"sweep"'
_THROTTLED: Final = b'{"type":"throttled"'
_AT: Final = re.compile(rb'"at":"([^"]*)"')
_MARKS: Final = b'{"type":"marks"'
_SENT: Final = (b'{"type":"intent"', b'{"type":"submitted"')
_ANSWERS: Final = tuple(
    f'{{"type":"{word}"'.encode() for word in ("submitted", "rejected", "dropped")
)


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
    """Say whether a run of one of a wave's intents is in the file, or that it was answered."""
    wanted, waiting = client_ref.encode(), set[str]()
    for line in _whole(path):
        if wanted not in line and not (waiting and line.startswith(_ANSWERS)):
            continue
        match decode(line):
            case Intent(cell=cell, client_ref=ref) if ref == client_ref:
                waiting.add(cell)
            case Dropped(cell=cell, answered=False):
                waiting.discard(cell)
            case Submitted(cell=cell) | Rejected(cell=cell) | Dropped(cell=cell) if cell in waiting:
                return True
            case _:
                pass
    return False


def day_sums(path: Path) -> DaySums:
    """Return what the runs of the file take from each day."""
    sums = DaySums()
    for line in _whole(path):
        if line.startswith(_OF_DAYS):
            sums.take(decode(line))
    return sums


def costs_by_choice(
    path: Path,
    choice_of: Callable[[str, Mapping[str, Any]], str | None],
    *,
    newest: int,
    most_bytes: int | None = None,
) -> Mapping[str, Sequence[Decimal]]:
    """Return what the *newest* runs of each choice have cost that succeeded; the newest last.

    *choice_of* says what the price of a run hangs on, by its model and its input, and None for a
    run that isn't asked about. Of a long file the end is read alone, *most_bytes* of it: a choice
    that isn't found there is tried out again.
    """
    learning = _Costs(choice_of, newest)
    with path.open("rb") as lines:
        end = END_OF_COSTS if most_bytes is None else most_bytes
        lines.seek(max(0, path.stat().st_size - end))
        if lines.tell():
            lines.readline()  # the rest of a line
        for line in lines:
            if line.startswith(_COSTS) and line.endswith(b"\n"):
                learning.take(decode(line))
    return learning.found()


class _Costs:
    """Learns costs, line by line; of a cell it remembers the number of its choice alone."""

    def __init__(
        self, choice_of: Callable[[str, Mapping[str, Any]], str | None], newest: int
    ) -> None:
        self._choice_of = choice_of
        self._newest = newest
        self._cells = KeyIndex()
        self._choices = array("L")  # by cell
        self._numbers: dict[str, int] = {}
        self._costs: list[deque[Decimal]] = []
        self._unpriced: set[str] = set()

    def take(self, record: AnyRecord | None) -> None:
        match record:
            case Intent(cell=cell, model=model, input=dict() as given):
                if (choice := self._choice_of(model, given)) is not None:
                    self._choose(cell, choice)
            case Finished(cell=cell, status_code=State.SUCCEEDED, cost=cost) if cost:
                self._learn(cell, cost)
            case Finished(run_id=run_id, status_code=State.SUCCEEDED):
                self._unpriced.add(run_id)
            case Priced(cell=cell, run_id=run_id, cost=cost) if run_id in self._unpriced:
                self._learn(cell, cost)
            case _:
                pass

    def found(self) -> Mapping[str, Sequence[Decimal]]:
        named = zip(self._numbers, self._costs, strict=True)
        return {choice: costs for choice, costs in named if costs}

    def _choose(self, cell: str, choice: str) -> None:
        if choice not in self._numbers:
            self._numbers[choice] = len(self._costs)
            self._costs.append(deque(maxlen=self._newest))
        number, new = self._cells.add(cell)
        if new:
            self._choices.append(0)
        self._choices[number] = self._numbers[choice]

    def _learn(self, cell: str, cost: Decimal) -> None:
        number = self._cells.number(cell)
        if number is not None:
            self._costs[self._choices[number]].append(cost)


def of_succeeded(path: Path, noted: Callable[[str, Mapping[str, Any]], T | None]) -> Iterator[T]:
    """Yield what is *noted* of a cell's model and input, once for each of its runs that succeeded.

    None is nothing to note. An intent whose input is that of the cell's last one leaves it out.
    """
    notes: dict[str, T] = {}
    for line in _whole(path):
        if not line.startswith(_ENDS):
            continue
        match decode(line):
            case Intent(cell=cell, model=model, input=dict() as given):
                if (note := noted(model, given)) is not None:
                    notes[cell] = note
            case Finished(cell=cell, status_code=status) if status in GOOD and cell in notes:
                yield notes[cell]
            case _:
                pass


class _Named(msgspec.Struct):
    """The fields of an intent that say whose a name is."""

    cell: str
    name: str


_named: Final = msgspec.json.Decoder(_Named)


def names_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the cell and the name of each intent."""
    for line in _whole(path):
        if line.startswith(_SENT[0]):
            intent = _named.decode(line)
            yield intent.cell, intent.name


def paths_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the cell and the path of each file that was saved, or taken over."""
    for line in _whole(path):
        if line.startswith(_FILES):
            record = decode(line)
            assert isinstance(record, Saved | Reused)
            yield from ((record.cell, file.path) for file in record.files)


def known_ids(path: Path, wanted: AbstractSet[str]) -> set[str]:
    """Return which of *wanted* the file has as a run's id or an intent's Idempotency-Key."""
    spelled = {msgspec.json.encode(name): name for name in wanted}
    # The first match in a line is the record's own field; later ones are inside the request.
    names = (found[1] for line in _lines(path) if (found := _IDENTITY.search(line)))
    return {spelled[name] for name in names if name in spelled}


def redone_in(path: Path) -> dict[str, dict[str, int]]:
    """Return the replicates that marks of the file made, as a book has them; none without a file.

    Only marks are read: it is quick also where the ledger is long.
    """
    return _marked(path).redone


def marks_in(path: Path) -> dict[str, Mark]:
    """Return the marks of the file, by the keys of what they make; likewise."""
    return _marked(path).marks


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """When the first and the last line were written, and how many *calls* wrote something.

    *throttled* are the lines of the requests that met a 429.
    """

    first_at: str | None = None
    last_at: str | None = None
    calls: int = 0
    throttled: tuple[Throttled, ...] = ()


def span_of(path: Path) -> Span:
    """Return what time the lines of the file span."""
    first, last, before, calls, throttled = b"", b"", b"", 0, list[Throttled]()
    for line in _whole(path):
        first, last = first or line, line
        if line.startswith(_THROTTLED):
            throttled += _throttled_of(line)
            continue  # it may stand anywhere
        # A call that begins a sweep writes who it is before its first look, and after it.
        calls += line.startswith(_SWEEP) and not before.startswith(_SWEEP)
        before = line
    return Span(first_at=_at(first), last_at=_at(last), calls=calls, throttled=tuple(throttled))


def _throttled_of(line: bytes) -> Iterator[Throttled]:
    """Yield the record of *line*; a damaged one is passed over: a page is made of what there is."""
    with suppress(ValueError):
        record = decode(line)
        if isinstance(record, Throttled):
            yield record


def _at(line: bytes) -> str | None:
    found = _AT.search(line)
    return None if found is None else found[1].decode("ascii", "replace")


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
