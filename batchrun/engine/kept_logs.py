"""The logs of runs that a sweep's folder keeps: `logs/CELL/RUN.json`, beside the files.

They are derived, and may be deleted: what a run came to is in the ledger, and nothing of these. A
file that can't be read counts as one that isn't there. A run's id is text from outside: one that is
no plain name is the name of its hash.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.runflow.run_logs import RunLogs
from batchrun.sweep.location import LOGS

MOST_BYTES: Final = 1 << 20
"""Of one file: of longer logs the end is kept, where the reason of a failure most likely stands."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


def name_of(cell: str, run_id: str) -> str:
    """Return the name of the file, below the sweep's folder."""
    if not _PLAIN.fullmatch(run_id):
        run_id = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{LOGS}/{cell}/{run_id}.json"


def has_logs(folder: Path, cell: str, run_id: str) -> bool:
    """Say whether logs of a run are kept."""
    return OutputStore(folder).exists(name_of(cell, run_id))


def keep_logs(folder: Path, cell: str, logs: RunLogs) -> None:
    """Keep the logs of a cell's run, whole or not at all; FolderError where that fails."""
    assert logs.run_id is not None
    OutputStore(folder).put(name_of(cell, logs.run_id), _text(logs))


def kept_logs(folder: Path, cell: str, run_id: str) -> RunLogs | None:
    """Return the logs of a run that are kept, None where there are none."""
    path = OutputStore(folder).path(name_of(cell, run_id))
    try:
        if path.stat().st_size > 2 * MOST_BYTES:  # it is none of ours
            return None
        logs = msgspec.json.decode(path.read_bytes(), type=RunLogs)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return logs if logs.run_id == run_id else None


def _text(logs: RunLogs) -> bytes:
    """Return *logs* as they are kept: their ends, where all of them would be too large."""
    while len(data := msgspec.json.format(msgspec.json.encode(logs), indent=1)) > MOST_BYTES:
        lines, steps = logs.lines, logs.node_runs
        if len(lines) >= len(steps):
            lines = lines[(len(lines) + 1) // 2 :]
        else:
            steps = steps[(len(steps) + 1) // 2 :]
        said = f"only the last {len(lines)} lines and {len(steps)} steps are kept"
        logs = replace(logs, lines=lines, node_runs=steps, said=said)
    return data + b"\n"
