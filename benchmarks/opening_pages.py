"""How long a page of results takes to open, and how many nodes it has, in a headless Chromium.

    python -m benchmarks.opening_pages [--cells 100,10000,100000] [--rounds 5]

Each page stands beside one that reads the same data and shows nothing, in the same browser, by
turns. Times are from the beginning of the navigation, the median of the rounds: until the empty
page has the data, until the first tile is in the tree of the page, and until the first picture has
loaded. It needs Chromium, its driver and the extra `browser`.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from batchrun.report.data_files import FOLDER as DATA
from batchrun.results.result_files import REPORT
from benchmarks.chromium import browser
from benchmarks.report_folders import EMPTY, write

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

MARKED: Final = """
    const [name, done] = arguments;
    const look = () => {
      const [mark] = performance.getEntriesByName(name);
      if (mark === undefined) setTimeout(look, 20);
      else done(mark.startTime);
    };
    look();
"""
"""Waits for a mark, and says when it was set."""


def opened(driver: Any, path: Path, *marks: str) -> list[float]:
    """Open the page at *path*; return the seconds until each of its *marks*."""
    driver.get("about:blank")
    driver.get(path.as_uri())
    return [driver.execute_async_script(MARKED, name) / 1000 for name in marks]


class Opened(NamedTuple):
    """Medians of one size, in seconds; *nodes* and *bytes* are those of the page and its data."""

    cells: int
    nodes: int
    bytes: int
    made: float
    data: float
    tile: float
    picture: float

    @property
    def ratio(self) -> float:
        """The first tile, by a page that reads the same data and shows nothing."""
        return self.tile / self.data


def measured(cells: int, rounds: int) -> Opened:
    """Write a page of so many *cells* and open it so many times, in a browser of its own."""
    with tempfile.TemporaryDirectory() as name, browser() as driver:
        folder = Path(name)
        began = time.perf_counter()
        write(folder, cells)
        made = time.perf_counter() - began
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        times = [
            (
                *opened(driver, folder / EMPTY, "data"),
                *opened(driver, folder / REPORT, "tile", "picture"),
            )
            for _ in range(rounds)
        ]
        nodes = driver.execute_script("return document.querySelectorAll('*').length")
        files = (folder / REPORT, *(folder / DATA).iterdir())
        size = sum(each.stat().st_size for each in files)
    return Opened(cells, nodes, size, made, *map(statistics.median, zip(*times, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="100,10000,100000")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{'cells':>9} {'nodes':>6} {'bytes':>11} {'made':>8} {'data':>8}", end=" ")
    print(f"{'first tile':>11} {'ratio':>6} {'picture':>8}")
    for cells in map(int, options.cells.split(",")):
        found = measured(cells, options.rounds)
        print(f"{cells:>9,} {found.nodes:>6,} {found.bytes:>11,} {found.made:>7.2f}s", end=" ")
        print(f"{found.data:>7.3f}s {found.tile:>10.3f}s {found.ratio:>6.1f}", end=" ")
        print(f"{found.picture:>7.3f}s")


if __name__ == "__main__":
    main()
