"""The logs and the steps of a run as people read them: all of them, or their end. Pure."""

from collections.abc import Iterator
from datetime import UTC
from typing import Final

from msgspec.structs import replace

from batchrun.base.times import moment
from batchrun.ledger.history import BAD
from batchrun.runflow.run_logs import LogLine, NodeRun, RunLogs
from batchrun.runflow.statuses import status

MOST_SHOWN: Final = 5
"""Lines, and steps that ended badly, that stand beside the rest of a cell."""

MOST_ON_PAGE: Final = 20
"""The same, on the page of results."""

LONGEST_TAIL: Final = 2000
"""Characters of them on that page."""


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


def end_of(logs: RunLogs, *, most: int = MOST_SHOWN, all_at: str = "`--logs`") -> RunLogs:
    """Return the last *most* lines of *logs*, and of the steps that did not end well.

    All of them are shown by *all_at*.
    """
    steps = [each for each in logs.node_runs if each.error or status(each.state) in BAD]
    said = logs.said
    if len(logs.lines) > most:
        last = f"the last {most} of {len(logs.lines)} lines; {all_at} shows them all"
        said = f"{last}; {said}" if said else last
    return replace(logs, lines=logs.lines[-most:], node_runs=tuple(steps[-most:]), said=said)


def tail_of(logs: RunLogs) -> str:
    """Return the end of *logs* as text for the page of results, of at most LONGEST_TAIL."""
    end = end_of(logs, most=MOST_ON_PAGE, all_at="the file")
    text = "\n".join(line.removeprefix("  ") for line in in_words(end))
    return text if len(text) <= LONGEST_TAIL else f"…{text[1 - LONGEST_TAIL :]}"
