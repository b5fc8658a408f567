"""The kinds of lines in a ledger, and their text. Pure.

A line is one JSON object; `type` comes first, then `at`, then the fields below in their order. What
a later version adds is kept in the file and ignored here: unknown keys always, unknown types too.
Fields that are empty are left out.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from itertools import filterfalse
from operator import or_
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

LOST: Final = "lost"
"""The code of a failure that is a file gone for good."""

FORMAT: Final = 1
"""Version of the ledger's format."""

REUSING: Final = 11
"""The same with `reused` lines: a batchrun that ignored them would pay for their cells. It is the
first version with something that may not be ignored, and no version by itself.
"""

READ: Final = (FORMAT, REUSING)
"""The versions that are read; any other one above them, or between, is refused by name."""


class Record(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag=str.lower,
    gc=False,
):
    """The field that every line carries: when it was written (UTC, microseconds).

    *group* stands on the first line of a commit group and is its number: a group is written by one
    write and becomes durable by one fsync, so damage within the last group is what a crash leaves,
    and damage before it is not.
    """

    at: str = ""
    group: int = 0


class CellRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line about one attempt at one cell."""

    cell: str
    attempt: int


class Sweep(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Who we are. Written at every start.

    *after* are the ids of the sweeps that this one set aside when it began. *recovered*: the lines
    before it were made again from what the service knows. *budget* is the call's, in USD. *types*
    are those of the columns of its CSV files; a column that no start since has had keeps its own.
    """

    format: int
    sweep: str
    name: str
    endpoint: str
    manifest_sha256: str
    version: str
    label: str | None = None
    organisation: str | None = None
    after: tuple[str, ...] = ()
    recovered: bool = False
    budget: Decimal | None = None
    types: Mapping[str, str] | None = None


