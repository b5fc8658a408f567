"""The only place here that knows the product by its inner names.

All else speaks of words on a command line, of HTTP requests, and of files in a folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from engine_world import World
from msgspec.structs import asdict
from simulated import Runflow, now

from batchrun.base.disk import InlineDisk
from batchrun.commands.call import settings_of
from batchrun.commands.run_options import parse
from batchrun.engine.open_sweep import identity_of
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import BatchrunError, most_severe
from batchrun.ledger.file import rebuild_ledger
from batchrun.ledger.records import FORMAT, Sweep
from batchrun.manifest.manifest import Manifest
from batchrun.recovery.rebuild_ledger import RunFinder, describe, find_sweeps, write_down
from batchrun.runflow.http.client import api_client
from batchrun.settings import Settings
from batchrun.sweep.identity import read_identity, write_identity
from batchrun.sweep.references import marker

ENDPOINT = "https://fake"


@dataclass
class _Call(World):
    """A call that is interrupted after some seconds, or never."""

    interrupt_after: float | None = None
    interrupted: Callable[[], None] = field(default=lambda: None)

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async def interrupt(after: float) -> None:
            await anyio.sleep(after)
            self.interrupted()
            runner.shutdown.interrupt("interrupted", drain=settings.drain)

        async with anyio.create_task_group() as tasks:
            if self.interrupt_after is not None:
                tasks.start_soon(interrupt, self.interrupt_after)
            stops = await runner.run()
            tasks.cancel_scope.cancel()
        return stops


def folder_of(path: Path) -> Path:
    """Return the sweep's folder below *path*."""
    return World(path, Runflow()).folder


def read_words(words: Sequence[str], manifest: Manifest) -> Settings:
    options = parse(["m.yaml", *words])
    return settings_of(manifest, options.chosen, options.only)


async def call(
    path: Path,
    text: str,
    transport: httpx.AsyncBaseTransport,
    words: Sequence[str],
    *,
    interrupt_after: float | None,
    interrupted: Callable[[], None],
) -> Sequence[int]:
    """Run the manifest *text* as one process would; return the exit codes of what stopped it."""
    world = _Call(path, Runflow(), text=text, transport=transport)
    world.interrupt_after, world.interrupted = interrupt_after, interrupted
    try:
        stops = await world.call(
            **{**asdict(read_words(words, world.manifest())), "allow_short": True}
        )
    except BatchrunError as error:
        return [error.exit_code]
    return [most_severe(stops.codes)] if stops.codes else []


async def recover(path: Path, text: str, transport: httpx.AsyncBaseTransport) -> Sequence[int]:
    """Rebuild the ledger as the command does, in virtual time; return what `call` returns."""
    world = World(path, Runflow(), text=text)
    manifest = world.manifest()
    try:
        with rebuild_ledger(world.folder, disk=InlineDisk(), clock=now) as rebuilding:
            line, found = await _find(world, rebuilding.ledger.book.last_wave, transport)
            await rebuilding.ledger.append(line)
            about = await describe(manifest, found, rebuilding.ledger)
            await write_down(found, rebuilding, about)
        write_identity(world.folder, identity_of(line, manifest.path))
    except BatchrunError as error:
        return [error.exit_code]
    return []


async def _find(world: World, last: int, transport: httpx.AsyncBaseTransport) -> tuple[Sweep, Any]:
    manifest, settings = world.manifest(), read_words([], world.manifest())
    async with api_client(ENDPOINT, "key", connections=4, transport=transport) as http:
        client = world.client(http, settings)
        known = read_identity(world.folder)
        organisation = await client.account()
        if known is None:
            [sweep] = await find_sweeps(client, manifest.name, None)
        else:
            sweep = known.sweep
        await anyio.sleep(settings.settle)
        found = await RunFinder(client, sweep, marker(manifest.name, None), lambda _: None).find(
            last
        )
    line = Sweep(
        format=FORMAT,
        sweep=sweep,
        name=manifest.name,
        endpoint=ENDPOINT,
        organisation=organisation,
        manifest_sha256=manifest.sha256,
        version="",
        recovered=True,
    )
    return line, found
