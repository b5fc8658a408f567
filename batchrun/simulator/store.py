"""The state of the service, in SQLite; it survives the process that answered for it.

All that an answer says is committed before the answer leaves. So a killed simulator forgets
nothing it said. (WAL with synchronous=NORMAL: a power cut may lose the last moments, a killed
process may not.) Times are microseconds since 1970, money is text.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Final

from batchrun.simulator import life

FORMAT: Final = 4
SCHEMA: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, model TEXT NOT NULL,
    client_ref TEXT, batch_id TEXT, batch_index INTEGER, cell_key TEXT,
    input TEXT NOT NULL, metadata TEXT, callback_url TEXT, request_id TEXT NOT NULL,
    created INTEGER NOT NULL, committed INTEGER NOT NULL, listed INTEGER NOT NULL,
    outcome TEXT NOT NULL, dispatching INTEGER NOT NULL, running INTEGER NOT NULL,
    ended INTEGER NOT NULL, cost TEXT, called_back INTEGER NOT NULL DEFAULT 0, failure TEXT
) STRICT;
CREATE INDEX runs_by_time ON runs (org, created, number);
CREATE INDEX runs_by_ref ON runs (client_ref, created) WHERE client_ref IS NOT NULL;
CREATE INDEX runs_by_batch ON runs (batch_id, batch_index) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_to_call ON runs (ended) WHERE callback_url IS NOT NULL AND called_back = 0;
CREATE TABLE batches (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, model TEXT NOT NULL, metadata TEXT,
    callback_url TEXT, created INTEGER NOT NULL, committed INTEGER NOT NULL,
    called_back INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE answers (
    org TEXT, key TEXT, request TEXT NOT NULL, answer BLOB NOT NULL, PRIMARY KEY (org, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    org TEXT PRIMARY KEY, charged TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE assets (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, name TEXT NOT NULL, mime_type TEXT NOT NULL,
    size INTEGER NOT NULL, put_size INTEGER, put_type TEXT, sha256 TEXT, confirmed INTEGER,
    created INTEGER NOT NULL
) STRICT;
"""
CALLBACKS: Final = """
CREATE TABLE secrets (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, plain TEXT NOT NULL, label TEXT,
    is_current INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, used INTEGER
) STRICT;
CREATE INDEX secrets_by_org ON secrets (org);
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, url TEXT NOT NULL,
    payload BLOB NOT NULL, secret_id TEXT, secret TEXT, automatic INTEGER NOT NULL,
    unheard INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT, detail TEXT,
    next_attempt INTEGER, created INTEGER NOT NULL, updated INTEGER NOT NULL, completed INTEGER
) STRICT;
CREATE INDEX deliveries_by_subject ON deliveries (subject, created);
CREATE INDEX deliveries_due ON deliveries (next_attempt) WHERE next_attempt IS NOT NULL;
CREATE TABLE delivery_attempts (
    id TEXT PRIMARY KEY, delivery_id TEXT NOT NULL, number INTEGER NOT NULL, status INTEGER,
    body TEXT, milliseconds INTEGER NOT NULL, error TEXT, created INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_by_delivery ON delivery_attempts (delivery_id, number);
CREATE INDEX batches_to_call ON batches (ended) WHERE callback_url IS NOT NULL AND called_back = 0
"""
FROM_1_TO_2: Final = """
ALTER TABLE runs ADD COLUMN failure TEXT;
UPDATE runs SET cell_key = json_extract(metadata, '$.batchrun.cell');
"""
FROM_2_TO_3: Final = """
ALTER TABLE batches ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
UPDATE batches SET ended = (
    SELECT COALESCE(MAX(runs.ended), 0) FROM runs WHERE runs.batch_id = batches.id
);
UPDATE runs SET called_back = 1;
UPDATE batches SET called_back = 1;
DROP TABLE secrets;
DROP TABLE deliveries;
DROP TABLE delivery_attempts;
"""
"""That version called nothing back, and wrote nothing into the three tables."""
FROM_3_TO_4: Final = """;
ALTER TABLE runs ADD COLUMN planned_outcome TEXT;
ALTER TABLE runs ADD COLUMN planned_end INTEGER;
ALTER TABLE runs ADD COLUMN cancel_reason TEXT;
ALTER TABLE accounts ADD COLUMN threshold TEXT;
CREATE TABLE asset_bytes (
    number INTEGER PRIMARY KEY, asset_id TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT
"""
UPGRADES: Final = {
    0: SCHEMA + CALLBACKS + FROM_3_TO_4,
    1: FROM_1_TO_2 + FROM_2_TO_3 + CALLBACKS + FROM_3_TO_4,
    2: FROM_2_TO_3 + CALLBACKS + FROM_3_TO_4,
    3: FROM_3_TO_4,
    4: "",
}


