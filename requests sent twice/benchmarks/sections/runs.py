"""What a run costs, beside what one would otherwise write."""

from typing import Final

from benchmarks.lifecycles import CASES, Found, compare, crowded
from benchmarks.page import Findings, Goal, Section, table

WRITTEN: Final = {
    "httpx": "httpx by hand",
    "aiometer": "aiometer with httpx by hand",
    "fast httpx": "httpx by hand, over batchrun's transport",
    "aiohttp": "aiohttp by hand",
    "single": "batchrun, single runs",
    "batches": "batchrun, batches of up to 100",
}
CROWDS: Final = (16, 200)
CROWDED: Final = {
    "single": "single runs, CPU a run at 200 in flight, of that at 16",
    "batches": "batches, CPU a run at 200 in flight, of that at 16",
}
GOALS: Final = (
    Goal(what="single runs a second, by httpx's by hand", least=7, form=".1f"),
    Goal(what="single runs a second, by httpx's over batchrun's transport", least=1),
    Goal(what="batches, runs a second, by aiohttp's", least=2),
    *(Goal(what=what, most=1.25) for what in CROWDED.values()),
)


def measure(*, quick: bool) -> Findings:
    runs, rounds = (300, 1) if quick else (3000, 3)
    found = compare(CASES, runs=runs, in_flight=64, rounds=rounds)
    crowds = crowded(list(CROWDED), runs=runs, crowds=CROWDS, rounds=rounds)
    told = (
        f"{runs:,} runs against a local server that answers at once, 64 in flight, and for the "
        "last columns 16 and 200. batchrun keeps its ledger (durable intents), its limiter and its "
        "results; the others send one POST and one GET a run and keep nothing. Each is a process "
        "of its own, in turns, and medians are told."
    )
    ratios = [
        _by(found, "single", "httpx"),
        _by(found, "single", "fast httpx"),
        _by(found, "batches", "aiohttp"),
        *(each[CROWDS[1]] / each[CROWDS[0]] for each in crowds.values()),
    ]
    return Findings([told, _costs(found, crowds)], ratios)


def _by(found: Found, case: str, yardstick: str) -> float | None:
    return found[case]["rate"] / found[yardstick]["rate"] if yardstick in found else None


def _costs(found: Found, crowds: dict[str, dict[int, float]]) -> str:
    httpx = found["httpx"]
    rows = []
    for case, one in found.items():
        crowded = [f"{crowds[case][each]:.2f}" if case in crowds else "" for each in CROWDS]
        times = f"{one['rate'] / httpx['rate']:.1f}"
        rows.append((WRITTEN[case], f"{one['rate']:,.0f}", times, f"{one['cpu']:.2f}", *crowded))
    crowds_of = [f"with {each} in flight" for each in CROWDS]
    return table(("", "runs/s", "times httpx", "ms of CPU a run", *crowds_of), rows)


SECTION: Final = Section(name="runs", title="What a run costs", measure=measure, goals=GOALS)
