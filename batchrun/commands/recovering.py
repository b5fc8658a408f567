"""The work of `batchrun recover`, and of `batchrun MANIFEST --recover` before it runs."""

from collections.abc import Callable, Mapping
from typing import Final

import anyio
from msgspec import Struct
from msgspec.structs import replace

from batchrun import __version__
from batchrun.base.text import few, listed, number_of
from batchrun.commands.call import Call
from batchrun.commands.connection import connected, served
from batchrun.commands.reusing import lost_reuse
from batchrun.commands.target import command_of
from batchrun.engine.open_sweep import identity_of
from batchrun.engine.other_sweeps import (
    OtherSweep,
    all_counted,
    described,
    find,
    not_set_aside,
    of_cells,
)
from batchrun.engine.preflight import check_organisation
from batchrun.engine.run_tag import sweep_tag
from batchrun.errors import LedgerError, NothingToRecoverError
from batchrun.ledger.file import Rebuilding, rebuild_ledger
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import Sweep
from batchrun.recovery.missing_records import FoundRun
from batchrun.recovery.rebuild_ledger import (
    Recovered,
    RunFinder,
    describe,
    find_sweeps,
    write_down,
)
from batchrun.runflow.client import Client
from batchrun.sweep.identity import Identity, read_identity, write_identity
from batchrun.sweep.location import LEDGER
from batchrun.sweep.references import marker

Say = Callable[[str], None]

NOTHING: Final = "nothing was changed"


def knows_nothing(call: Call) -> bool:
    """Say whether no sweep went on from the folder of *call*: its ledger never left the opening."""
    path = call.folder / LEDGER
    if not path.exists():
        return True
    with open_reader(path) as reader:
        return not reader.book.past_opening


class Recovery(Struct, frozen=True, kw_only=True):
    """One recovery: who the sweep is, what the service knows of it, a new ledger."""

    call: Call
    say: Say

    def run(self, key: str, sweep: str | None) -> None:
        """Put a new ledger in the place of the old one; until the end nothing has changed.

        *sweep* is the id of the sweep where several could be meant. Raises NothingToRecoverError
        where there is none.
        """
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
            command = command_of(self.call.manifest.path, self.call.place)
            lost = lost_reuse(self.call.folder, rebuilding.ledger.book, command)
        duplicates = f", {recovered.duplicates} one too many" if recovered.duplicates else ""
        self.say(
            f"the service has {number_of(recovered.runs, 'run')} of this sweep, {recovered.new:,} "
            f"of them new to the ledger{duplicates}"
        )
        if lost is not None:
            self.say(lost)

    async def _recover(
        self, rebuilding: Rebuilding, url: str, key: str, sweep: str | None
    ) -> tuple[Sweep, Recovered]:
        book = rebuilding.ledger.book
        async with connected(url, key, self.call.settings, log=_silent) as client:
            line = await self._identify(client, rebuilding, sweep)
            self.say(
                f"sweep {line.sweep}; waiting {self.call.settings.settle:g} s for its last runs"
            )
            await anyio.sleep(self.call.settings.settle)
            first = marker(line.name, line.label)
            found = await RunFinder(client, line.sweep, first, self.say).find(book.last_wave)
        line = replace(line, after=tuple(sorted({*line.after, *_set_aside(found)})))
        await rebuilding.ledger.append(line)
        about = await describe(self.call.manifest, found, rebuilding.ledger)
        return line, await write_down(found, rebuilding, about)

    async def _identify(self, client: Client, rebuilding: Rebuilding, given: str | None) -> Sweep:
        """Return this start's line: who the sweep is by its folder, else by *given* or its runs.

        A ledger that never left the opening says nothing: its sweep was begun, and refused.
        """
        book = rebuilding.ledger.book
        known: Sweep | Identity | None = book.sweep or read_identity(self.call.folder)
        ours = await client.account()
        if known is not None:
            check_organisation(ours, known.organisation)
        sent_from_here = known is not None and (book.sweep is None or book.past_opening)
        if known is not None and sent_from_here:
            self._check(known, given)
            sweep = known.sweep
        else:
            sweep = given or await self._only_sweep(client)
        return Sweep(
            format=book.format,
            sweep=sweep,
            name=self.call.manifest.name,
            label=self.call.place.label,
            endpoint=self.call.endpoint,
            organisation=known.organisation or ours if known else ours,
            manifest_sha256=self.call.manifest.sha256,
            version=__version__,
            after=book.sweep.after if book.sweep is not None else (),
            recovered=True,
            types=book.sweep.types if book.sweep is not None else None,
        )

    def _check(self, known: Sweep | Identity, given: str | None) -> None:
        if known.endpoint != self.call.endpoint:
            theirs = f"the endpoint {known.endpoint}, not of {self.call.endpoint}"
            raise LedgerError(f"the sweep in {self.call.folder} is of {theirs}")
        if given not in {None, known.sweep}:
            raise LedgerError(f"the sweep in {self.call.folder} is {known.sweep}, not {given}")

    async def _only_sweep(self, client: Client) -> str:
        """Return the id of the sweep that was begun elsewhere, where there is exactly one.

        It has a cell in common with the manifest, and no other sweep has set it aside. A sweep of
        batchrun 0.1 has no run under the marker: it is looked for in the list of all runs.
        """
        name, label = self.call.manifest.name, self.call.place.label
        self.say("no ledger says which sweep it is; looking through the organisation's runs")
        found = await find(client, name, label)
        if found.sweeps:
            counted = await all_counted(client, found)
            kept = list(not_set_aside(counted))
            common = await of_cells(kept, self.call.manifest)
            for line in few(_not_taken(each) for each in counted if each not in kept):
                self.say(line)
            said = {each.id: described(each) for each in common}
            if not said:
                others = listed(map(described, found.sweeps), by="; ")
                raise NothingToRecoverError(
                    "the service's sweeps of this name and label have no cell in common with the "
                    f"manifest: {others}; {NOTHING}"
                )
        else:
            counts = await find_sweeps(client, name, label)
            said = {
                id_: f"sweep {id_} has {number_of(count, 'run')}" for id_, count in counts.items()
            }
        return self._one_of(said)

    def _one_of(self, sweeps: Mapping[str, str]) -> str:
        if len(sweeps) == 1:
            return next(iter(sweeps))
        of = f"of the name {self.call.manifest.name!r}"
        if self.call.place.label is not None:
            of += f" and the label {self.call.place.label!r}"
        if not sweeps:
            raise NothingToRecoverError(f"the service has no runs {of}; {NOTHING}")
        raise LedgerError(
            f"the service has several sweeps {of}: {listed(sweeps.values(), by='; ')}; "
            "name the one to go on with: `--recover ID`"
        )


def _not_taken(aside: OtherSweep) -> str:
    return (
        f"{described(aside)}: it was set aside by another one, and isn't taken; "
        f"`--recover {aside.id}` takes it"
    )


def _set_aside(found: list[FoundRun]) -> set[str]:
    """Return the sweeps that the runs *found* say were set aside."""
    tags = (sweep_tag(each.run) for each in found)
    return {id_ for tag in tags if tag is not None for id_ in tag.after}


def _silent(_message: str) -> None:
    pass
