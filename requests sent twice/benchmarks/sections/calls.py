"""How many calls a sweep makes, and what that costs in time: looks and submits."""

from typing import Final

from benchmarks import batches, watching
from benchmarks.page import Findings, Goal, Section, joined, table
from benchmarks.sweeps import SHAPES, Sweep

PAGES: Final = (100, 500)
WAVES: Final = (50, 100, 200, 500, 0)  # 0 is the default
RATES: Final = (200.0, 10.0)
UNDER: Final = 2.0
LAG: Final = 3.0
GOALS: Final = (
    Goal(what="looks a run, pages of 100", most=0.12, form=".3f"),
    Goal(what="seconds from an end to its discovery, pages of 100", most=LAG),
    Goal(what="looks a run, pages of 500", most=0.06, form=".3f"),
    Goal(what="seconds from an end to its discovery, pages of 500", most=LAG),
    Goal(what="time of single runs by the least possible, constant", most=1.05, form=".3f"),
    Goal(what="time of single runs by the least possible, lognormal", most=1.2, form=".3f"),
    Goal(what="submits a run in batches, the worst shape", most=0.05, form=".3f"),
    Goal(what="time in batches by that of singles, the worst shape", most=1.05, form=".3f"),
)


Pair = tuple[Sweep, Sweep]


def measure(*, quick: bool) -> Findings:
    cells, in_flight, crowd = (100, 50, 50) if quick else (10_000, 200, 1000)
    return joined(
        looks(cells, in_flight), against_the_least(cells, in_flight), in_batches(cells, crowd)
    )


def looks(cells: int, in_flight: int) -> Findings:
    """Return the curve of looks against lateness, by size of waves."""
    curve = {
        (page, wave): watching.measure(
            shape="even", page=page, wave=wave, cells=cells, in_flight=in_flight, rate=20
        )
        for page in PAGES
        for wave in WAVES
    }
    rows = [(str(wave or "auto"), *_looks([curve[page, wave] for page in PAGES])) for wave in WAVES]
    heads = [f"{what}, pages of {page}" for page in PAGES for what in ("looks a run", "s late")]
    told = (
        f"In virtual time: {cells:,} runs of 30 s in the mean, {in_flight} in flight; a look is a "
        "page of a list or the reading of one run. Peers that ask for each run every 2 s need 15 "
        "looks a run. First single runs, durations spread evenly by ±80 %, at 20 calls a second, "
        "with waves of so many runs; `auto` is the default."
    )
    auto = [figure for page in PAGES for figure in (curve[page, 0].looks, curve[page, 0].lag)]
    return Findings([told, table(("wave", *heads), rows)], auto)


def _looks(sweeps: list[Sweep]) -> list[str]:
    return [figure for each in sweeps for figure in (f"{each.looks:.3f}", f"{each.lag:.2f}")]


def against_the_least(cells: int, in_flight: int) -> Findings:
    """Return how much longer than the least possible single runs take, by shape and rate."""
    ratios: dict[tuple[str, float], float] = {}
    for shape in SHAPES:
        for rate in RATES:
            sweep = watching.measure(
                shape=shape, page=500, wave=0, cells=cells, in_flight=in_flight, rate=rate
            )
            ratios[shape, rate] = sweep.makespan / sweep.bound
    rows = [(shape, *(f"{ratios[shape, rate]:.3f}" for rate in RATES)) for shape in SHAPES]
    told = (
        "The time single runs take, as a multiple of the least that anybody could take who makes "
        f"as many calls and knows of each end at once. {RATES[0]:g} calls a second hold nobody "
        f"back, {RATES[1]:g} are the default."
    )
    shown = table(("durations", *(f"{rate:g} calls/s" for rate in RATES)), rows)
    return Findings([told, shown], [ratios[shape, RATES[0]] for shape in ("constant", "lognormal")])


def in_batches(cells: int, in_flight: int) -> Findings:
    """Return what batches need beside single runs; the goals are for where no rate holds back."""
    pairs = {
        (shape, rate): _pair(shape, rate, cells, in_flight)
        for shape in SHAPES
        for rate in (batches.FREE, UNDER)
    }
    rows = [
        (f"{shape}, {'free' if rate == batches.FREE else f'{rate:g}/s'}", *_beside(*pair))
        for (shape, rate), pair in pairs.items()
    ]
    told = (
        f"{in_flight:,} in flight, batches of up to 100 beside single runs, at a rate that holds "
        f"nobody back and at {UNDER:g} calls a second."
    )
    heads = ("submits a run", "looks a run", "of singles", "s in all", "of singles", "ratio")
    free = [pair for (_, rate), pair in pairs.items() if rate == batches.FREE]
    worst = [
        max(batched.submits for _, batched in free),
        max(batched.makespan / singles.makespan for singles, batched in free),
    ]
    return Findings([told, table(("durations, rate", *heads), rows)], worst)


def _pair(shape: str, rate: float, cells: int, in_flight: int) -> Pair:
    """Return what a sweep takes with single runs, and with batches."""
    singles, batched = (
        batches.measure(shape=shape, cells=cells, in_flight=in_flight, rate=rate, batch=batch)
        for batch in (1, 100)
    )
    return singles, batched


def _beside(singles: Sweep, batched: Sweep) -> tuple[str, ...]:
    return (
        f"{batched.submits:.3f}",
        f"{batched.looks:.3f}",
        f"{singles.looks:.3f}",
        f"{batched.makespan:,.0f}",
        f"{singles.makespan:,.0f}",
        f"{batched.makespan / singles.makespan:.3f}",
    )


SECTION: Final = Section(
    name="calls", title="Calls, and the time they cost", measure=measure, goals=GOALS
)
