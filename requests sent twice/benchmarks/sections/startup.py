"""What a user waits for before anything happens."""

from typing import Final

from benchmarks.page import Findings, Goal, Section, table
from benchmarks.startup import compare

GOALS: Final = (
    Goal(what="`--help`, by bare python", most=1.5),
    Goal(what="the first request of a small sweep, by the bare imports", most=1.3),
)
CASES: Final = {
    "python": "`python -c pass`",
    "help": "`batchrun --help`",
    "bare to its end": "importing the libraries, whole process",
    "plan": "`batchrun plan`, whole process",
    "bare": "importing the libraries, and connecting",
    "bare + asyncio": "the same with the event loop",
    "first request": "`batchrun` on four cells, until its first request",
}


def measure(*, quick: bool) -> Findings:
    found = compare(rounds=1 if quick else 15)
    told = (
        "CPU from the start of a process; medians in turns. The libraries are those that every "
        "such call needs: httpx, anyio, yaml, tqdm, msgspec."
    )
    rows = [(CASES[case], f"{took:.1f}") for case, took in found.items()]
    ratios = [found["help"] / found["python"], found["first request"] / found["bare"]]
    return Findings([told, table(("", "ms of CPU"), rows)], ratios)


SECTION: Final = Section(name="startup", title="Start-up", measure=measure, goals=GOALS)
