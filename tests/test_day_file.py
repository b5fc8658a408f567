"""The file of a day's budget between real processes, and on a disk that is full."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from processes import PATIENCE

from batchrun.base.disk import InlineDisk
from batchrun.errors import FolderError
from batchrun.ledger.day_file import DayFile
from batchrun.ledger.lock import is_held, locked

DRAW = """
import sys, anyio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from batchrun.base.disk import ThreadedDisk
from batchrun.ledger.day_file import DayFile
from batchrun.ledger.lock import locked

async def main(folder):
    clock = lambda: datetime.now(UTC)
    pool = DayFile(folder, "2026-01-01", limit=Decimal(1), disk=ThreadedDisk(), clock=clock)
    print("ready", flush=True)
    sys.stdin.readline()
    while await pool.reserve(Decimal("0.03"), least=Decimal("0.03"), spent=Decimal(0)):
        pass
    print(pool.drawn, flush=True)
    sys.stdin.readline()

with locked(Path(sys.argv[1])):
    anyio.run(main, Path(sys.argv[1]))
"""


def test_two_processes_that_draw_at_once_never_draw_more_than_there_is(tmp_path: Path) -> None:
    folders = [tmp_path / "m" / label for label in ("@one", "@two")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DRAW, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    drawn = []
    try:
        for word in ("ready", ""):
            said = []
            for process in processes:
                assert process.stdout is not None
                said.append(process.stdout.readline().strip())
            drawn = said
            if word:
                for process in processes:
                    assert process.stdin is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
        assert all(is_held(folder) for folder in folders)
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=PATIENCE)

    assert sum(map(Decimal, drawn)) == Decimal("0.99")
    assert not any(is_held(folder) for folder in folders)


class FullDisk(InlineDisk):
    async def write(self, fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")


async def test_on_a_full_disk_nothing_is_drawn(tmp_path: Path) -> None:
    with locked(tmp_path):
        pool = DayFile(
            tmp_path,
            "2026-01-01",
            limit=Decimal(1),
            disk=FullDisk(),
            clock=lambda: datetime.now(UTC),
        )
        with pytest.raises(FolderError, match="free some space"):
            await pool.reserve(Decimal("0.5"), least=Decimal("0.5"), spent=Decimal(0))

    assert pool.drawn == 0
