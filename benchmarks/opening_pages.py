"""How long a page of results takes to open, and how many nodes it has, in a headless Chromium.

    python -m benchmarks.opening_pages [--cells 100,10000,100000] [--rounds 5]

Each page stands beside one that reads the same data and shows nothing, in the same browser, by
turns. Times are from the beginning of the navigation, the median of the rounds: until the empty
page has the data, until the first tile is in the tree of the page, and until the first picture has
loaded. It needs Chromium, its driver and the extra `browser`.
"""

import argparse
import json
import re
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.manifest.cells import Cell
from batchrun.report.head import Head
from batchrun.report.writing import ReportWriter
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow, point

OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

MOST_NODES: Final = 6000

MODELS: Final = 5
SEEDS: Final = 4

WATCH: Final = """
    const mark = (name) => performance.getEntriesByName(name).length || performance.mark(name);
    new MutationObserver((_, observer) => {
      if (document.querySelector(".tile") === null) return;
      observer.disconnect();
      mark("tile");
    }).observe(document, { childList: true, subtree: true });
    const seen = ({ target }) => target.matches?.(".tile img") && mark("picture");
    document.addEventListener("load", seen, true);
"""
"""Runs before the page: marks what is seen of it, whatever the page says of itself."""

MARKED: Final = "return performance.getEntriesByName(arguments[0])[0]?.startTime ?? null"

EMPTY: Final = """<!doctype html><meta charset="utf-8"><title>empty</title><script>
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
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="9"/></svg>'
    (folder / "files/one.svg").write_text(picture)
    text = (folder / REPORT).read_text("utf-8")
    found = re.search(r'id="data-head">([^<]*)<', text)
    assert found is not None
    names = [each["overview"] for each in json.loads(found[1])["chunks"]]
    (folder / "empty.html").write_text(EMPTY.replace("NAMES", json.dumps(names)))


@contextmanager
def browser() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for each in (*OPTIONS, "--window-size=1280,800", f"--user-data-dir={profile}"):
            options.add_argument(each)
        options.binary_location = shutil.which("chromium") or ""
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def opened(driver: Any, path: Path, *marks: str) -> list[float]:
    """Open the page at *path*; return the seconds until each of its *marks*."""
    driver.get("about:blank")
    driver.get(path.as_uri())
    return [_moment(driver, name) for name in marks]


def _moment(driver: Any, name: str) -> float:
    wait = WebDriverWait(driver, 300, 0.05)
    return float(wait.until(lambda _: driver.execute_script(MARKED, name))) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="100,10000,100000")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{'cells':>9} {'nodes':>6} {'data':>8} {'first tile':>11} {'ratio':>6} {'picture':>8}")
    for cells in map(int, options.cells.split(",")):
        with tempfile.TemporaryDirectory() as name, browser() as driver:
            folder = Path(name)
            write(folder, cells)
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            times = [
                (
                    *opened(driver, folder / "empty.html", "data"),
                    *opened(driver, folder / REPORT, "tile", "picture"),
                )
                for _ in range(options.rounds)
            ]
            nodes = driver.execute_script("return document.querySelectorAll('*').length")
            data, tile, picture = map(statistics.median, zip(*times, strict=True))
            figures = f"{data:>7.3f}s {tile:>10.3f}s {tile / data:>6.1f} {picture:>7.3f}s"
            print(f"{cells:>9,} {nodes:>6,} {figures}")
            if nodes > MOST_NODES:
                raise SystemExit(f"{nodes:,} nodes are more than {MOST_NODES:,}")


if __name__ == "__main__":
    main()