class Intent(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """A run is about to be asked for. On disk before a byte of the request is sent.

    *metadata* is the request's, as sent; *input* too, and is left out where it is that of the
    cell's last intent that had one. *keyed* are the values that the cell's key is made of, where
    *input* has them in the type that the model's description asks for. *name* is where the cell's
    files go, without extension. *server_at* is the service's time, where it was known: our clock
    may be wrong, and be set right before the run is looked for. *callback_url* is the request's.
    """

    model: str
    alias: str
    client_ref: str
    idempotency_key: str
    body_sha256: str
    name: str
    metadata: Mapping[str, Any]
    reserved: Decimal | None = None
    server_at: str | None = None
    batch: str | None = None
    size: int | None = None
    index: int | None = None
    input: Mapping[str, Any] | None = None
    keyed: Mapping[str, Any] | None = None
    callback_url: str | None = None

    @property
    def keyed_input(self) -> Mapping[str, Any]:
        """The input that the cell's key is made of, as far as this line has it."""
        return {**(self.input or {}), **(self.keyed or {})}


class Submitted(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """The API has the run: it answered, or (*adopted*) the run was found again.

    *doubted*, here and below: a send of the intent got no clear answer, so that a second run may
    come to light.
    """

    run_id: str
    adopted: bool = False
    doubted: bool = False


class Finished(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """The run came to its end. *status_code* is normalised; times are the service's.

    *target_version*, *cost_breakdown* and *evaluation* are the service's own words, kept since they
    can't be asked for later.
    """

    run_id: str
    status_code: str
    cost: Decimal | None = None
    duration_ms: int | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    failure_stage: str | None = None
    target_version: str | None = None
    cost_breakdown: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    output: Any = None


class Rejected(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """The API refused the input; no run exists.

    *at_upload*: it refused a file of the input, and no run was asked for.
    """

    http_status: int
    code: str | None = None
    message: str | None = None
    doubted: bool = False
    at_upload: bool = False


class Dropped(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """It is certain that no run exists for the intent. The attempt does not count.

    *answered*: the batch of it was taken, and this item of it got no run.
    """

    reason: str
    doubted: bool = False
    answered: bool = False


class Parked(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """Given up on for this call: too old, or in doubt (*run_id* is None)."""

    reason: str
    run_id: str | None = None


class Extra(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """A second run of an attempt came to light. Counted in the cost."""

    run_id: str
    cost: Decimal | None = None


class Priced(CellRecord, frozen=True, kw_only=True, omit_defaults=True):
    """What a run has cost, which wasn't known when it ended; 0 where it said 0 once more."""

    run_id: str
    cost: Decimal


class Looked(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A wave had its last look; one that had a doubt, `settle` after that. Nothing came to light
    late, or all of it is written.

    With *server_at*, the service's time then, the look came within an hour of the doubt, and
    another one is owed.
    """

    client_ref: str
    server_at: str | None = None


class SavedFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One file on disk; *path* is relative to the output folder.

    *source_sha256* is what was first saved for this run and place, where the file that is there now
    is another one: it stays the file's identity.
    """

    path: str
    bytes: int
    sha256: str
    content_type: str | None = None
    source_sha256: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def identity(self) -> str:
        """The hash of the bytes as the service first sent them."""
        return self.sha256 if self.source_sha256 is msgspec.UNSET else self.source_sha256


class Saved(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A run's outputs are on disk: all that are to be had, but for those that are *owed*.

    *places* are those of the files in the output, from 0; without them the files are the first
    ones, in their order. *owed* are places, too: a file of such a place was saved once, and was
    gone from the disk; it stays here for its name and its identity.
    """

    cell: str
    run_id: str
    files: tuple[SavedFile, ...] = ()
    places: tuple[int, ...] = ()
    owed: tuple[int, ...] = ()

    @property
    def by_place(self) -> dict[int, SavedFile]:
        """The files by their places in the output."""
        return dict(zip(self.places or range(len(self.files)), self.files, strict=False))

    @property
    def there(self) -> list[SavedFile]:
        """The files that were on disk."""
        return [file for place, file in self.by_place.items() if place not in self.owed]


class Absent(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A file of a run's output was not at its host, at three renewed addresses in one call.

    *place* is the file's in the output, from 0, of so many in *all*; *file* is the path that it
    would have, without an extension. *server_at* is the service's time, where it was known.
    """

    cell: str
    run_id: str
    place: int
    all: int
    file: str
    message: str
    server_at: str | None = None


class Lost(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The same file was not there an hour later, in another call: it is gone for good."""

    cell: str
    run_id: str
    place: int
    all: int
    file: str
    message: str


class Reused(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A cell has the result of a run of another sweep: its files are in this folder, too.

    *cost* is what that run has cost there; here it costs nothing.
    """

    cell: str
    model: str
    alias: str
    sweep: str
    run_id: str
    cost: Decimal | None = None
    files: tuple[SavedFile, ...] = ()

    @property
    def by_place(self) -> dict[int, SavedFile]:
        """The files by their places in the output."""
        return dict(enumerate(self.files))

    @property
    def there(self) -> tuple[SavedFile, ...]:
        """The files that were on disk."""
        return self.files

    @property
    def owed(self) -> tuple[int, ...]:
        """The places of files that were still to be had: none."""
        return ()


class Learnt(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Habits of the service, of one model or of all: which of them have shown.

    *batches*: the model takes them. *https*: it takes files by https addresses only. *page_cap*:
    runs on a page.
    """

    model: str | None = None
    batches: bool | None = None
    https: bool | None = None
    page_cap: int | None = None


class Throttled(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How many of a call's requests met a 429, in steps of *step* seconds from *since* on.

    *since* is by our clock, and *server_at* the service's time then, where it was known.
    """

    since: str
    step: int
    counts: tuple[int, ...]
    server_at: str | None = None


class Uploaded(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A local file is at the service; *sha256* is its content's, *reference* what inputs carry."""

    sha256: str
    asset_id: str
    reference: str


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A wish for one more replicate of a cell; each has an *id*, and makes one replicate ever.

    *replicate* is its number, and *makes* the key of the cell that it is. *first* is the key of the
    point's first replicate, behind which the manifest has it: as if `repeat` had named it.
    """

    id: str
    cell: str
    first: str
    replicate: int
    makes: str
    kind: str = "redo"


ID_DIGITS: Final = 16


def id_found_again(makes: str) -> str:
    """Return the id of a mark that `recover` finds by what it *makes*: no tag has its own id."""
    return makes[:ID_DIGITS]


class Marks(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Cells are to be made again. On disk before any of it is sent."""

    marks: tuple[Mark, ...]


CellLine = (
    Intent
    | Submitted
    | Finished
    | Rejected
    | Dropped
    | Parked
    | Extra
    | Priced
    | Saved
    | Reused
    | Absent
    | Lost
)
"""A line about one cell: the fold of its history takes it in."""

AnyRecord = Sweep | CellLine | Looked | Throttled | Uploaded | Learnt | Marks


class NewerFormatError(ValueError):
    """The ledger was begun or gone on with by a batchrun that writes it otherwise."""


class _Kind(msgspec.Struct):
    """The fields that make a line of an unknown type a line."""

    type: str
    at: str = ""
    group: int = 0
    format: Any = None
    version: Any = None


KINDS: Final[dict[str, type[AnyRecord]]] = {
    kind.__struct_config__.tag: kind for kind in AnyRecord.__args__
}


class _Intent(Intent, frozen=True, kw_only=True, tag="intent"):
    """As the fold reads it: what the request carried is seen to be there, and left as it is."""

    metadata: msgspec.Raw  # type: ignore[assignment]  # not read by the fold
    input: msgspec.Raw = None  # type: ignore[assignment]


class _Finished(Finished, frozen=True, kw_only=True, tag="finished"):
    """As the fold reads it, likewise."""

    output: msgspec.Raw = None  # type: ignore[assignment]


_READ_AS: Final[Mapping[type[AnyRecord], type[AnyRecord]]] = {
    Intent: _Intent,
    Finished: _Finished,
}

_decoder: Final[msgspec.json.Decoder[AnyRecord]] = msgspec.json.Decoder(AnyRecord)
_kind: Final = msgspec.json.Decoder(_Kind)
_GROUP: Final = re.compile(rb'\{"type":"[^"]*","at":"[^"]*","group":\d')
_encoder: Final = msgspec.json.Encoder()


_decode_headers: Final[Callable[[bytes], AnyRecord]] = msgspec.json.Decoder(
    reduce(or_, (_READ_AS.get(kind, kind) for kind in KINDS.values() if kind is not Sweep))
).decode


def encode(record: Record) -> bytes:
    """Return the line of *record*, with its newline."""
    try:
        return _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair is text for JSON's escapes and for Python, and none for UTF-8. It
        # comes with the service's messages, and must not stop the sweep.
        text = json.dumps(msgspec.to_builtins(record), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> AnyRecord | None:
    """Return the record of a line, or None for a type of a later version.

    Raises ValueError for what is not a line of a ledger, NewerFormatError for one that a newer
    batchrun has written in a format of its own.
    """
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = _kind_of(line, error)
        if kind.type == "sweep":
            _check_format(kind.format, kind.version)
        if kind.type in KINDS:
            raise ValueError(f"not a line of a ledger: {error}") from error
        return None
    if isinstance(record, Sweep):
        _check_format(record.format, record.version)
    return record


def decode_headers(lines: Sequence[bytes]) -> list[AnyRecord] | None:
    """Return the records of *lines* for a fold; None where one is a start, unusual, or no line.

    At half the price of `decode`: what requests and runs carried is seen to be there, and not read.
    """
    if not lines[-1].endswith(b"\n"):
        return None
    try:
        for line in filterfalse(bytes.isascii, lines):
            line.decode()  # else bytes that are no text would pass in fields that aren't read
        return list(map(_decode_headers, lines))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def kind_of(record: AnyRecord) -> type[AnyRecord]:
    """Return which of the kinds a record is of."""
    return KINDS[record.__struct_config__.tag]  # type: ignore[index]  # each has a tag


def by_kind(table: Mapping[type[AnyRecord], T]) -> dict[type[AnyRecord], T]:
    """Return *table* so that it can be asked with the type of any record."""
    return {**table, **{read: table[kind] for kind, read in _READ_AS.items() if kind in table}}


def starts_group(text: bytes, start: int = 0) -> bool:
    """Say whether a commit group begins in *text*, at *start* or behind it, whole or not.

    By its first keys, which every line has in this order: so it is seen also where the newline
    before it is damaged, or the rest of its line.
    """
    return _GROUP.search(text, start) is not None


def timestamp(moment: datetime) -> str:
    """Return *moment* as lines have it: UTC, microseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def _check_format(number: object, version: object) -> None:
    if isinstance(number, int) and number > FORMAT and number not in READ:
        raise NewerFormatError(
            f"is in format {number} of a newer batchrun ({version}); "
            f"this one reads formats up to {FORMAT}: install the newer one"
        )


def _kind_of(line: bytes, error: Exception) -> _Kind:
    try:
        return _kind.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError(f"not a line of a ledger: {error}") from error


def reason(record: Finished | Rejected | Lost) -> tuple[str, str]:
    """Return the code and the message of what ended a cell badly; no code: its status."""
    if isinstance(record, Lost):
        where = f"{record.file} (file {record.place + 1} of {record.all})"
        return LOST, f"{where} of cell {record.cell[:12]} is gone for good: {record.message}"
    if isinstance(record, Rejected):
        return record.code or f"HTTP {record.http_status}", record.message or ""
    return record.failure_code or record.status_code, record.failure_message or ""
