"""The way to the API: the key, the embedded simulator where it is meant, and a client."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from batchrun.commands.options import simulator_missing
from batchrun.engine.settings import Settings
from batchrun.errors import UsageError
from batchrun.manifest.endpoint import SIMULATOR
from batchrun.runflow.client import Client
from batchrun.runflow.http import api_client
from batchrun.runflow.limiter import Limiter
from batchrun.runflow.pace import Pace

STATE: Final = "simulator.sqlite"
"""Where the embedded simulator keeps its runs, so that a killed sweep finds them again."""


def key_of(endpoint: str) -> str | None:
    """Return the key for *endpoint*, None where there is none; the simulator takes any."""
    if endpoint == SIMULATOR:
        return SIMULATOR
    return os.environ.get("RUNFLOW_API_KEY", "").strip() or None


def needed_key(endpoint: str) -> str:
    """Return the key for *endpoint*, or raise UsageError."""
    key = key_of(endpoint)
    if key is None:
        raise UsageError(f"no key for {endpoint}: put it into RUNFLOW_API_KEY")
    return key


@contextmanager
def served(endpoint: str, folder: Path | None) -> Iterator[str]:
    """Yield the URL of *endpoint*; the embedded simulator is served as long as that lasts.

    Without a *folder* it keeps nothing.
    """
    if endpoint != SIMULATOR:
        yield endpoint
        return
    try:
        from batchrun.simulator.server import embedded
    except ImportError as error:
        raise simulator_missing(error) from None
    with embedded(None if folder is None else folder / STATE) as url:
        yield url


@asynccontextmanager
async def connected(
    url: str, key: str, settings: Settings, *, log: Callable[[str], None]
) -> AsyncIterator[Client]:
    """Yield a client for *url* behind one limiter; *log* is told what is tried again, and why."""
    pace = Pace(settings.rate.per_second, jitter=Random().random)  # noqa: S311  (no secret)
    async with api_client(url, key, connections=settings.concurrency) as http:
        yield Client(http, Limiter(pace), give_up=settings.give_up, log=log)
