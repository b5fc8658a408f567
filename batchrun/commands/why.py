"""`batchrun why MANIFEST|FOLDER CELL`: the life of one cell, by the ledger; no network, no lock.

It reads the index, and of the ledger only the cell's lines: a long ledger takes as long as a short
one, once the index has caught up.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import for_terminal, money
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.target import Subject, naming_recover, opened, recover_of, subject_of
from batchrun.errors import LedgerError, UsageError
from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import (
    BAD,
    GOOD,
    History,
    LookUp,
    Rest,
    State,
    Submit,
    Watch,
    left_out,
    next_step,
)
from batchrun.ledger.index import Index, open_index
from batchrun.ledger.missing_files import gone
from batchrun.ledger.reader import read_line
from batchrun.ledger.records import (
    Absent,
    AnyRecord,
    CellLine,
    Dropped,
    Extra,
    Finished,
    Intent,
    Lost,
    Mark,
    Parked,
    Priced,
    Rejected,
    Reused,
    Saved,
    Submitted,
    Sweep,
    reason,
)
from batchrun.ledger.scan import marks_in, redone_in
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.settings import Settings, settings_from
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import INDEX, LEDGER

NOTHING: Final = "nothing is left to do for this cell"
MOST_NAMED: Final = 5
SHOWN: Final = 12
"""Characters of a key that are shown where one could be typed."""


class Life(Struct, frozen=True, kw_only=True):
    """A cell's lines in their order, and what they come to; *mark* is its wish, without a line."""

    key: str
    history: History
    records: Sequence[AnyRecord]
    mark: Mark | None = None

    @property
    def input(self) -> Any:
        """The newest input that an intent carried."""
        given = [each.input for each in self.records if isinstance(each, Intent) and each.input]
        return given[-1] if given else {}


def main(argv: Sequence[str]) -> int:
    """Print the life of a cell; 0 whenever it could be read."""
    parser = Parser("why", description="The life of one cell, by the ledger alone.")
    parser.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    parser.add_argument("cell", metavar="CELL", help="a key's beginning, a run's id, or a file")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    values = vars(parser.parse_args(argv))
    subject = subject_of(values["target"], take_place(values))
    with naming_recover(recover_of(subject.command)):
        life = life_of(subject, values["cell"])
    print(as_json(life) if values["json"] else "\n".join(map(for_terminal, lines(life, subject))))
    return 0


def life_of(subject: Subject, text: str) -> Life:
    """Return the life of the cell that *text* means; UsageError where that is none, or several."""
    path = subject.folder / LEDGER
    sweep = check_folder(subject.folder)
    if not path.exists():
        with opened(subject):  # says how to begin
            pass
    try:
        with path.open("rb") as ledger:
            if sweep not in {None, _sweep_of(ledger.fileno(), path)}:
                with opened(subject):  # says whose it is
                    pass
            return _life(subject, ledger.fileno(), meant(subject.folder, text))
    except ValueError as error:
        with opened(subject):  # names the broken line
            pass
        raise LedgerError(f"cannot index the ledger {path}: {error}") from error
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {path}: {error.strerror or error}") from error


def _life(subject: Subject, ledger: int, texts: Sequence[str]) -> Life:
    """Read the cell that one of *texts* means, by the folder's index, else by a new one.

    An index that can't be used, or doesn't fit the ledger's lines, says nothing of the ledger.
    """
    try:
        with open_index(subject.folder) as index:
            index.catch_up(ledger)
            return _read(index, ledger, subject.folder / LEDGER, texts)
    except (OSError, ValueError, TypeError, LookupError, LedgerError):
        with suppress(OSError):
            (subject.folder / INDEX).unlink(missing_ok=True)
    with closing(Index(None)) as index:
        index.catch_up(ledger)
        return _read(index, ledger, subject.folder / LEDGER, texts)


def _read(index: Index, ledger: int, path: Path, texts: Sequence[str]) -> Life:
    """Return the cell that one of *texts* means; ValueError or LookupError for an odd index."""
    found = next(filter(None, map(index.find, texts)), ())
    marks = {} if found else marks_in(path)
    wished = [each for each in marks if each.startswith(texts[0])]
    key = the_one(found or wished, texts[0])
    if wished:
        return Life(key=key, history=History(), records=(), mark=marks[key])
    records = [read_line(ledger, line, path) for line in index.lines(key)]
    history = index.history(key)
    if history is None or not all(isinstance(r, CellLine) and r.cell == key for r in records):
        raise LookupError(key)
    return Life(key=key, history=history, records=records)


def _sweep_of(ledger: int, path: Path) -> str | None:
    """Return the sweep that the first line of the ledger names."""
    try:
        first = read_line(ledger, 0, path)
    except (ValueError, LedgerError):
        return None
    return first.sweep if isinstance(first, Sweep) else None


