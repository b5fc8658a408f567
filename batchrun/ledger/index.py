"""An index of a ledger in SQLite: its cells, where their lines stand, what runs cost.

It is derived: made from the ledger alone, deletable at any time, never asked before a send. It is
bound to the ledger by inode, length, and last line. Lines that were appended since are read from
there on; a ledger that was cut, replaced, or written over is read from its first line. A broken
index is made anew.

Sums are queries. `runs` has a row for each run, with its day (UTC, of its intent) and its cost;
`cells` has the inputs that one can group by. Money is summed as decimals.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import astuple

from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import CHANGES, History, State
from batchrun.ledger.records import (
    Absent,
    AnyRecord,
    CellLine,
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
    decode,
    decode_headers,
)
from batchrun.ledger.replay import lines_between
from batchrun.sweep.location import INDEX

VERSION: Final = 3
BATCH: Final = 1000
FLUSH: Final = 50_000
"""Lines after which the rows of their cells are written."""

PATIENCE: Final = 5.0
"""Seconds that another process may take to write."""

LONGEST_VALUE: Final = 100
"""Characters of an input's text that one may still group by; longer ones are prompts."""

SCHEMA: Final = """
CREATE TABLE bound (inode INTEGER, length INTEGER, last BLOB);
CREATE TABLE cells (
    key TEXT PRIMARY KEY, model TEXT, alias TEXT, state TEXT, day TEXT, inputs TEXT,
    history BLOB, lines BLOB
) WITHOUT ROWID;
CREATE TABLE runs (run_id TEXT PRIMARY KEY, cell TEXT, day TEXT, cost TEXT) WITHOUT ROWID;
CREATE TABLE files (path TEXT PRIMARY KEY, cell TEXT, bytes INTEGER) WITHOUT ROWID;
CREATE TABLE kept (
    name TEXT PRIMARY KEY, mtime INTEGER, inode INTEGER, length INTEGER, last BLOB, value BLOB
) WITHOUT ROWID;
"""
TABLES: Final = ("bound", "cells", "runs", "files", "kept")

CELL: Final = """
INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    model = excluded.model, alias = excluded.alias, state = excluded.state, day = excluded.day,
    inputs = coalesce(excluded.inputs, inputs), history = excluded.history,
    lines = CAST(lines || excluded.lines AS BLOB)
"""
RUN: Final = (
    "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET cost = excluded.cost"
)
FILE: Final = "INSERT OR REPLACE INTO files VALUES (?, ?, ?)"

BY_DAY: Final = """
SELECT runs.day, cells.model, count(*), total_cost(cost) FROM runs JOIN cells ON cell = key
GROUP BY 1, 2 ORDER BY 1, 2
"""
BY_INPUT: Final = """
WITH paid AS (SELECT cell, total_cost(cost) AS cost FROM runs GROUP BY cell)
SELECT input.key, json_quote(input.value), count(*), total_cost(paid.cost)
FROM cells, json_each(cells.inputs) AS input LEFT JOIN paid ON paid.cell = cells.key
GROUP BY 1, 2 ORDER BY 1, 2
"""
FIND: Final = """
SELECT key FROM cells WHERE key >= :text AND key < :text || char(1114111)
UNION SELECT cell FROM runs WHERE run_id = :text UNION SELECT cell FROM files WHERE path = :text
"""


UNUSABLE: Final = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
}
"""Errors that say nothing against the file."""


class Bound(Struct, frozen=True):
    """A ledger up to some line: its file, the bytes, and a digest of that line."""

    inode: int
    length: int
    last: bytes


class Spent(Struct, frozen=True):
    """The cost of the *runs* of a *model* on a *day* (UTC, of their intents)."""

    day: str
    model: str
    runs: int
    cost: Decimal


class InputValue(Struct, frozen=True):
    """How many cells have an input of that value (as JSON), and what their runs have cost."""

    name: str
    value: str
    cells: int
    cost: Decimal


class _Cell(Struct):
    """A cell whose row is about to be written."""

    history: History
    day: str | None = None
    inputs: str | None = None
    lines: list[int] = field(default_factory=list)


@contextmanager
def open_index(folder: Path, *, patience: float = PATIENCE) -> Iterator["Index"]:
    """Give the index of the sweep in *folder*; another process may hold it for *patience* seconds.

    Raises OSError where it can't be used, and deletes a broken one.
    """
    path = folder / INDEX
    try:
        index = Index(path, patience=patience)
        try:
            yield index
        finally:
            index.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in UNUSABLE:
            path.unlink(missing_ok=True)
        raise OSError(f"cannot use the index {path}: {error}") from error


