"""`batchrun logs MANIFEST|FOLDER CELL`: the logs and the steps of a cell's runs; no lock.

Logs that the folder keeps are shown without network; the service is asked for the others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from batchrun.base.text import for_terminal
from batchrun.commands.cell_life import folder_subject, life_in
from batchrun.commands.fetched_logs import logs_of
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.target import naming_recover, recover_of
from batchrun.ledger.life import Life
from batchrun.results.life_words import runs_of
from batchrun.results.log_words import in_words
from batchrun.runflow.run_logs import RunLogs

MOST_RUNS: Final = 10
"""Runs of one cell that are shown, the newest."""


def parser() -> Parser:
    """Return what the command takes."""
    made = Parser(
        "logs",
        description="The logs and the steps of a cell's runs, as the folder keeps them or the "
        "service shows them.",
    )
    made.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    made.add_argument(
        "cell", metavar="CELL", help="a key's beginning, a file, or the id of a run: of it alone"
    )
    add_place(made)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def main(argv: Sequence[str]) -> int:
    """Print the logs of a cell's runs; 0 whenever the cell could be read."""
    values = vars(parser().parse_args(argv))
    subject = folder_subject(values["target"], take_place(values), quiet=values["json"])
    with naming_recover(recover_of(subject.command)):
        life = life_in(subject, values["cell"])
    runs, left_out = _meant(life, values["cell"])
    logs = logs_of(subject, life.key, [run["run_id"] for run in runs])
    if values["json"]:
        print(_as_json(life, runs, logs, left_out))
    else:
        print("\n".join(map(for_terminal, _screen(life, runs, logs, left_out))))
    return 0


def _meant(life: Life, text: str) -> tuple[list[dict[str, Any]], str]:
    """Return the runs to show, the newest attempt last, and what is said of others."""
    runs = sorted(runs_of(life.records), key=lambda run: run["attempt"] or 0)
    named = [run for run in runs if run["run_id"] == text]
    if named or len(runs) <= MOST_RUNS:
        return named or runs, ""
    more = len(runs) - MOST_RUNS
    return runs[-MOST_RUNS:], f"{more:,} earlier runs are left out; the id of one shows its logs"


def _screen(
    life: Life, runs: Sequence[Mapping[str, Any]], logs: Sequence[RunLogs], left_out: str
) -> Iterator[str]:
    history = life.history
    of = f"  {history.model} ({history.alias})" if history.model else ""  # a wish has none yet
    yield f"{life.key}{of}: {history.state}"
    if left_out:
        yield left_out
    if not runs:
        yield "the cell has no run"
    for run, each in zip(runs, logs, strict=True):
        number = "" if run["attempt"] is None else f"attempt {run['attempt']}, "
        status = f": {run['status']}" if run["status"] else ""
        yield ""
        yield f"{number}run {run['run_id']}{status}"
        yield from in_words(each)


def _as_json(
    life: Life, runs: Sequence[Mapping[str, Any]], logs: Sequence[RunLogs], left_out: str
) -> str:
    both = zip(runs, msgspec.to_builtins(logs), strict=True)
    return json.dumps(
        {
            "cell": life.key,
            "model": life.history.model,
            "alias": life.history.alias,
            "status": str(life.history.state),
            "runs": [{**run, **each} for run, each in both],
            "left_out": left_out or None,
        }
    )
