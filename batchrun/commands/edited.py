"""What a plan says of what was edited since the last start."""

import os
from collections.abc import Mapping

from msgspec.structs import replace

from batchrun.commands.call import Call
from batchrun.errors import ManifestError
from batchrun.ledger.reader import Readable
from batchrun.manifest.data.changes import digests
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.edits import (
    Edits,
    by_inputs,
    by_manifest,
    changed_files,
    lost_earlier,
)
from batchrun.results.orphans import Lost, lost_cells
from batchrun.results.result_files import MANIFEST
from batchrun.results.starts import newest_start, without_values
from batchrun.results.tally import Counting
from batchrun.sweep.location import folder_of


def edited(call: Call, ledger: Readable, counting: Counting) -> Edits | None:
    """Return what was edited since the last start, None where cells are as they were.

    *counting* has counted all cells of the manifest as it is now.
    """
    lost = lost_cells(ledger, counting.orphans())
    if not (lost.cells or counting.new):
        return None
    edits = _since_last_start(call, ledger, counting, lost)
    return edits if edits.lost.cells or edits.changes or edits.files else None


def _since_last_start(call: Call, ledger: Readable, counting: Counting, lost: Lost) -> Edits:
    text, files = _last_start(call)
    manifest = replace(call.manifest, redone={})  # what was made again is no edit
    now = _digests(manifest)
    if text is None or (text == manifest.text and not changed_files(files, now)):
        return Edits(lost=lost)
    try:
        kept = read_manifest(text, manifest.path, os.environ, kept=True)
        changed = changed_files(files, _digests(kept))
        if not changed:
            earlier = lost_earlier(call.manifest, kept, ledger, counting.orphans())
            return Edits(lost=lost, earlier=earlier, changes=by_manifest(manifest, kept))
    except ManifestError:  # a data file of it is gone
        changed = changed_files(files, now)
    changes = by_inputs(manifest, ledger, counting.orphans) if lost.cells else ()
    return Edits(lost=lost, changes=changes, files=changed, before="in the paid cells")


def _last_start(call: Call) -> tuple[bytes | None, Mapping[str, str | None]]:
    """Return the manifest of the last start, and the digests of its data files where known."""
    start = newest_start(call.folder)
    if start is not None:
        return start.manifest.encode("utf-8", "surrogateescape"), start.files
    try:
        return (call.folder / MANIFEST).read_bytes(), {}
    except OSError:
        return None, {}


def _digests(manifest: Manifest) -> Mapping[str, str | None]:
    found = digests(manifest.sources, folder_of(manifest.path))
    return without_values(found, manifest.sources.variables)
