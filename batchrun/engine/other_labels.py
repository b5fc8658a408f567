"""Pays the looks that finished labels of this name owe; each call does, whatever its label is.

A wave that had a doubt is owed a look an hour later (rule 14 of the contract). The sweep of last
night is called no more, so tonight's call looks in its place, beside its own work. It never delays
the end of that, and passes over a label that another process holds.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from msgspec.structs import replace

from batchrun.base.progress import Moment
from batchrun.base.times import moment
from batchrun.engine.open_sweep import SweepFolder
from batchrun.engine.run import Runner, Services
from batchrun.errors import BatchrunError
from batchrun.ledger.book import Book
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.manifest.manifest import Manifest
from batchrun.settings import Settings
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import LEDGER, name_folder

OWED: Final = "looks-owed"
"""The file in a folder whose ledger owes a look; else each ledger would have to be read for it."""

MOST_WAVES: Final = 10
LARGEST: Final = 32 << 20
"""Bytes of a ledger that is opened: a larger one takes long, and its own label pays its looks."""
HOUR: Final = timedelta(hours=1)


def note_owed(folder: Path, book: Book) -> None:
    """Note whether the ledger of *folder* owes a look; where that can't be, it isn't paid."""
    with suppress(OSError):
        if book.doubted:
            (folder / OWED).touch()
        else:
            (folder / OWED).unlink(missing_ok=True)


async def pay_looks(
    folder: Path, manifest: Manifest, settings: Settings, services: Services
) -> None:
    """Look at what the other labels beside *folder* owe: at most ten waves."""
    left = MOST_WAVES
    for other in _owing_beside(folder):
        with suppress(BatchrunError), ExitStack() as stack:
            held = open_ledger(other, sweep=check_folder(other))
            ledger = await anyio.to_thread.run_sync(stack.enter_context, held)  # it may be large
            waves = len(ledger.book.doubted)
            if waves <= left and _is_due(ledger.book, services.client.server_now()):
                left -= waves
                await _pay(other, ledger, manifest, settings, services)
            note_owed(other, ledger.book)


def _owing_beside(folder: Path) -> Iterator[Path]:
    """Yield the folders of the sweep's other labels, and of the one without, that owe a look."""
    above = name_folder(folder)
    for other in (above, *sorted(above.glob("@*"), reverse=True)):
        ledger = other / LEDGER
        if other == folder or not (other / OWED).exists() or not ledger.exists():
            continue
        if ledger.stat().st_size <= LARGEST:
            yield other


async def _pay(
    folder: Path, ledger: Ledger, manifest: Manifest, settings: Settings, services: Services
) -> None:
    """Have a call look that submits nothing; the manifest is not asked for a cell."""
    assert ledger.book.sweep is not None
    sweep = SweepFolder(path=folder, ledger=ledger, line=ledger.book.sweep, manifest=manifest.path)
    unlimited = replace(settings, budget=None, budget_per_day=None, model_budgets={})
    quiet = replace(unlimited, download=False, only={}, limit=None)
    about = Services(
        client=services.client, downloads=services.downloads, progress=_Named(folder, services)
    )
    runner = Runner(manifest, quiet, sweep, ledger, about)
    runner.shutdown.submit_no_more("it only pays a look")
    await runner.run()


def _is_due(book: Book, now: datetime) -> bool:
    """Say whether all is over in a sweep but looks, and one of these is due."""
    if book.open or book.sweep is None:
        return False
    return any(_is_over(book.looked.get(ref), now) for ref in book.doubted)


def _is_over(looked: str | None, now: datetime) -> bool:
    """Say whether an hour has passed since a first look, if there was one."""
    return (at := moment(looked)) is None or now - at >= HOUR


class _Named:
    """Progress of which only the notes are passed on, with the label that they are of."""

    def __init__(self, folder: Path, services: Services) -> None:
        self._name = folder.name
        self._progress = services.progress

    def note(self, message: str) -> None:
        self._progress.note(f"{self._name}: {message}")

    def start(self, total: int, now: Callable[[], Moment]) -> None: ...
    def fewer(self, points: int) -> None: ...
    def passed(self, *, bad: str = "") -> None: ...
    def ended(self, *, bad: str = "") -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...
