"""All cells' histories, a million of them in a hundred bytes each. Pure.

A cell that is open, or was so a moment ago, is an object. Most are done with, and are asked for
once in each call: they are packed into rows of one long array, and made into objects on demand.
What stands in no row is what many cells share: model, alias and wave.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from batchrun.ledger.history import OPEN, CellLine, History, State, apply
from batchrun.ledger.keys import Keys

RECENT: Final = 256
"""Histories beside the open ones that are kept as objects: their next line comes soon."""

_ROW: Final = struct.Struct("<16sIIIqqqqqBB")
_HEX: Final = re.compile("[0-9a-f]{32}")
_UUID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NONE: Final = bytes(16)
_STATES: Final = tuple(State)
_NUMBERS: Final = {state: number for number, state in enumerate(_STATES)}


class Histories(Mapping[str, History]):
    """The history of each cell that has one. What it gives is to be read, not changed."""

    def __init__(self) -> None:
        self._recent: dict[str, History] = {}
        self._room = RECENT
        self._rows = Rows()
        self._unpacked = 0  # recent ones that have a row, too, which is out of date

    def __len__(self) -> int:
        return len(self._rows) + len(self._recent) - self._unpacked

    def __iter__(self) -> Iterator[str]:
        for cell in self._rows:
            if cell not in self._recent:
                yield cell
        yield from self._recent

    def __getitem__(self, cell: str) -> History:
        history = self._recent.get(cell) or self._rows.get(cell)
        if history is None:
            raise KeyError(cell)
        return history

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
        apply(history, record, line)
        return history

    def _fold_first(self, record: CellLine, line: int) -> History:
        """Fold a line of a cell that is not among the recent ones."""
        packed = self._rows.get(record.cell)
        history = packed or History()
        apply(history, record, line)
        if len(self._recent) >= self._room:
            self._pack()
        self._recent[record.cell] = history
        self._unpacked += packed is not None
        return history

    def _pack(self) -> None:
        """Put away what is not open."""
        kept, put = {}, self._rows.put
        for cell, history in self._recent.items():
            if history.state in OPEN:
                kept[cell] = history
            else:
                put(cell, history)
        self._recent = kept
        self._room = len(kept) + RECENT
        self._unpacked = sum(cell in self._rows for cell in kept)


class Rows:
    """Packed histories by cell. Nothing is ever taken out."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._data = bytearray()
        self._texts: dict[int, tuple[str, str | None]] = {}  # what is no digest, or no UUID
        self._shared: list[tuple[str, str, str]] = []
        self._shared_numbers: dict[tuple[str, str, str], int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, cell: str) -> bool:
        return cell in self._keys

    def __iter__(self) -> Iterator[str]:
        for row, key in enumerate(self._keys.digests()):
            yield self._texts[row][0] if row in self._texts else key.hex()

    def get(self, cell: str) -> History | None:
        row = self._keys.number(cell)
        return None if row is None else self._unpack(row)

    def put(self, cell: str, history: History) -> None:
        row, new = self._keys.add(cell)
        packed = self._packed(row, cell, history)
        if new:
            self._data += packed
        else:
            self._data[row * _ROW.size : (row + 1) * _ROW.size] = packed

    def _packed(self, row: int, cell: str, history: History) -> bytes:
        run_id, run = history.run_id, _NONE
        if run_id is not None and _UUID.fullmatch(run_id):
            run = bytes.fromhex(run_id.replace("-", ""))
        if (run_id is not None and run == _NONE) or not _HEX.fullmatch(cell):
            self._texts[row] = cell, run_id
        elif row in self._texts:
            del self._texts[row]
        return _ROW.pack(
            run,
            self._share((history.client_ref, history.model, history.alias)),
            history.attempt,
            history.failures,
            history.intent_line,
            history.input_line,
            history.ended_line,
            history.saved_line,
            history.parked_line,
            _NUMBERS[history.state],
            _NUMBERS[history.before],
        )

    def _unpack(self, row: int) -> History:
        run, shared, attempt, failures, intent, given, ended, saved, parked, state, before = (
            _ROW.unpack_from(self._data, row * _ROW.size)
        )
        client_ref, model, alias = self._shared[shared]
        # By place, in the order of History's fields: by name it takes twice as long.
        return History(
            _STATES[state],
            _STATES[before],
            attempt,
            failures,
            False,  # what is parked is open, and not packed
            self._texts[row][1] if row in self._texts else _uuid(run),
            client_ref,
            model,
            alias,
            intent,
            given,
            ended,
            saved,
            parked,
        )

    def _share(self, texts: tuple[str, str, str]) -> int:
        number = self._shared_numbers.get(texts)
        if number is None:
            number = self._shared_numbers[texts] = len(self._shared)
            self._shared.append(texts)
        return number


def _uuid(run: bytes) -> str | None:
    if run == _NONE:
        return None
    text = run.hex("-", -2)  # eight groups, where a UUID has the first two and last three in one
    return text[:4] + text[5:29] + text[30:34] + text[35:]
