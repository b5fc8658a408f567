"""The way to the API: the key, the embedded simulator where it is meant, and a client."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from batchrun.base.endpoint import SIMULATOR
from batchrun.commands.options import simulator_missing
from batchrun.errors import FolderError
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.ratelimit.process_pace import process_pace
from batchrun.settings import Settings

STATE: Final = "simulator.sqlite"
"""Where the embedded simulator keeps its runs, so that a killed sweep finds them again."""

SIMULATED_SECRET: Final = "whsec_simulator"  # noqa: S105  (it keeps nothing secret)
"""What the embedded simulator signs callbacks with."""


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
        from batchrun.simulator.settings import Settings as Simulation
        from batchrun.simulator.store import StateError
    except ImportError as error:
        raise simulator_missing(error) from None
    with ExitStack() as stack:
        try:
            state = None if folder is None else folder / STATE
            settings = Simulation(callback_secret=SIMULATED_SECRET)
            url = stack.enter_context(embedded(state, settings=settings))
        except StateError as error:
            raise FolderError(
                f"{error}; make the folder writable or, where the file is broken, delete it: it "
                "holds what the simulator has made"
            ) from None
        yield url


def pace_folder(key: str) -> Path | None:
    """Return where processes share their pace, None where this one is to pace alone."""
    if key == SIMULATOR:  # embedded: no other process can know where it is
        return None
    named = os.environ.get("BATCHRUN_PACE_FOLDER")
    if named is not None:
        return Path(named) if named else None
    try:
        # Not XDG_RUNTIME_DIR: a cron job has none, and shares the pace with the shell.
        return Path(tempfile.gettempdir(), f"batchrun-{os.getuid()}")
    except OSError:  # there is none that can be written to
        return None


@asynccontextmanager
async def connected(
    url: str, key: str | None, settings: Settings, *, log: Callable[[str], None]
) -> AsyncIterator[Client]:
    """Yield a client for *url* behind one limiter; its pace is shared with all that go there, too.

    Without a *key* it can ask for what is public. *log* gets what is tried again, and why.
    """
    pace = Pace(settings.rate.per_second, jitter=Random().random)  # noqa: S311  (no secret)
    with process_pace(pace_folder(key or ""), url, key or "", log=log) as shared:
        async with api_client(url, key, connections=settings.concurrency) as http:
            yield Client(http, Limiter(pace, shared), give_up=settings.give_up, log=log)
