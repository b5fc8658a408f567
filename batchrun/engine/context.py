"""The context that each part of a call is given: where the engine meets the rest."""

from msgspec import Struct

from batchrun.base.progress import Progress
from batchrun.engine.changed_sources import ChangedSources
from batchrun.engine.ends import Ends
from batchrun.engine.log_keeper import LogKeeper
from batchrun.engine.names import Names
from batchrun.engine.open_sweep import SweepFolder
from batchrun.engine.refusing_models import RefusingModels
from batchrun.engine.shutdown import Shutdown
from batchrun.ledger.file import Ledger
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.client import Client
from batchrun.settings import Settings


class Context(Struct, frozen=True, kw_only=True):
    """One call: what is asked for, where it is remembered, who is asked, and whether to stop."""

    manifest: Manifest
    settings: Settings
    folder: SweepFolder
    ledger: Ledger
    client: Client
    progress: Progress
    ends: Ends
    shutdown: Shutdown
    sources: ChangedSources
    names: Names
    log_keeper: LogKeeper
    refusing: RefusingModels

    @property
    def sweep(self) -> str:
        """The id of the sweep."""
        return self.folder.sweep
