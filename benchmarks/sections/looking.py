"""What a look at a sweep costs."""

from typing import Final

from benchmarks import looking
from benchmarks.page import Findings, Goal, Section, table

GOALS: Final = (
    Goal(what="`why` on a million lines, by `batchrun --version`", most=2, form=".1f"),
    Goal(what="`why` on a million lines, by `why` on four", most=1.1),
    Goal(what="seconds of `list` over 400 labels", most=1),
)


def measure(*, quick: bool) -> Findings:
    lines, labels, rounds = (4000, 10, 1) if quick else (1_000_000, 400, 9)
    found = looking.why(lines, rounds)
    status, listing = looking.status(lines), looking.listing(labels)
    rows = [
        ("`batchrun --version`", f"{found['version']:.1f} ms of CPU"),
        ('`python -c "import sqlite3, msgspec"`', f"{found['bare']:.1f} ms of CPU"),
        ("`why`, a ledger of 4 lines", f"{found['short']:.1f} ms of CPU"),
        (f"`why`, a ledger of {lines:,} lines", f"{found['long']:.1f} ms of CPU"),
        ("`status`, the same ledger", f"{status:.1f} s"),
        (f"`list`, {labels} labels of 40 cells", f"{listing:.2f} s"),
    ]
    told = (
        "`why` once its index has caught up, whole processes, medians in turns; the libraries of "
        "the index and of the ledger alone take the second line. `status` and `list` are at the "
        "clock on the wall, `list` without any index."
    )
    ratios = [found["long"] / found["version"], found["long"] / found["short"], listing]
    return Findings([told, table(("", "figure"), rows)], ratios)


SECTION: Final = Section(name="looking", title="Looking at a sweep", measure=measure, goals=GOALS)