@dataclass(slots=True, kw_only=True)
class Run:
    """One row of runs. *committed* and *listed* may lie ahead: until then the run is not there.

    *cell_key* is the cell that batchrun says it is for; *failure* why it failed at the door. The
    *planned_outcome* and *planned_end* are those that it had before an administrator cancelled it.
    """

    number: int
    id: str
    org: str
    model: str
    client_ref: str | None
    batch_id: str | None
    batch_index: int | None
    cell_key: str | None
    input: str
    metadata: str | None
    callback_url: str | None
    request_id: str
    created: int
    committed: int
    listed: int
    outcome: str
    dispatching: int
    running: int
    ended: int
    cost: str | None
    called_back: int = 0
    failure: str | None = None
    planned_outcome: str | None = None
    planned_end: int | None = None
    cancel_reason: str | None = None

    kind: ClassVar[str] = "run"

    @property
    def made(self) -> bool:
        """Whether this is a run at all, and not an item of a batch that got none."""
        return self.outcome != life.NO_RUN.outcome

    @property
    def began(self) -> int | None:
        """When it runs, None where it ends before that."""
        return self.running if self.running <= self.ended else None

    @property
    def milliseconds(self) -> int:
        """How long it runs."""
        return 0 if self.began is None else (self.ended - self.began) // 1000


@dataclass(slots=True, kw_only=True)
class Batch:
    """One row of batches; like a run it is not there until *committed*.

    It has *ended* when the last of its runs has.
    """

    id: str
    org: str
    model: str
    metadata: str | None
    callback_url: str | None
    created: int
    committed: int
    ended: int
    called_back: int = 0

    kind: ClassVar[str] = "batch"


COLUMNS: Final = tuple(field.name for field in fields(Run))
SELECT_RUN: Final = f"SELECT {', '.join(COLUMNS)} FROM runs"  # noqa: S608 - our own names
INSERT_RUN: Final = (
    f"INSERT INTO runs ({', '.join(COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join(':' + name for name in COLUMNS)})"
)


class StateError(Exception):
    """The state file cannot be used; the message says why."""


class Store:
    """One connection to the state; every method is one short statement or a transaction."""

    def __init__(self, path: Path | None) -> None:
        try:
            self._db = self._open(path)
        except sqlite3.Error as error:
            raise StateError(f"cannot use the simulator's state {path}: {error}") from error
        self._db.row_factory = sqlite3.Row

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            path or ":memory:", timeout=10, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        for statement in UPGRADES.get(version, "").split(";\n"):
            db.execute(statement)
        if version in UPGRADES:
            db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
        if version not in UPGRADES:
            db.close()
            raise StateError(f"the simulator's state {path} is of another version; delete it")
        return db

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is there on leaving, or none of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def rows(self, sql: str, *values: Any) -> Iterator[sqlite3.Row]:
        return iter(self._db.execute(sql, values))

    def write(self, sql: str, *values: Any) -> int:
        """Run one statement; return how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - our own names
            tuple(row.values()),
        )

    def next_number(self) -> int:
        row = self._db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM runs").fetchone()
        return int(row[0])

    def add_run(self, run: Run) -> None:
        self._db.execute(INSERT_RUN, {name: getattr(run, name) for name in COLUMNS})

    def run(self, run_id: str) -> Run | None:
        row = self._db.execute(f"{SELECT_RUN} WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else Run(**row)

    def add_batch(self, batch: Batch) -> None:
        self.insert("batches", asdict(batch))

    def batch(self, batch_id: str) -> Batch | None:
        row = self._db.execute("SELECT * FROM batches WHERE id = ?", (batch_id,)).fetchone()
        return None if row is None else Batch(**row)

    def runs_of_batch(self, batch_id: str) -> list[Run]:
        found = self._db.execute(
            f"{SELECT_RUN} WHERE batch_id = ? ORDER BY batch_index", (batch_id,)
        )
        return [Run(**row) for row in found]

    def runs_where(
        self, conditions: Sequence[tuple[str, Any]], *, descending: bool = False
    ) -> Iterator[Run]:
        """Yield runs that meet all conditions (`("created >= ?", 5)`), by creation."""
        where = " AND ".join(sql for sql, _ in conditions) or "1"
        direction = "DESC" if descending else "ASC"
        found = self._db.execute(
            f"{SELECT_RUN} WHERE {where} ORDER BY created {direction}, number {direction}",
            [value for _, values in conditions for value in _listed(values)],
        )
        return (Run(**row) for row in found)

    def charge(self, org: str, charged: str) -> None:
        self.write(
            "INSERT INTO accounts (org, charged) VALUES (?, ?) "
            "ON CONFLICT (org) DO UPDATE SET charged = excluded.charged",
            org,
            charged,
        )

    def set_threshold(self, org: str, threshold: str | None) -> None:
        self.write(
            "INSERT INTO accounts (org, charged, threshold) VALUES (?, '0', ?) "
            "ON CONFLICT (org) DO UPDATE SET threshold = excluded.threshold",
            org,
            threshold,
        )

    def threshold(self, org: str) -> str | None:
        row = self.one("SELECT threshold FROM accounts WHERE org = ?", org)
        return None if row is None else row["threshold"]


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, tuple) else (values,)
