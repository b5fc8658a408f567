"""What the ledger costs: memory, its fold, its commits, and a call with nothing to do."""

from typing import Final

from benchmarks import ledger
from benchmarks.page import Findings, Goal, Section, table

TASKS: Final = (64, 1000)
GOALS: Final = (
    Goal(what="bytes a cell, the most of all sizes", most=120, form=".0f"),
    Goal(what="the fold of a ledger, by json.loads over its lines", most=0.4),
    *(Goal(what=f"group commit of {tasks} tasks, of not durable", least=0.9) for tasks in TASKS),
    Goal(what="a call with nothing to do, by `import httpx`", most=2, form=".1f"),
)


def measure(*, quick: bool) -> Findings:
    sizes = (1000, 2000) if quick else (10_000, 100_000, 1_000_000)
    lines, records, cells = (8000, 200, 1000) if quick else (1_000_000, 5000, 100_000)
    held = {size: ledger.memory(size) for size in sizes}
    fold, fold_seconds = ledger.fold(lines)
    commits = {tasks: ledger.commit(records, tasks) for tasks in TASKS}
    again, again_seconds = ledger.again(cells)
    rows = [
        *(
            (f"memory of {size:,} cells", f"{each:.0f} bytes a cell", "")
            for size, each in held.items()
        ),
        (f"fold of {lines:,} lines", f"{fold_seconds:.2f} s", f"{fold:.2f} of json.loads"),
        *(
            (f"commit, {tasks} tasks", f"{rate:,.0f} records/s", f"{ratio:.2f} of not durable")
            for tasks, (ratio, rate) in commits.items()
        ),
        (
            f"a call on {cells:,} cells, all done",
            f"{again_seconds:.2f} s",
            f"{again:.1f} times `import httpx`",
        ),
    ]
    told = (
        "Beside it, in turns, a streaming json.loads over the same file, appends that are not "
        'durable, and `python -c "import httpx"`. The fold is of the CPU, commits and the call are '
        "at the clock on the wall."
    )
    ratios = [ratio for ratio, _ in commits.values()]
    shown = table(("what", "figure", "ratio"), rows)
    return Findings([told, shown], [max(held.values()), fold, *ratios, again])


SECTION: Final = Section(
    name="ledger", title="The ledger, and a second call", measure=measure, goals=GOALS
)
