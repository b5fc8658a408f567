"""One folder, one manifest and one fake service: what an engine's test needs around it."""

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
from inline_threads import inline_threads
from ledger_lines import read_book
from msgspec.structs import replace
from simulated import Runflow, now

from batchrun.base.disk import Disk, InlineDisk
from batchrun.base.progress import Moment
from batchrun.catalogue.asking import ask
from batchrun.engine.open_sweep import open_sweep
from batchrun.engine.run import Runner, Services
from batchrun.engine.shutdown import Shutdown
from batchrun.ledger.book import Book
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import Dropped, Finished, Intent, Looked, Saved, Submitted, decode
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.client import Client
from batchrun.runflow.descriptions import Description, parse_description
from batchrun.runflow.http.client import api_client, download_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.settings import Settings
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import LEDGER
from batchrun.sweep.references import marker, reference

MANIFEST = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b, c, d, e, f]}
limits: {concurrency: 4, rate: 10/s}
"""

Storage = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
"""The host that files are put to."""

FIRST, SECOND = PLANTED = ("first", "second")
"""The cell of the run that a sweep was begun with, and one that was never sent."""


@dataclass
class Listener:
    """Remembers what the engine says of its progress."""

    notes: list[str] = field(default_factory=list)
    total: int = 0
    earlier: list[bool] = field(default_factory=list)
    own: list[bool] = field(default_factory=list)
    now: Callable[[], Moment] | None = None
    in_flight: list[int] = field(default_factory=list)

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        self.total, self.now = total, now
        self.earlier, self.own, self.in_flight = [], [], []

    def fewer(self, points: int) -> None:
        self.total -= points

    def passed(self, *, bad: str = "") -> None:
        self.earlier.append(not bad)

    def ended(self, *, bad: str = "") -> None:
        self.own.append(not bad)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def tick(self) -> None:
        assert self.now is not None
        self.in_flight.append(self.now().in_flight)

    def close(self) -> None: ...


@dataclass
class World:
    """*call* is one process: it opens the ledger, runs, and lets go of everything."""

    path: Path
    service: Runflow
    text: str = MANIFEST
    listener: Listener = field(default_factory=Listener)
    disk: Disk = field(default_factory=InlineDisk)
    clock: Callable[[], datetime] = now
    transport: httpx.AsyncBaseTransport | None = None  # in place of the service's own
    storage: Storage | None = None  # takes files
    label: str | None = None

    @property
    def folder(self) -> Path:
        folder = self.path / "sweep"
        return folder if self.label is None else folder / f"@{self.label}"

    def manifest(self) -> Manifest:
        file = self.path / "m.yaml"
        file.write_text(self.text)
        return load_manifest(file, os.environ)

    def book(self) -> Book:
        return read_book(self.folder / LEDGER)

    async def call(self, **changes: Any) -> Shutdown:
        """Run or resume as one process would; *changes* are settings."""
        with inline_threads():
            return await self._call(changes)

    async def _call(self, changes: dict[str, Any]) -> Shutdown:
        manifest = self.manifest()
        # What the balance pays for is the subject of test_affordable.py alone.
        settings = replace(manifest.settings(), **{"allow_short": True, **changes})
        known = check_folder(self.folder)
        with open_ledger(self.folder, sweep=known, disk=self.disk, clock=self.clock) as ledger:
            sweep = await open_sweep(
                self.folder,
                ledger,
                manifest,
                endpoint="https://fake",
                label=self.label,
                set_aside=settings.set_aside,
                budget=settings.budget,
            )
            async with (
                api_client(
                    "https://fake",
                    "key",
                    connections=4,
                    transport=self.transport or self.service.transport(),
                ) as http,
                download_client(
                    transport=httpx.MockTransport(self.storage or _no_downloads)
                ) as downloads,
            ):
                client = self.client(http, settings)
                services = Services(
                    client=client,
                    downloads=downloads,
                    progress=self.listener,
                    descriptions=await self.descriptions(client, manifest, settings),
                )
                runner = Runner(manifest, settings, sweep, ledger, services)
                return await self.run(runner, settings)

    async def descriptions(
        self, client: Client, manifest: Manifest, settings: Settings
    ) -> dict[str, Description]:
        """Return what the service says of the models, where prices matter."""
        if settings.allow_short and not settings.limited:
            return {}
        answers = await ask(client, [model.id for model in manifest.models])
        return {model: parse_description(body) for model, body in answers.bodies.items() if body}

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        """Let the runner run; to be overridden by what happens to a process meanwhile."""
        return await runner.run()

    def client(self, http: httpx.AsyncClient, settings: Settings) -> Client:
        pace = Pace(settings.rate.per_second, jitter=Random(1).random)
        return Client(http, Limiter(pace), give_up=settings.give_up, clock=self.clock)


@dataclass
class Begun(World):
    """A sweep that an earlier call has begun with one run, of a cell that is in no manifest.

    So its opening is over. The run counts neither in the service nor in `lines`.
    """

    async def _call(self, changes: dict[str, Any]) -> Shutdown:
        if not (self.folder / LEDGER).exists():
            await self._begin()
        return await super()._call(changes)

    async def _begin(self) -> None:
        manifest = self.manifest()
        with open_ledger(self.folder, disk=self.disk, clock=self.clock) as ledger:
            sweep = await open_sweep(
                self.folder, ledger, manifest, endpoint="https://fake", label=self.label
            )
            ref = marker(manifest.name, None)
            tag = {**sweep.tag, "cell": FIRST, "attempt": 1, "key": FIRST}
            run_id = self.service.plant(ref, {"batchrun": tag})
            about: dict[str, Any] = {"cell": FIRST, "attempt": 1}
            await ledger.append(
                Intent(
                    **about,
                    model="a/first",
                    alias=FIRST,
                    client_ref=ref,
                    idempotency_key=FIRST,
                    body_sha256=FIRST,
                    name=FIRST,
                    metadata={"batchrun": tag},
                ),
                Submitted(**about, run_id=run_id),
                Finished(**about, run_id=run_id, status_code="succeeded", cost=Decimal(0)),
                Saved(cell=FIRST, run_id=run_id),
                Looked(client_ref=ref),
                Intent(
                    cell=SECOND,
                    attempt=1,
                    model="a/first",
                    alias=FIRST,
                    client_ref=reference(sweep.sweep, 1),
                    idempotency_key=SECOND,
                    body_sha256=FIRST,
                    name=SECOND,
                    metadata={},
                ),
                Dropped(cell=SECOND, attempt=1, reason="only so that the opening is over"),
                Looked(client_ref=reference(sweep.sweep, 1)),
            )

    def book(self) -> Book:
        book, at = Book(), 0
        for line in (self.folder / LEDGER).read_bytes().splitlines(keepends=True):
            record = decode(line)
            if record is not None and getattr(record, "cell", None) not in PLANTED:
                book.add(record, at)
            at += len(line)
        return book


def _no_downloads(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nothing is downloaded in these tests: {request.url}")
