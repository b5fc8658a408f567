"""All cells' histories, a million of them in a hundred bytes each. Pure.

A cell that is open, or was so a moment ago, is an object. Most are done with, and are asked for
once in each call: they are packed into rows of one long array, and made into objects on demand.
Model, alias and wave stand in no row: many cells share them.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import CHANGES, NOWHERE, OPEN, History, State
from batchrun.ledger.key_index import SIZE, KeyIndex, hex_digest, other_digest
from batchrun.ledger.records import CellLine

RECENT: Final = 256
"""Histories, beside the open ones, that are kept as objects: their next line comes soon."""

_ROW: Final = struct.Struct("<16sIIIqqqqqBBB")
_STATE: Final = struct.Struct("<52xq8xB")
_SAVED: Final = struct.Struct("<q")
_SAVED_AT: Final = 52
"""The columns that are asked for most: whether a row is saved, and its state."""

_SIZE: Final = _ROW.size
_NONE: Final = bytes(SIZE)
_FREE: Final = bytes(_SIZE)
_UUID_LENGTH: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_STATES: Final = tuple(State)
_NUMBERS: Final = {state: number for number, state in enumerate(_STATES)}
_CLASSES: Final = tuple(FailureClass)
_CLASS_NUMBERS: Final = {each: number for number, each in enumerate(_CLASSES)}


class Histories(Mapping[str, History]):
    """The history of each cell that has one. A history that it gives is to be read, not changed."""

    def __init__(self) -> None:
        self._rows = Rows()  # of all cells; the rows of recent cells are out of date
        self._recent: dict[str, History] = {}
        self._recent_rows: dict[str, int] = {}
        self._room = RECENT

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __getitem__(self, cell: str) -> History:
        history = self.find(cell)
        if history is None:
            raise KeyError(cell)
        return history

    def find(self, cell: str) -> History | None:
        """Return the history of a cell, None if it has no line."""
        return self._recent.get(cell) or self._rows.get(cell)

    def number(self, cell: str) -> int | None:
        """Return the number of a cell among the cells with a line, from 0; None if it has none."""
        return self._rows.number(cell)

    def state(self, cell: str, number: int) -> tuple[State, bool]:
        """Return where the cell of that number stands, and whether its outputs are saved."""
        history = self._recent.get(cell)
        return self._rows.state(number) if history is None else (history.state, history.saved)

    def miss(self, cell: str) -> None:
        """Take a cell that has a history for unsaved."""
        if (history := self._recent.get(cell)) is not None:
            history.saved_line = NOWHERE
        self._rows.miss(cell)

    def open(self) -> dict[str, History]:
        """Return the cells whose newest attempt may be running."""
        return {cell: each for cell, each in self._recent.items() if each.state in OPEN}

    def fold(self, record: CellLine, line: int) -> History:
        """Fold a line into its cell's history; ValueError, and nothing changed, if it can't follow.

        What is returned is that history, as it is until the next call.
        """
        history = self._recent.get(record.cell)
        if history is None:
            return self._fold_first(record, line)
        CHANGES[type(record)](history, record, line)
        return history

    def _fold_first(self, record: CellLine, line: int) -> History:
        """Fold a line of a cell that is not among the recent ones."""
        cell = record.cell
        row, new = self._rows.reserve(cell)
        history = History() if new else self._rows.unpack(row)
        try:
            CHANGES[type(record)](history, record, line)
        except ValueError:
            if new:
                self._rows.give_up(row)
            raise
        if len(self._recent) >= self._room:
            self._pack()
        self._recent[cell] = history
        self._recent_rows[cell] = row
        return history

    def _pack(self) -> None:
        """Put away what is not open."""
        kept, rows = {}, self._recent_rows
        numbers, closed = [], []
        for cell, history in self._recent.items():
            if history.state in OPEN:
                kept[cell] = history
            else:
                numbers.append(rows.pop(cell))
                closed.append(history)
        self._rows.write(numbers, closed)
        self._recent = kept
        self._room = len(kept) + RECENT


class Rows:
    """Packed histories by cell."""

    def __init__(self) -> None:
        self._keys = KeyIndex()
        self._data = bytearray()
        self._cells: dict[int, str] = {}  # keys that are no digest
        self._run_ids: dict[int, str] = {}  # run ids that are no UUID
        self._shared: list[tuple[str, str, str]] = []
        self._shared_numbers: dict[tuple[str, str, str], int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        for row, key in enumerate(self._keys.digests()):
            yield self._cells[row] if row in self._cells else key.hex()

    def number(self, cell: str) -> int | None:
        """Return the cell's row, None if it has none."""
        return self._keys.number(cell)

    def state(self, row: int) -> tuple[State, bool]:
        """Return the state of the history in a row, and whether its outputs are saved."""
        saved, state = _STATE.unpack_from(self._data, row * _SIZE)
        return _STATES[state], saved != NOWHERE

    def miss(self, cell: str) -> None:
        row = self._keys.number(cell)
        if row is not None:
            _SAVED.pack_into(self._data, row * _SIZE + _SAVED_AT, NOWHERE)

    def get(self, cell: str) -> History | None:
        row = self._keys.number(cell)
        return None if row is None else self.unpack(row)

    def reserve(self, cell: str) -> tuple[int, bool]:
        """Return the cell's row, and whether it is new: then nothing is in it yet."""
        digest = hex_digest(cell)
        row, new = self._keys.place(digest or other_digest(cell))
        if new:
            self._data += _FREE
            if digest is None:
                self._cells[row] = cell
        return row, new

    def give_up(self, row: int) -> None:
        """Take the *row* that was reserved last away again."""
        self._keys.take_back()
        del self._data[row * _SIZE :]
        self._cells.pop(row, None)

    def write(self, rows: Sequence[int], histories: Sequence[History]) -> None:
        """Put *histories* into their *rows*, in the place of what is there."""
        data, shared, pack = self._data, self._shared_numbers, _ROW.pack_into
        for row, history, run in zip(rows, histories, self._runs(rows, histories), strict=True):
            texts = history.client_ref, history.model, history.alias
            pack(
                data,
                row * _SIZE,
                run,
                shared[texts] if texts in shared else self._share(texts),
                history.attempt,
                history.failures,
                history.intent_line,
                history.input_line,
                history.ended_line,
                history.saved_line,
                history.parked_line,
                _NUMBERS[history.state],
                _NUMBERS[history.before],
                _CLASS_NUMBERS[history.failure],
            )

    def unpack(self, row: int) -> History:
        """Return the history that was put into a row."""
        run, shared, attempt, failures, *lines, state, before, failure = _ROW.unpack_from(
            self._data, row * _SIZE
        )
        client_ref, model, alias = self._shared[shared]
        # By place, in the order of History's fields: by name it takes twice as long.
        return History(
            _STATES[state],
            _STATES[before],
            _CLASSES[failure],
            attempt,
            failures,
            False,  # what is parked is open, and not packed
            self._run_ids.get(row) if run == _NONE else _uuid(run),
            client_ref,
            model,
            alias,
            *lines,
        )

    def _runs(self, rows: Sequence[int], histories: Sequence[History]) -> Sequence[bytes]:
        """Return what of the run's id goes into each row; ids of another form are kept beside."""
        ids = [history.run_id for history in histories]
        usual = _uuids(ids)
        if self._run_ids or usual is None:
            for row in rows:
                self._run_ids.pop(row, None)
        if usual is not None:
            return usual
        found = []
        for row, run_id in zip(rows, ids, strict=True):
            run = _uuids([run_id])
            if run is None and run_id is not None:
                self._run_ids[row] = run_id
            found.append(_NONE if run is None else run[0])
        return found

    def _share(self, texts: tuple[str, str, str]) -> int:
        number = self._shared_numbers[texts] = len(self._shared)
        self._shared.append(texts)
        return number


def _uuids(texts: Sequence[str | None]) -> Sequence[bytes] | None:
    """Return the bytes of UUIDs in lower case; None if one of *texts* isn't one, or is of zeros.

    All at once: one by one it is what takes longest of a fold.
    """
    if set(map(type, texts)) != {str} or set(map(len, texts)) != {_UUID_LENGTH}:  # type: ignore[arg-type]  # they are texts
        return None
    joined = "".join(texts)  # type: ignore[arg-type]  # likewise
    dashes = "-" * len(texts)
    digits = joined.replace("-", "")
    if any(joined[place::_UUID_LENGTH] != dashes for place in _DASHES):
        return None
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return None
    runs = [found[start : start + SIZE] for start in range(0, len(found), SIZE)]
    return runs if found.hex() == digits and len(runs) == len(texts) and _NONE not in runs else None


def _uuid(run: bytes) -> str:
    text = run.hex("-", -2)  # eight groups, where a UUID has the first two and last three in one
    return text[:4] + text[5:29] + text[30:34] + text[35:]
