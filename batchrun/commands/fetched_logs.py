"""The logs and the steps of runs: kept in the folder, else asked of the service, or why not."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC
from typing import Final

import anyio
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR
from batchrun.base.times import moment
from batchrun.commands.call import key_of
from batchrun.commands.connection import STATE, connected, served
from batchrun.commands.target import Subject
from batchrun.engine.kept_logs import kept_logs
from batchrun.errors import BatchrunError
from batchrun.ledger.history import BAD
from batchrun.runflow.run_logs import LogLine, NodeRun, RunLogs, logs_of_run
from batchrun.runflow.statuses import status
from batchrun.settings import Settings, settings_from
from batchrun.sweep.identity import read_identity

GIVE_UP: Final = 5.0
"""Seconds that the service may give no good answer: the rest is shown without it."""

LONGEST: Final = 30.0
"""Seconds that all of it may take, where a request hangs."""


def logs_of(subject: Subject, cell: str, run_ids: Sequence[str]) -> list[RunLogs]:
    """Return the logs of a cell's runs; `said` is why something is missing.

    Kept ones that show nothing are asked for again: a service may have been late with them. Nothing
    that goes wrong here is an error: what the ledger says is shown in any case.
    """
    found: dict[str, RunLogs] = {}
    for run_id in run_ids:
        if (kept := kept_logs(subject.folder, cell, run_id)) is not None:
            found[run_id] = kept
    missing = [each for each in run_ids if each not in found or found[each].is_empty]
    if missing and (said := _ask(subject, missing, found)):
        for run_id in missing:
            found.setdefault(run_id, RunLogs(run_id=run_id, said=f"no logs: {said}"))
    return [found[run_id] for run_id in run_ids]


def _ask(subject: Subject, run_ids: Sequence[str], found: dict[str, RunLogs]) -> str:
    """Add what the service has of the runs to *found*; return why some are missing, or ""."""
    endpoint = _endpoint(subject)
    if endpoint is None:
        return "the folder does not say which service it is of"
    key = key_of(endpoint)
    if key is None:
        return f"no key for {endpoint}; put it into RUNFLOW_API_KEY"
    if endpoint == SIMULATOR and not (subject.folder / STATE).exists():
        return "the simulator's state is gone"
    try:
        with ExitStack() as stack:
            url = stack.enter_context(served(endpoint, subject.folder))
            anyio.run(_fetch, url, key, run_ids, found)
    except BatchrunError as error:
        return str(error)
    except TimeoutError:
        return f"no answer from {endpoint} in {LONGEST:.0f} s"
    return ""


def _endpoint(subject: Subject) -> str | None:
    identity = read_identity(subject.folder)
    if identity is not None:
        return identity.endpoint
    return None if subject.manifest is None else subject.manifest.endpoint


async def _fetch(url: str, key: str, run_ids: Sequence[str], found: dict[str, RunLogs]) -> None:
    """Ask for one run after the other; what was had by then is in *found* where it breaks off."""
    chosen = {"give_up": GIVE_UP}
    settings: Settings = settings_from(chosen, model_concurrency={}, model_prices={})
    with anyio.fail_after(LONGEST):
        async with connected(url, key, settings, log=lambda _: None) as client:
            for run_id in run_ids:
                found[run_id] = await logs_of_run(run_id, client.part_of_run)


def in_words(logs: RunLogs) -> Iterator[str]:
    """Yield the logs of a run as people read them."""
    for line in logs.lines:
        yield f"  {_of_line(line)}"
    for step in logs.node_runs:
        yield f"  step {step.node or '?'}: {', '.join(_of_step(step))}"
    if logs.said:
        yield f"  {logs.said}"


def _of_line(line: LogLine) -> str:
    """Return a line with its time in UTC, where that can be read."""
    at, level = moment(line.at), f"{line.level}: " if line.level else ""
    said = line.at or ""
    if at is not None:
        said = at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds")[:23]
    return f"{said}  {level}{line.message}"


def _of_step(step: NodeRun) -> Iterator[str]:
    yield step.state or "unknown"
    if step.duration_ms is not None:
        yield f"{step.duration_ms / 1000:.1f} s"
    if step.cost is not None:
        yield f"{step.cost} USD"
    if step.retries:
        yield f"{step.retries} retries"
    if step.error:
        yield step.error


MOST_SHOWN: Final = 5
"""Lines, and steps that ended badly, that stand beside the rest of a cell."""


def end_of(logs: RunLogs) -> RunLogs:
    """Return the end of *logs*, and the steps that did not end well: what fits beside a cell."""
    steps = [each for each in logs.node_runs if each.error or status(each.state) in BAD]
    said = logs.said
    if len(logs.lines) > MOST_SHOWN:
        last = f"the last {MOST_SHOWN} of {len(logs.lines)} lines; `--logs` shows them all"
        said = f"{last}; {said}" if said else last
    return replace(
        logs, lines=logs.lines[-MOST_SHOWN:], node_runs=tuple(steps[-MOST_SHOWN:]), said=said
    )
