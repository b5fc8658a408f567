"""`batchrun recover MANIFEST`: rebuild a lost, broken or old ledger from the API."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from msgspec import Struct

from batchrun import __version__
from batchrun.base.said import say
from batchrun.base.text import number_of
from batchrun.commands.call import Call, needed_key, prepare
from batchrun.commands.connection import connected, served
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.run_options import add_settings
from batchrun.commands.status_report import show_status
from batchrun.commands.target import Subject, command_of
from batchrun.engine.open_sweep import identity_of
from batchrun.engine.preflight import check_organisation
from batchrun.errors import LedgerError
from batchrun.ledger.file import Rebuilding, rebuild_ledger
from batchrun.ledger.records import FORMAT, Sweep
from batchrun.recovery.rebuild_ledger import Recovered, RunFinder, describe, find_sweeps, write_down
from batchrun.runflow.client import Client
from batchrun.settings import LIMITS
from batchrun.sweep.identity import Identity, read_identity, write_identity

Say = Callable[[str], None]


def main(argv: Sequence[str]) -> int:
    """Rebuild the ledger that *argv* names, and show how the sweep stands."""
    parser = Parser("recover", description="Rebuild a lost, broken or old ledger from the API.")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    add_place(parser)
    parser.add_argument("--sweep", metavar="ID", help="which sweep, where `sweep.json` is lost too")
    wanted = [each for each in LIMITS if each.name in {"rate", "settle"}]
    add_settings(parser.add_argument_group("limits, in place of the manifest's"), wanted)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="only the result")
    options = vars(parser.parse_args(argv))
    place, path = take_place(options), options["manifest"]
    given = {name: options[name] for name in ("rate", "settle") if options[name] is not None}
    call = prepare(path, place, chosen=given)
    say = _silent if options["quiet"] else _say
    Recovery(call=call, say=say).run(needed_key(call.endpoint), options["sweep"])
    subject = Subject(folder=call.folder, manifest=call.manifest, command=command_of(path, place))
    return show_status(subject, as_json=options["json"])


class Recovery(Struct, frozen=True, kw_only=True):
    """One recovery: who the sweep is, what the service knows of it, a new ledger."""

    call: Call
    say: Say

    def run(self, key: str, sweep: str | None) -> None:
        """Put a new ledger in the place of the old one; until the end nothing has changed."""
        with (
            rebuild_ledger(self.call.folder) as rebuilding,
            served(self.call.endpoint, self.call.folder) as url,
        ):
            if rebuilding.lost:
                self.say(
                    f"{number_of(rebuilding.lost, 'line')} of the ledger can't be kept; the rest is"
                )
            line, recovered = anyio.run(self._recover, rebuilding, url, key, sweep)
            write_identity(self.call.folder, identity_of(line, self.call.manifest.path))
        duplicates = f", {recovered.duplicates} one too many" if recovered.duplicates else ""
        self.say(
            f"the service has {number_of(recovered.runs, 'run')} of this sweep, {recovered.new} of "
            f"them new to the ledger{duplicates}"
        )

    async def _recover(
        self, rebuilding: Rebuilding, url: str, key: str, sweep: str | None
    ) -> tuple[Sweep, Recovered]:
        async with connected(url, key, self.call.settings, log=_silent) as client:
            line = await self._identify(client, rebuilding.ledger.book.sweep, sweep)
            self.say(
                f"sweep {line.sweep}; waiting {self.call.settings.settle:g} s for its last runs"
            )
            await anyio.sleep(self.call.settings.settle)
            found = await RunFinder(client, line.sweep, self.say).find(
                rebuilding.ledger.book.last_wave
            )
        await rebuilding.ledger.append(line)
        return line, await write_down(found, rebuilding, describe(self.call.manifest, found))

    async def _identify(self, client: Client, line: Sweep | None, given: str | None) -> Sweep:
        """Return this start's line: who the sweep is by its folder, else by *given* or its runs."""
        known: Sweep | Identity | None = line or read_identity(self.call.folder)
        if known is not None:
            self._check(known, given)
        ours = await client.account()
        if known is not None:
            check_organisation(ours, known.organisation)
        return Sweep(
            format=FORMAT,
            sweep=known.sweep if known else given or await self._only_sweep(client),
            name=self.call.manifest.name,
            label=self.call.place.label,
            endpoint=self.call.endpoint,
            organisation=known.organisation or ours if known else ours,
            manifest_sha256=self.call.manifest.sha256,
            version=__version__,
        )

    def _check(self, known: Sweep | Identity, given: str | None) -> None:
        if known.endpoint != self.call.endpoint:
            theirs = f"the endpoint {known.endpoint}, not of {self.call.endpoint}"
            raise LedgerError(f"the sweep in {self.call.folder} is of {theirs}")
        if given not in {None, known.sweep}:
            raise LedgerError(f"the sweep in {self.call.folder} is {known.sweep}, not {given}")

    async def _only_sweep(self, client: Client) -> str:
        """Return the id of the sweep of this name and label, where there is exactly one."""
        self.say("there is no sweep.json either; looking through the organisation's runs")
        counts = await find_sweeps(client, self.call.manifest.name, self.call.place.label)
        if len(counts) == 1:
            return next(iter(counts))
        of = f"of the name {self.call.manifest.name!r} and the label {self.call.place.label!r}"
        if not counts:
            raise LedgerError(f"the service has no runs {of}; nothing was changed")
        names = ", ".join(f"{sweep} ({number_of(count, 'run')})" for sweep, count in counts.items())
        raise LedgerError(f"the service has several sweeps {of}: {names}; name one with --sweep")


def _say(message: str) -> None:
    say(message, sys.stderr)


def _silent(_message: str) -> None:
    pass
