"""The logs and the steps of runs: kept in the folder, else asked of the service, or why not."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import anyio

from batchrun.base.endpoint import SIMULATOR
from batchrun.commands.call import key_of
from batchrun.commands.connection import STATE, connected, served
from batchrun.commands.target import Subject
from batchrun.engine.kept_logs import kept_logs
from batchrun.errors import BatchrunError
from batchrun.runflow.run_logs import RunLogs, logs_of_run
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
