"""A ledger, to be read: no network, no lock, and nothing is written."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from batchrun.commands.target import started_with
from batchrun.errors import UsageError
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import AnyRecord, decode
from batchrun.manifest.load import load_settings
from batchrun.results.gathering import results_of
from batchrun.results.result import Result
from batchrun.results.starts import newest_start
from batchrun.results.tally import Tally, count_ledger
from batchrun.settings import Settings, settings_from
from batchrun.sweep.identity import check_folder, read_identity
from batchrun.sweep.location import LEDGER


class LedgerView:
    """A ledger as it was when it was read: what its lines come to; and its lines, as they are now.

    *sweep*, *name*, *label* and *endpoint* say whose it is, *cost* is what it has cost in USD.
    *counts* are of all its cells, *models* the same of each model with its
    cost, by its alias.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LEDGER
        check_folder(folder)
        if not path.exists():
            raise UsageError(f"there is no sweep in {folder}")
        with open_reader(path) as reader:
            book = reader.book
        settings = _settings_in(folder)
        counted = count_ledger(book, attempts=settings.attempts, download=settings.download)
        self.path = path
        self.sweep = None if book.sweep is None else book.sweep.sweep
        self.name = None if book.sweep is None else book.sweep.name
        self.label = None if book.sweep is None else book.sweep.label
        self.endpoint = None if book.sweep is None else book.sweep.endpoint
        self.cost: Decimal = book.cost
        self.counts: Tally = counted.tally
        self.models = {row.alias: row for row in counted.models}

    def __repr__(self) -> str:
        return f"<LedgerView {self.path}: {self.counts.cells:,} cells>"

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return self.path.parent

    def __iter__(self) -> Iterator[AnyRecord]:
        """Yield the records, from the first line; those of a type of a later batchrun are left out.

        The records are the structs of `batchrun.ledger.records`, as docs/ledger.md describes them.
        A line that isn't whole yet, at the end, is not there.
        """
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n") and (record := decode(line)) is not None:
                    yield record

    @property
    def results(self) -> Iterator[Result]:
        """The result of each cell, in the grid's order, by the manifest of the last start.

        Raises UsageError where that can't be read.
        """
        identity = read_identity(self.folder)
        manifest = None if identity is None else started_with(self.folder, identity)[0]
        if manifest is None:
            raise UsageError(f"the manifest that {self.folder} was started with can't be read")
        with open_reader(self.path) as reader:
            yield from results_of(manifest, manifest.settings(), reader, self.folder.absolute())


def _settings_in(folder: Path) -> Settings:
    """Return the settings of the last start, by which cells are judged; else the defaults."""
    start = newest_start(folder)
    if start is None:
        return settings_from({}, model_concurrency={}, model_prices={})
    return load_settings(start.manifest.encode("utf-8", "surrogateescape"), Path(start.path))