def _never() -> bool:
    return False


class Index:
    """The index in the file at *path*, or in memory. Raises sqlite3.Error where it is broken."""

    def __init__(self, path: Path | None, *, patience: float = PATIENCE) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=patience)
        self._db.create_aggregate("total_cost", 1, _TotalCost)  # type: ignore[arg-type]  # typeshed wants the protocol of numbers
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            if self._db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                self._make()

    def close(self) -> None:
        self._db.close()

    # Queries.

    def bound(self) -> Bound | None:
        """Return up to where the cells are known."""
        row = self._db.execute("SELECT * FROM bound").fetchone()
        return None if row is None else Bound(*row)

    def find(self, text: str) -> Sequence[str]:
        """Return the keys of the cells that *text* means: a key's beginning, a run's id, a file."""
        return [key for (key,) in self._db.execute(FIND, {"text": text})]

    def lines(self, key: str) -> Sequence[int]:
        """Return where the cell's lines stand in the ledger."""
        row = self._db.execute("SELECT lines FROM cells WHERE key = ?", (key,)).fetchone()
        return [] if row is None else _offsets(row[0])

    def history(self, key: str) -> History | None:
        row = self._db.execute("SELECT history FROM cells WHERE key = ?", (key,)).fetchone()
        return None if row is None else _unpacked(row[0])

    def spent_by_day(self) -> Sequence[Spent]:
        rows = self._db.execute(BY_DAY)
        return [Spent(day, model, runs, Decimal(cost)) for day, model, runs, cost in rows]

    def spent_by_input(self) -> Sequence[InputValue]:
        rows = self._db.execute(BY_INPUT)
        return [InputValue(name, value, cells, Decimal(cost)) for name, value, cells, cost in rows]

    def states(self) -> Iterator[tuple[str, State]]:
        """Yield each cell and where it stands."""
        for key, state in self._db.execute("SELECT key, state FROM cells"):
            yield key, State(state)

    def costs(self) -> Iterator[tuple[str, Decimal]]:
        """Yield the cost of each run that has one, and its cell."""
        for cell, cost in self._db.execute("SELECT cell, cost FROM runs WHERE cost IS NOT NULL"):
            yield cell, Decimal(cost)

    # Texts that hold as long as the ledger is as it was.

    def keep(self, name: str, value: bytes, fd: int) -> None:
        """Keep what follows from the open ledger *fd* as it is now.

        It holds until the file is written to: damage amid the lines changes neither its length nor
        its last line.
        """
        now = os.fstat(fd)
        last = _last(fd, now.st_size)
        row = (name, now.st_mtime_ns, now.st_ino, now.st_size, last, value)
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)", row)

    def kept(self, name: str, fd: int) -> bytes | None:
        """Return what was kept; None where the ledger isn't as it was then."""
        row = self._db.execute(
            "SELECT mtime, length, inode, length, last, value FROM kept WHERE name = ?", (name,)
        ).fetchone()
        now = os.fstat(fd)
        if row is None or row[:2] != (now.st_mtime_ns, now.st_size):
            return None
        value = row[5] if _fits(Bound(*row[2:5]), fd) else None
        return value if isinstance(value, bytes) else None

    # How it comes to know.

    def catch_up(self, fd: int, *, until: Callable[[], bool] = _never) -> bool:
        """Take in what the open ledger *fd* has beyond what is known; ValueError if it is broken.

        An unfinished last line is left for later. Returns whether that is all: what is read when
        *until* says so is kept, and the rest is left to the next time.
        """
        with self._transaction():
            bound = self.bound()
            if bound is not None and not _fits(bound, fd):
                self._make()
                bound = None
            return self._read(fd, 0 if bound is None else bound.length, until)

    def _read(self, fd: int, start: int, until: Callable[[], bool]) -> bool:
        found = os.fstat(fd)
        lines = (line for line in lines_between(fd, start, found.st_size) if line.endswith(b"\n"))
        reading = _Reading(self._db, start)
        whole = True
        while batch := list(islice(lines, BATCH)):
            reading.take(batch)
            if until():
                whole = next(lines, None) is None
                break
        reading.flush()
        self._db.execute("DELETE FROM bound")
        row = found.st_ino, reading.end, _last(fd, reading.end)
        self._db.execute("INSERT INTO bound VALUES (?, ?, ?)", row)
        return whole

    def _make(self) -> None:
        for table in TABLES:
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in SCHEMA.split(";\n"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


class _Reading:
    """Takes lines in, in their order; *end* is the offset behind the last one."""

    def __init__(self, db: sqlite3.Connection, end: int) -> None:
        self._db = db
        self._cells: dict[str, _Cell] = {}
        self._runs: list[tuple[str, str, str | None, str | None]] = []
        self._files: list[tuple[str, str, int]] = []
        self._taken = 0
        self.end = end

    def take(self, lines: Sequence[bytes]) -> None:
        records: Sequence[AnyRecord | None] = decode_headers(lines) or [*map(decode, lines)]
        for line, record in zip(lines, records, strict=True):
            if isinstance(record, CellLine):
                self._add(record)
            self.end += len(line)
        self._taken += len(lines)
        if self._taken >= FLUSH:
            self.flush()

    def _add(self, record: CellLine) -> None:
        cell = self._cells.get(record.cell) or self._load(record.cell)
        CHANGES[type(record)](cell.history, record, self.end)
        cell.lines.append(self.end)
        match record:
            case Intent():
                cell.day = (record.server_at or record.at)[:10]
                if record.input is not None:
                    cell.inputs = _grouped_by(record.input)
            case Submitted():
                self._runs.append((record.run_id, record.cell, cell.day, None))
            case Finished() | Extra() | Priced():
                cost = None if record.cost is None else str(record.cost)
                self._runs.append((record.run_id, record.cell, cell.day, cost))
            case Saved():
                self._files += [(file.path, record.cell, file.bytes) for file in record.files]
            case Reused():
                cell.day = record.at[:10]
                self._files += [(file.path, record.cell, file.bytes) for file in record.files]
            case Rejected() | Dropped() | Parked() | Absent() | Lost():
                pass

    def _load(self, key: str) -> _Cell:
        row = self._db.execute("SELECT history, day FROM cells WHERE key = ?", (key,)).fetchone()
        cell = _Cell(History()) if row is None else _Cell(_unpacked(row[0]), row[1])
        self._cells[key] = cell
        return cell

    def flush(self) -> None:
        """Write the rows of all cells that were taken in."""
        rows = (
            (
                key,
                cell.history.model,
                cell.history.alias,
                cell.history.state,
                cell.day,
                cell.inputs,
                _packed(cell.history),
                b"".join(line.to_bytes(8, "little") for line in cell.lines),
            )
            for key, cell in sorted(self._cells.items(), key=itemgetter(0))
        )
        self._db.executemany(CELL, rows)
        self._db.executemany(RUN, sorted(self._runs, key=itemgetter(0)))
        self._db.executemany(FILE, self._files)
        self._cells, self._runs, self._files, self._taken = {}, [], [], 0


class _TotalCost:
    """Adds up the costs of runs as decimals; SQLite itself would add binary fractions."""

    def __init__(self) -> None:
        self._total = Decimal(0)

    def step(self, cost: str | None) -> None:
        self._total += Decimal(cost or 0)

    def finalize(self) -> str:
        return str(self._total)


def _fits(bound: Bound, fd: int) -> bool:
    """Say whether the ledger *fd* begins with what the index was made from."""
    found = os.fstat(fd)
    return (
        bound.inode == found.st_ino
        and bound.length <= found.st_size
        and bound.last == _last(fd, bound.length)
    )


def _last(fd: int, end: int) -> bytes:
    """Return what stands for the line that ends at offset *end*."""
    length = 4096
    while True:
        start = max(0, end - length)
        data = os.pread(fd, end - start, start)
        if start == 0 or b"\n" in data[:-1]:
            return sha256(data[:-1].rpartition(b"\n")[2]).digest()
        length *= 8


def _grouped_by(inputs: Any) -> str:
    """Return the inputs of a cell that one can group by, as JSON: numbers, words, yes and no."""
    values = msgspec.json.decode(inputs) if isinstance(inputs, msgspec.Raw) else inputs
    found = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float)
        or (isinstance(value, str) and len(value) <= LONGEST_VALUE)
    }
    return msgspec.json.encode(found).decode()


def _packed(history: History) -> bytes:
    return msgspec.msgpack.encode(astuple(history))


def _unpacked(packed: bytes) -> History:
    state, before, failure, *others = msgspec.msgpack.decode(packed)
    return History(State(state), State(before), FailureClass(failure), *others)


def _offsets(lines: bytes) -> Sequence[int]:
    return [int.from_bytes(lines[at : at + 8], "little") for at in range(0, len(lines), 8)]
