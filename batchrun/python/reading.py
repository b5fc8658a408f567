"""A ledger, to be read: no network, no lock, and nothing is written."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from batchrun.errors import UsageError
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import AnyRecord, decode
from batchrun.results.tally import Tally, count_ledger
from batchrun.settings import settings_from
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import LEDGER


class LedgerView:
    """A ledger as it was when it was read: what its lines come to, and the lines themselves."""

    def __init__(self, folder: Path) -> None:
        path = folder / LEDGER
        check_folder(folder)
        if not path.exists():
            raise UsageError(f"there is no sweep in {folder}")
        with open_reader(path) as reader:
            book = reader.book
        settings = settings_from({}, model_concurrency={}, model_prices={})
        self.path = path
        self.sweep = None if book.sweep is None else book.sweep.sweep
        self.name = None if book.sweep is None else book.sweep.name
        self.label = None if book.sweep is None else book.sweep.label
        self.endpoint = None if book.sweep is None else book.sweep.endpoint
        self.cost: Decimal = book.cost
        counted = count_ledger(book, attempts=settings.attempts, download=settings.download)
        self.counts: Tally = counted.tally
        self.models = {row.alias: row.tally for row in counted.models}

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
