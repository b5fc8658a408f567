"""Folders with a page of made-up results, of any size, for what is measured on pages."""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.manifest.cells import Cell
from batchrun.report.head import Head
from batchrun.report.writing import ReportWriter
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow, point

MODELS: Final = 5
SEEDS: Final = 4

EMPTY: Final = "empty.html"

_EMPTY: Final = """<!doctype html><meta charset="utf-8"><title>empty</title><script>
const kept = {}, names = NAMES;
window.batchrunTake = (name, chunk) => {
  kept[name] = chunk;
  if (Object.keys(kept).length === names.length) performance.mark("data");
};
for (const name of names) {
  const script = document.createElement("script");
  script.src = `report/data/${name}.js`;
  document.head.append(script);
}
</script>"""


class NoThumbnails:
    left = 0

    def of(self, _file: SavedFile) -> str | None:
        return None


def rows(cells: int) -> Iterator[PointRow]:
    """Yield the rows of prompts on models with seeds, as a sweep that succeeded has them."""
    prompts = -(-cells // (MODELS * SEEDS))
    choices = product(range(prompts), range(SEEDS), range(MODELS))
    for number, (prompt, seed, model) in zip(range(cells), choices, strict=False):
        text = f"a chair of the kind number {prompt}, of oak, by a window, in the evening light"
        values = {"prompt": text, "seed": seed, "aspect_ratio": "1:1"}
        yield _row(f"{number:032x}", f"model-{model}", values)


def _row(key: str, alias: str, values: dict[str, Any]) -> PointRow:
    cell = Cell(
        key=key,
        model=f"vendor/{alias}",
        alias=alias,
        input=values,
        replicate=1,
        values=values,
        ordinal=0,
    )
    file = SavedFile(path="files/one.svg", bytes=99, sha256=key * 2, content_type="image/svg+xml")
    ours = {
        "status": "succeeded",
        "attempts": 1,
        "run_id": f"{key[:8]}-5260-7b5e-b5b0-{key[-12:]}",
        "cost": "0.08",
        "shared": False,
        "duration_ms": 2000 + int(key, 16) % 9000,
        "created_at": "2026-11-29T21:45:38.656426Z",
        "completed_at": "2026-11-29T21:45:42.417398Z",
        "files": [file.path],
        "failure_code": None,
        "failure_message": None,
    }
    saved = Saved(cell=key, run_id="r", files=(file,), at="2026-11-29T21:45:43.000000Z")
    return PointRow(cell=cell, values=point(cell) | ours, saved=saved)


def write(folder: Path, cells: int) -> None:
    """Write a page of so many *cells*, and one that reads the same data and shows nothing."""
    writer = ReportWriter(OutputStore(folder), NoThumbnails())
    for each in rows(cells):
        writer.add(each)
    counts = {"cells": cells, "succeeded": cells}
    writer.finish(
        Head(
            name=f"{cells} cells",
            label=None,
            endpoint="simulator",
            simulated=True,
            folder=str(folder),
            counts=counts,
            cost="0.00",
            written_at="2026-11-29T21:45:43Z",
        )
    )
    (folder / "files").mkdir()
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9H0z"/></svg>'
    )
    (folder / "files/one.svg").write_text(picture)
    text = (folder / REPORT).read_text("utf-8")
    found = re.search(r'id="data-head">([^<]*)<', text)
    assert found is not None
    names = [each["overview"] for each in json.loads(found[1])["chunks"]]
    (folder / EMPTY).write_text(_EMPTY.replace("NAMES", json.dumps(names)))
