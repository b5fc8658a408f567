"""What each part of a call is given: where the engine meets the rest. It never changes."""

from msgspec import Struct

from batchrun.base.progress import Progress
from batchrun.engine.open_sweep import SweepFolder
from batchrun.ledger.file import Ledger
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.client import Client
from batchrun.settings import Settings


class Context(Struct, frozen=True, kw_only=True):
    """One call: what is asked for, where it is remembered, and who is asked."""

    manifest: Manifest
    settings: Settings
    folder: SweepFolder
    ledger: Ledger
    client: Client
    progress: Progress

    @property
    def sweep(self) -> str:
        """The id of the sweep."""
        return self.folder.sweep
