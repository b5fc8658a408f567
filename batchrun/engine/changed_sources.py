"""Files that the manifest was read from, and that are others by now: no further cell is begun.

Cells are made when a slot is free, from rows and lines that are read then. After an edit they would
be cells of neither manifest. So before each cell is begun the files are asked for; what is in
flight is seen to its end.
"""

from batchrun.base.text import number_of
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import BatchrunError, ManifestError, SourceChangedError
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.data.changes import Watch
from batchrun.manifest.grid.expand import upper_bound
from batchrun.manifest.manifest import Manifest


class ChangedSources:
    """Ends a call whose files have changed, and counts the cells that it has come to."""

    def __init__(self, manifest: Manifest, shutdown: Shutdown) -> None:
        self._manifest = manifest
        self._shutdown = shutdown
        self._watch = Watch(manifest.sources)
        self._begun = KeyIndex()

    def begin(self, key: str) -> None:
        """Count a cell that has begun, in this call or before. One that is drawn again is known."""
        if self._manifest.sources.read_again:
            self._begun.add(key)

    def stopped(self) -> bool:
        """Ask for no further run where a file has changed, and say so."""
        written = self._watch.changed()
        if written is not None:
            self.stop(SourceChangedError(written))
        return written is not None

    def stop(self, error: ManifestError) -> None:
        """Ask for no further run: the grid can't be walked any further."""
        self._shutdown.submit_no_more(self.named(error))

    def named(self, error: BatchrunError) -> BatchrunError:
        """Return *error*, or the change of a file that it comes of, with the cells begun."""
        if not isinstance(error, ManifestError):
            return error
        written = error.written if isinstance(error, SourceChangedError) else self._watch.changed()
        if written is None:
            return error
        begun = f"{len(self._begun):,} of {number_of(upper_bound(self._manifest), 'cell')}"
        return SourceChangedError(written, f"{begun} were begun with the old one")
