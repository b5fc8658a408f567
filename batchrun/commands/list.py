"""`batchrun list [BASE]`: all sweeps and labels below a folder; no network, no lock."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from batchrun.base.said import width_for
from batchrun.commands.options import Parser
from batchrun.errors import UsageError
from batchrun.results.sweep_facts import SweepFacts, SweepReader
from batchrun.results.sweep_folders import sweeps_below
from batchrun.results.sweep_table import sweep_table
from batchrun.sweep.location import default_base

SECONDS: Final = 5.0
"""How long ledgers are folded and grids are walked; what comes after is not known."""


def main(argv: Sequence[str]) -> int:
    """Print the sweeps below a folder, the newest last; 0 whatever is wrong with one of them."""
    options = parser().parse_args(argv)
    base = _base(options.base)
    until = time.monotonic() + SECONDS
    reader = SweepReader(lambda: time.monotonic() > until)
    sweeps = sorted(map(reader.read, sweeps_below(base)), key=_order)
    if options.json:
        print(json.dumps({"base": str(base), "sweeps": [each.as_dict() for each in sweeps]}))
    else:
        print(sweep_table(sweeps, width_for(sys.stdout)) if sweeps else f"no sweep below {base}")
    return 0


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("list", description="All sweeps and labels below a folder.")
    made.add_argument(
        "base",
        type=Path,
        nargs="?",
        metavar="BASE",
        help="the folder; default: `outputs` where a manifest here would have it, else this one",
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def _base(given: Path | None) -> Path:
    """Return the folder that is meant; UsageError where there is none."""
    if given is not None and not given.is_dir():
        raise UsageError(
            f"{given} is no folder; `batchrun list` takes one that has sweeps below it"
        )
    usual = default_base(Path.cwd() / "manifest")
    return given or (usual if usual.is_dir() else Path.cwd())


def _order(facts: SweepFacts) -> tuple[str, str]:
    return facts.last or "", str(facts.folder)
