"""Pages of rows that are made up, and what stands in a page, for the tests of the report."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from result_lines import cell

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.report.chunks import ShownLogs
from batchrun.report.data_files import FOLDER
from batchrun.report.head import Head
from batchrun.report.writing import Drawing, ReportWriter
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow, point

HOSTILE: Final = "</script><script>alert(1)</script><!-- ]]> \u202e\u2028 \ud800 &amp; \"'"

LOG: Final = f"03:00:00  error: {HOSTILE}\nstep draw: failed"


def head(**rest: Any) -> Head:
    given: dict[str, Any] = {
        "name": "chairs",
        "label": None,
        "endpoint": "simulator",
        "simulated": True,
        "folder": "/out/chairs",
        "counts": {"cells": 2, "succeeded": 2},
        "cost": "0.16",
        "written_at": "2026-11-29T03:00:00Z",
    }
    return Head(**given | rest)


def row(
    key: str,
    values: dict[str, Any],
    saved: Saved | None = None,
    started_at: str | None = None,
    *,
    alias: str = "banana",
    **rest: Any,
) -> PointRow:
    one = cell(key, alias, values=values)
    ours = {
        "status": "succeeded",
        "attempts": 1,
        "run_id": "r1",
        "cost": "0.08",
        "shared": False,
        "duration_ms": 2000,
        "created_at": None,
        "completed_at": None,
        "files": [],
        "failure_code": None,
        "failure_message": None,
    }
    values = point(one) | ours | rest
    return PointRow(cell=one, values=values, saved=saved, started_at=started_at)


class NoThumbnails:
    left = 0

    def of(self, file: SavedFile) -> str | None:
        return None


def written(
    folder: Path,
    rows: Sequence[PointRow],
    drawing: Drawing | None = None,
    as_of: int | None = None,
    **rest: Any,
) -> str:
    def logs(row: PointRow) -> ShownLogs | None:
        is_kept = row.values["failure_code"] == "TIMEOUT"
        return ShownLogs(path="logs/c 1/r1.json", end=LOG) if is_kept else None

    writer = ReportWriter(OutputStore(folder), drawing or NoThumbnails(), logs=logs, as_of=as_of)
    for each in rows:
        writer.add(each)
    writer.finish(head(**rest))
    return (folder / REPORT).read_text(encoding="utf-8")


def data_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / FOLDER).iterdir())}


def inside(text: str, name: str = "head") -> str:
    found = re.search(rf'id="data-{name}">([^<]*)</script>', text)
    assert found is not None
    return found[1]
