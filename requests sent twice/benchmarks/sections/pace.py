"""How much of a silent service's allowance is used, and what sharing the pace costs."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from benchmarks import pacing, sharing
from benchmarks.page import Findings, Goal, Section, joined, table

ALLOWED: Final = (2.0, 20.0, 200.0)
RATES: Final = (20.0, 200.0, 1000.0)
GOALS: Final = (
    Goal(what="used of what is allowed, the least of the rates", least=0.85, form=".1%"),
    Goal(what="refused of the calls, the most of the rates", most=0.05, form=".1%"),
    Goal(what="used at saturation, the least of the rates", least=0.97, form=".1%"),
)


def measure(*, quick: bool) -> Findings:
    if quick:
        return joined(from_cold(ALLOWED[:2], seeds=1), at_saturation(1), shared())
    return joined(from_cold(ALLOWED, seeds=3), at_saturation(3), shared())


def from_cold(rates: Sequence[float], *, seeds: int) -> Findings:
    """Return what is used and refused in the first minute, beside what one would write."""
    who = [name for name in pacing.CALLERS if name != "aiometer" or find_spec(name)]
    cold = {
        name: [_cold(name, allowed, seeds if name == "batchrun" else 1) for allowed in rates]
        for name in who
    }
    far = _cold("batchrun", 20, seeds, latency=0.5)
    told = (
        "A service that allows so many calls a second, with a burst of one second's worth, and "
        "says nothing but 429, is asked for ten times as many for 60 s; 50 ms a call, virtual "
        f"time, batchrun's worst of {seeds}. Beside it aiometer at that rate, and a semaphore of "
        f"{pacing.SEMAPHORE}, both of which sleep 1, 2, 4, … s when refused. Told are what is used "
        "of the allowance, and what is refused of the calls. Not among the goals are services far "
        f"away: at 500 ms and 20/s it is {_shares(far)}."
    )
    rows = [(name, *map(_shares, each)) for name, each in cold.items()]
    ours = cold["batchrun"]
    measured = [min(each["used"] for each in ours), max(each["refused"] for each in ours)]
    return Findings([told, table(("", *(f"{rate:g}/s" for rate in rates)), rows)], measured)


def at_saturation(rounds: int) -> Findings:
    found = {rate: pacing.saturated(rate, rounds) for rate in RATES}
    told = (
        "A service that takes everything, at the real clock; a loop that does nothing but look at "
        "the clock loses to the machine what its column lacks."
    )
    rows = [(f"{rate:g}/s", f"{f['used']:.1%}", f"{f['bare']:.1%}") for rate, f in found.items()]
    shown = table(("rate", "used", "used by a bare loop"), rows)
    return Findings([told, shown], [min(each["used"] for each in found.values())])


def shared() -> Findings:
    found = {peers: sharing.measure(peers) for peers in (0, 10)}
    told = "CPU of each departure where processes share the pace, and where it is not shared:"
    rows = [(str(n), f"{f['shared']:.1f}", f"{f['alone']:.1f}") for n, f in found.items()]
    return Findings([told, table(("other processes", "µs, shared", "µs, not shared"), rows)])


def _cold(who: str, allowed: float, seeds: int, *, latency: float = 0.05) -> dict[str, float]:
    """Return the worst of so many tries."""
    tries = range(1, seeds + 1)
    return pacing.worst([pacing.cold(who, allowed, latency=latency, seed=seed) for seed in tries])


def _shares(found: dict[str, float]) -> str:
    return f"{found['used']:.1%}, {found['refused']:.1%}"


SECTION: Final = Section(
    name="pace", title="Pacing, and sharing the pace", measure=measure, goals=GOALS
)
