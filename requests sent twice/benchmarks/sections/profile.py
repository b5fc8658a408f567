"""Where the time of one lifecycle goes."""

from typing import Final

from benchmarks.page import Findings, Goal, Section, table
from benchmarks.rooms import DISK, REST, in_process

SINGLE, BATCHES = "single/model", "runflow/model"
GOALS: Final = (
    Goal(what="the ledger's share of a single run's CPU", most=0.05, form=".1%"),
    Goal(what="the ledger's share of a batch's CPU", most=0.05, form=".1%"),
)


def measure(*, quick: bool) -> Findings:
    runs = 300 if quick else 10_000
    singles, ledger = in_process(SINGLE, runs=runs, in_flight=64)
    batches, ledger_of_batches = in_process(BATCHES, runs=runs, in_flight=64)
    last = {room: number for number, room in enumerate((DISK, REST), start=1)}
    rooms = sorted(
        singles | batches,
        key=lambda room: (last.get(room, 0), -singles.get(room, 0.0)),
    )
    rows = [(room, f"{singles.get(room, 0):.1%}", f"{batches.get(room, 0):.1%}") for room in rooms]
    rows.append(("*the ledger, with all it calls*", f"{ledger:.1%}", f"{ledger_of_batches:.1%}"))
    told = (
        f"The share of each room in the CPU of a whole call, {runs:,} runs, 64 in flight, by "
        "samples of the running call. The standard library and C count as the room's that calls "
        "them; the transport is batchrun's own, the event loop is asyncio and anyio. The ledger's "
        "share is its own code, what that calls, and the thread that writes and syncs."
    )
    shown = table(("room", "single runs", "batches"), rows)
    return Findings([told, shown], [ledger, ledger_of_batches])


SECTION: Final = Section(
    name="profile", title="Where the time of a run goes", measure=measure, goals=GOALS
)
