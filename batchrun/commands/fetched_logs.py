"""The logs and the steps of one run, asked of the service, or the reason why there are none."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import anyio
import msgspec

from batchrun.base.endpoint import SIMULATOR
from batchrun.commands.call import key_of
from batchrun.commands.connection import STATE, connected, served
from batchrun.commands.target import Subject
from batchrun.errors import BatchrunError
from batchrun.runflow.run_logs import log_line, node_run, read_part
from batchrun.settings import Settings, settings_from
from batchrun.sweep.identity import read_identity

GIVE_UP: Final = 5.0
"""Seconds that the service may give no good answer: the rest is shown without it."""

LONGEST: Final = 30.0
"""Seconds that all of it may take, where a request hangs."""


def logs_of(subject: Subject, run_id: str) -> Mapping[str, Any]:
    """Return the run's logs and steps for JSON; `said` is why something is missing, or None.

    Nothing that goes wrong here is an error: what the ledger says is shown in any case.
    """
    nothing: dict[str, Any] = {"run_id": run_id, "lines": [], "node_runs": [], "said": None}
    endpoint = _endpoint(subject)
    key = None if endpoint is None else key_of(endpoint)
    if endpoint is None:
        return nothing | {"said": "no logs: the folder does not say which service it is of"}
    if key is None:
        return nothing | {"said": f"no logs: no key for {endpoint}; put it into RUNFLOW_API_KEY"}
    if endpoint == SIMULATOR and not (subject.folder / STATE).exists():
        return nothing | {"said": "no logs: the simulator's state is gone"}
    try:
        with ExitStack() as stack:
            url = stack.enter_context(served(endpoint, subject.folder))
            return nothing | anyio.run(_fetched, url, key, run_id)
    except BatchrunError as error:
        return nothing | {"said": f"no logs: {error}"}
    except TimeoutError:
        return nothing | {"said": f"no logs: no answer from {endpoint} in {LONGEST:.0f} s"}


def _endpoint(subject: Subject) -> str | None:
    identity = read_identity(subject.folder)
    if identity is not None:
        return identity.endpoint
    return None if subject.manifest is None else subject.manifest.endpoint


async def _fetched(url: str, key: str, run_id: str) -> dict[str, Any]:
    chosen = {"give_up": GIVE_UP}
    settings: Settings = settings_from(chosen, model_concurrency={}, model_prices={})
    with anyio.fail_after(LONGEST):
        async with connected(url, key, settings, log=lambda _: None) as client:
            lines = await read_part(partial(client.part_of_run, run_id, "logs"), log_line)
            steps = await read_part(partial(client.part_of_run, run_id, "node-runs"), node_run)
    said = {"logs": lines.said, "node-runs": steps.said}
    missing = "; ".join(f"{name}: {why}" for name, why in said.items() if why)
    return {
        "lines": msgspec.to_builtins(lines.items),
        "node_runs": msgspec.to_builtins(steps.items),
        "said": missing or None,
    }


def in_words(logs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the logs as people read them."""
    if logs["run_id"] is not None:
        yield f"logs of run {logs['run_id']}:"
    for line in logs.get("lines", ()):
        at = (line["at"] or "")[:23].replace("T", " ")
        yield f"  {at}  {line['level'] or 'info'}: {line['message']}"
    for step in logs.get("node_runs", ()):
        yield f"  step {step['node']}: {', '.join(_of_step(step))}"
    if logs["said"]:
        yield f"  {logs['said']}"


def _of_step(step: Mapping[str, Any]) -> Iterator[str]:
    yield step["state"] or "unknown"
    if step["duration_ms"] is not None:
        yield f"{step['duration_ms'] / 1000:.1f} s"
    if step["cost"] is not None:
        yield f"{step['cost']} USD"
    if step["retries"]:
        yield f"{step['retries']} retries"
    if step["error"]:
        yield step["error"]
