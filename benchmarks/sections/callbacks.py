"""What callbacks save, beside looking alone."""

from typing import Final

from benchmarks import callbacks
from benchmarks.page import Findings, Goal, Section, table
from benchmarks.sweeps import Sweep

RATE: Final = 10.0
MANY, FEW = 400, 16
GOALS: Final = (
    Goal(what=f"reading calls a run with callbacks, {MANY} in flight", most=0.05, form=".3f"),
    Goal(what=f"time of a sweep whose callbacks are all lost, by that without, {FEW}", most=1.01),
)


def measure(*, quick: bool) -> Findings:
    cells = 100 if quick else 1000
    found = {
        (in_flight, name): callbacks.measure(
            way, shape="constant", cells=cells, in_flight=in_flight, rate=RATE
        )
        for in_flight in (MANY, FEW)
        for name, way in callbacks.WAYS.items()
    }
    told = (
        f"{cells:,} runs of 30 s at {RATE:g} calls a second, in virtual time, with callbacks, "
        "without, and with all of them lost. A reading call asks how runs stand; the lag is how "
        "long the end of a run is not known."
    )
    heads = ("in flight, callbacks", "reading calls a run", "lag", "the sweep")
    shown = table(heads, (_row(*room, sweep) for room, sweep in found.items()))
    lost = found[FEW, "all lost"].makespan / found[FEW, "without"].makespan
    return Findings([told, shown], [found[MANY, "with"].looks, lost])


def _row(in_flight: int, name: str, sweep: Sweep) -> tuple[str, ...]:
    figures = f"{sweep.looks:.3f}", f"{sweep.lag:.1f} s", f"{sweep.makespan:,.0f} s"
    return f"{in_flight}, {name}", *figures


SECTION: Final = Section(name="callbacks", title="Callbacks", measure=measure, goals=GOALS)
