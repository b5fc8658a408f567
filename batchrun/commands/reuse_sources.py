"""Other sweeps whose results `--reuse` may take over, and how their cells stand there."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from batchrun.base.endpoint import SIMULATOR, is_loopback
from batchrun.base.regular_file import open_regular
from batchrun.commands.call import Call
from batchrun.errors import UsageError
from batchrun.ledger.file import check_sweep
from batchrun.ledger.history import GOOD, NOWHERE, OPEN, History, State
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import Finished, Reused, Saved, SavedFile
from batchrun.sweep.identity import Identity, read_identity
from batchrun.sweep.location import LEDGER


class There(StrEnum):
    """How a paid cell stands in another sweep, as a message has it."""

    SAVED = "saved"
    OPEN = "not ended yet"
    UNSAVED = "not saved"
    CHANGED = "changed since it was saved"
    PARTLY = "only in part a success"


class Source:
    """Another sweep, whose results may be taken."""

    def __init__(self, folder: Path, identity: Identity, reader: Reader) -> None:
        self.folder = folder
        self.identity = identity
        self._reader = reader

    def standing(self, key: str) -> There | None:
        """Return how a cell stands that is paid there, by its files' content; None for others."""
        history = self._reader.book.histories.find(key)
        if history is None or history.state not in GOOD | OPEN:
            return None
        if history.state in OPEN:
            return There.OPEN
        if history.state is State.PARTIAL_SUCCEEDED:
            return There.PARTLY
        if not history.saved or key in self._reader.book.files.lost:
            return There.UNSAVED
        whole = all(holds(self.folder / file.path, file) for file in self.saved(key).files)
        return There.SAVED if whole else There.CHANGED

    def knows(self, key: str) -> bool:
        """Say whether a cell has succeeded there."""
        return self._reader.book.history(key).state in GOOD

    def saved(self, key: str) -> Saved | Reused:
        """Return the line that says what is saved of a cell that it has."""
        record = self._reader.read(self._history(key).saved_line)
        assert isinstance(record, Saved | Reused)
        return record

    def origin(self, key: str) -> str:
        """Return the sweep whose run a cell has that is saved there."""
        saved = self._original(key)
        return saved.sweep if saved is not None else self.identity.sweep

    def cost(self, key: str) -> Decimal | None:
        """Return what the cell's run has cost."""
        line = self._history(key).ended_line
        if line == NOWHERE:
            original = self._original(key)
            return None if original is None else original.cost
        ended = self._reader.read(line)
        return ended.cost if isinstance(ended, Finished) else None

    def _original(self, key: str) -> Reused | None:
        saved = self.saved(key)
        return saved if isinstance(saved, Reused) else None

    def _history(self, key: str) -> History:
        return self._reader.book.history(key)


@contextmanager
def opened_sources(folders: Collection[Path], call: Call) -> Iterator[Sequence[Source]]:
    """Read the sweeps in *folders*; UsageError where *call* can't take anything over from one."""
    with ExitStack() as stack:
        yield [stack.enter_context(opened_source(folder, call)) for folder in folders]


@contextmanager
def opened_source(folder: Path, call: Call) -> Iterator[Source]:
    """Read the sweep in *folder*; UsageError where *call* can't take anything over from there."""
    ledger = folder / LEDGER
    identity = read_identity(folder) if ledger.exists() else None
    if identity is None:
        raise UsageError(
            f"`--reuse {folder}`: no sweep is there; name a folder with a {LEDGER} and a sweep.json"
        )
    if folder.resolve() == call.folder.resolve():
        raise UsageError(f"`--reuse {folder}` is this sweep's own folder; name another sweep's")
    if identity.endpoint != call.endpoint and _makes_nothing_real(identity.endpoint):
        raise UsageError(
            f"`--reuse {folder}`: what the simulator made at {identity.endpoint} is nothing real, "
            f"and is not reused at {call.endpoint}"
        )
    with open_reader(ledger) as reader:
        check_sweep(reader.book, identity.sweep, ledger)
        forget_missing(reader.book, ledger)
        yield Source(folder, identity, reader)


def _makes_nothing_real(endpoint: str) -> bool:
    """Say whether an endpoint is the simulator, or of this machine, where only it is served."""
    return endpoint == SIMULATOR or is_loopback(urlsplit(endpoint).hostname or "")


def holds(path: Path, file: SavedFile) -> bool:
    """Say whether the file at *path* is what was saved."""
    try:
        if path.stat().st_size != file.bytes:
            return False
        with open_regular(path) as data:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
    except OSError:
        return False
