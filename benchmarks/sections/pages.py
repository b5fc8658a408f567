"""How a page of results opens and scrolls, in a headless Chromium."""

from typing import Final

from benchmarks import chromium, opening_pages, scrolling_pages
from benchmarks.page import Findings, Goal, Section, joined, table

SIZES: Final = (100, 10_000, 100_000)
SPEED: Final = 4000
GOALS: Final = (
    Goal(what="first tile of 10,000 cells, by a page with the data alone", most=2, form=".1f"),
    Goal(what="first tile of 100,000 cells, by a page with the data alone", most=4, form=".1f"),
    Goal(what="nodes of a page, the most of the sizes", most=6000, form=",.0f"),
    Goal(what="pixels without a tile while it scrolls, the most of all frames", most=16, form="d"),
)


def measure(*, quick: bool) -> Findings:
    if not chromium.is_there():
        return Findings(["There was no Chromium to open them in."], [None] * len(GOALS))
    sizes, rounds = ((100, 1000, 2000), 1) if quick else (SIZES, 9)
    return joined(_opening(sizes, rounds), _scrolling(sizes[-1], quick=quick))


def _opening(sizes: tuple[int, ...], rounds: int) -> Findings:
    found = [opening_pages.measured(cells, rounds) for cells in sizes]
    told = (
        "Pages of made-up sweeps, opened from the disk. Beside each stands a page that reads the "
        "same data and shows nothing; both are opened in turns, and medians are told. Times are "
        "from the beginning of the navigation."
    )
    heads = ("cells", "size", "made in", "nodes", "data alone", "first tile", "first picture")
    rows = [
        (
            f"{each.cells:,}",
            f"{each.bytes / 1e6:.1f} MB",
            f"{each.made:.1f} s",
            f"{each.nodes}",
            f"{each.data * 1000:.0f} ms",
            f"{each.tile * 1000:.0f} ms",
            f"{each.picture * 1000:.0f} ms",
        )
        for each in found
    ]
    nodes = max(each.nodes for each in found)
    return Findings([told, table(heads, rows)], [found[1].ratio, found[2].ratio, nodes])


def _scrolling(cells: int, *, quick: bool) -> Findings:
    found = scrolling_pages.measured(cells, 1000 if quick else SPEED)
    told = (
        f"A page of {cells:,} cells scrolls by {SPEED:,} pixels a second. In each frame that the "
        "browser shows, the longest stretch over the tiles without a picture:"
    )
    rows = [(way, f"{each.frames}", f"{each.gap} pixels") for way, each in found.items()]
    shown = table(("way", "frames", "longest stretch"), rows)
    return Findings([told, shown], [max(each.gap for each in found.values())])


SECTION: Final = Section(name="pages", title="A page of results", measure=measure, goals=GOALS)