def meant(folder: Path, text: str) -> Sequence[str]:
    """Return what *text* may be in the ledger: itself, or the path of a file below *folder*."""
    try:
        text.encode()
        path, base = Path(text).absolute(), folder.absolute()
        places = ((path, base), (path.resolve(), base.resolve()))
        return [text, *(os.path.relpath(found, below) for found, below in places)]
    except (OSError, ValueError) as error:
        raise UsageError(f"CELL is no key, no run's id and no file: {error}") from None


def the_one(found: Sequence[str], text: str) -> str:
    if not found:
        raise UsageError(f"no cell of the ledger has the key, the run or the file `{text}`")
    if len(found) > 1:
        keys = ", ".join(key[:SHOWN] for key in found[:MOST_NAMED])
        more = "" if len(found) <= MOST_NAMED else f" and {len(found) - MOST_NAMED} more"
        raise UsageError(f"`{text}` means {len(found)} cells: {keys}{more}; give more of the key")
    return found[0]


def lines(life: Life, subject: Subject) -> Iterator[str]:
    """Yield what people read: the cell, its input, its lines, what the next call does with it."""
    history = life.history
    if life.mark is not None:
        number, of = life.mark.replicate, life.mark.cell[:SHOWN]
        yield f"{life.key}  to be made as replicate {number} of cell {of}: {history.state}"
    else:
        yield f"{life.key}  {history.model} ({history.alias}): {history.state}"
    for name, value in life.input.items():
        yield f"  {name}: {json.dumps(value, ensure_ascii=False)}"
    yield ""
    for record in life.records:
        yield f"{record.at[:19].replace('T', ' ')}  {described(record)}"
    yield ""
    yield next_call(life, subject)


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
    reserved = "" if record.reserved is None else f", {money(record.reserved)} USD reserved"
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
    return "" if record.cost is None else f", {money(record.cost)} USD"


def next_call(life: Life, subject: Subject) -> str:
    """Say whether and why the next call takes the cell up."""
    manifest, history, command = subject.manifest, life.history, subject.command
    settings = (
        settings_from({}, model_concurrency={}, model_prices={})
        if manifest is None
        else manifest.settings()
    )
    match next_step(history, attempts=settings.attempts):
        case Submit() if manifest is not None and not _names(manifest, life, subject.folder):
            return "the cell is no longer in the manifest: no call takes it up"
        case Submit(number):
            return f"`{command}` begins attempt {number} of {settings.attempts}"
        case LookUp():
            return f"`{command}` looks up whether a run exists"
        case Watch():
            return f"`{command}` sees run {history.run_id} to its end"
        case Rest():
            said = _rests(history, settings, command, lost=_lost(life, subject.folder))
            known = manifest is not None and said == NOTHING
            return f"{said}{_redo(command, life.key)}" if known else said


def _redo(command: str, key: str) -> str:
    redo = command.replace("batchrun", "batchrun redo", 1)
    return f"; `{redo} --only cell={key[:SHOWN]}` makes it again, and is paid for"


LEFT_OUT: Final = {
    FailureClass.MODERATED: "the cell was moderated",
    FailureClass.INPUT: "the run failed for its input; another input is another cell",
}


def _names(manifest: Manifest, life: Life, folder: Path) -> bool:
    """Say whether the manifest has the cell; each cell is looked at until it is found."""
    manifest = replace(manifest, redone=redone_in(folder / LEDGER))
    return any(cell.key == life.key for cell in expand(manifest))


def _lost(life: Life, folder: Path) -> Sequence[str]:
    """Return the files of the cell's last `saved` line that are no longer there."""
    saved = [record for record in life.records if isinstance(record, Saved | Reused)]
    return gone(saved[-1], folder) if saved else []


def _rests(history: History, settings: Settings, command: str, *, lost: Sequence[str]) -> str:
    """Say why a cell gets no further attempt."""
    if history.state in GOOD and settings.download and not history.saved:
        return f"`{command}` saves the outputs"
    if history.state in GOOD and lost and settings.download:
        return f"`{command}` fetches {', '.join(lost)} again"
    if history.state in GOOD:
        return NOTHING
    if (why := left_out(history)) is not None:
        return f"{LEFT_OUT[why]}; `{command} --retry-failed --only code=…` tries it once more"
    if history.state is State.REJECTED:
        return "the API refused the input; another input in the manifest is another cell"
    return f"no attempt is left; `{command} --retry-failed` grants more"


def as_json(life: Life) -> str:
    """Return the cell as one JSON object; `lines` are the ledger's."""
    history = life.history
    found = {
        "cell": life.key,
        "model": history.model,
        "alias": history.alias,
        "status": str(history.state),
        "attempts": history.attempt,
        "run_id": history.run_id,
        "input": life.input,
        "lines": msgspec.to_builtins(list(life.records)),
    }
    return json.dumps(found)
