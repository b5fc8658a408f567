"""The work of `batchrun MANIFEST`: hold the ledger, do all that can be done, report."""

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from msgspec import Struct

from batchrun.base.progress import Progress
from batchrun.base.said import log
from batchrun.base.text import number_of
from batchrun.commands import changed_types
from batchrun.commands.before_sending import check_all
from batchrun.commands.call import Call, needed_key
from batchrun.commands.callbacks import receiver_of, receiving
from batchrun.commands.connection import connected, served
from batchrun.commands.final_report import Ending, show
from batchrun.commands.live_page import keep_page
from batchrun.commands.progress_choice import choose
from batchrun.commands.recovering import Recovery, knows_nothing
from batchrun.commands.reuse_sources import opened_sources
from batchrun.commands.run_options import FOR_ONE_CALL, Options, command_in
from batchrun.commands.signals import SIGNALS
from batchrun.commands.taking_over import take_over
from batchrun.commands.target import (
    name_recover,
    name_settling,
    others_of_name,
    said_of_former,
)
from batchrun.engine.ends import NoEnds
from batchrun.engine.open_sweep import SweepFolder, open_sweep
from batchrun.engine.other_labels import note_owed, pay_looks
from batchrun.engine.run import Runner, Services
from batchrun.engine.selection import Selection
from batchrun.engine.shutdown import Shutdown, obey, spelled
from batchrun.errors import FolderError, LostLedgerError, NothingToRecoverError
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.results.gathering import Gathering, Outlet
from batchrun.results.result_files import keep_manifest
from batchrun.results.starts import keep_start, start_of
from batchrun.runflow.client import Client
from batchrun.runflow.descriptions import Description
from batchrun.runflow.http.client import download_client
from batchrun.sweep.identity import check_folder

if TYPE_CHECKING:  # its packages are an extra
    from batchrun.receiver.server import Receiver

ChooseCells = Callable[[Call, Ledger], Awaitable[Selection]]
"""Says which cells a call is about, once its ledger is open; it may write to it."""


class Service(Struct, frozen=True):
    """Who is asked, with which key, and for which cells; *reuse* is what is taken over first.

    *descriptions* are what it says of models, as far as it is known. *receiver* takes its
    callbacks, where the manifest asks for them. *outlet* is where the results go as their cells
    end.
    """

    url: str
    key: str
    descriptions: Mapping[str, Description]
    choose: ChooseCells | None = None
    reuse: tuple[Path, ...] = ()
    receiver: "Receiver | None" = None
    outlet: Outlet | None = None


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a call is surrounded by: the command line, or a program.

    *asked_to_stop* gives the names of what asks the call to stop, as long as it works. *progress*
    is None where the options say who listens. *outlet* is where the results go as their cells end.
    """

    asked_to_stop: Callable[[], AbstractContextManager[Sequence[str]]]
    progress: Progress | None = None
    outlet: Outlet | None = None


COMMAND_LINE: Final = Surroundings(asked_to_stop=SIGNALS.counted)


def execute(
    call: Call,
    options: Options,
    argv: Sequence[str],
    started: float,
    *,
    choose_cells: ChooseCells | None = None,
) -> int:
    """Run or resume the sweep, say what came of it, and return the exit code.

    *started* is when, by the monotonic clock. With *choose_cells* the call is about the cells that
    it returns.
    """
    carrying_out = carried_out(call, options, argv, started, choose_cells=choose_cells)
    with carrying_out as ending:
        return show(ending, as_json=options.json, quiet=options.quiet)


@contextmanager
def carried_out(
    call: Call,
    options: Options,
    argv: Sequence[str],
    started: float,
    *,
    choose_cells: ChooseCells | None = None,
    surroundings: Surroundings = COMMAND_LINE,
) -> Iterator[Ending]:
    """Run or resume the sweep; yield how that ended, while the ledger is still held."""
    key = needed_key(call.endpoint)
    if options.recover is not None:
        recover_first(call, options, key)
    sweep = check_folder(call.folder)
    with (
        open_ledger(call.folder, sweep=sweep) as ledger,
        receiver_of(call.settings, call.endpoint) as receiver,
        served(call.endpoint, call.folder) as url,
    ):
        call = call.knowing(ledger.book)
        descriptions = check_all(
            call, options, ledger, (url, key), command_in(argv), again=choose_cells is not None
        )
        call = call.sending(descriptions)
        progress = surroundings.progress or listener(options)
        begin(call, ledger, progress)
        with surroundings.asked_to_stop() as received:
            log = progress.note if options.verbose else _silent
            service = Service(
                url,
                key,
                descriptions,
                choose_cells,
                options.reuse,
                receiver,
                surroundings.outlet,
            )
            done = anyio.run(run_call, call, ledger, service, progress, log, received)
        note_owed(call.folder, ledger.book)
        try:
            ledger.check_place()
        except LostLedgerError as lost:
            done.shutdown.leave(lost)
        left_out = FOR_ONE_CALL if choose_cells is None else {*FOR_ONE_CALL, "--only"}
        if done.shutdown.interrupted or changed_types.goes_on(call, ledger):
            left_out = left_out - {"--new-types"}
        for error in done.shutdown.errors:
            name_recover(error, call.recover_command, again=command_in(argv))
            name_settling(error, call.manifest.path, call.place)
        yield Ending(
            call=call,
            command=command_in(argv, without=left_out),
            for_all=command_in(argv, without={*left_out, "--only"}),
            ledger=ledger,
            selection=done.selection,
            shutdown=done.shutdown,
            client=done.client,
            callbacks=None if receiver is None else receiver.received,
            seconds=time.monotonic() - started,
        )


def listener(options: Options) -> Progress:
    """Return who shows the progress."""
    return choose(
        sys.stderr,
        quiet=options.quiet,
        no_progress=options.no_progress,
        environ=os.environ,
    )


def begin(call: Call, ledger: Ledger, progress: Progress) -> None:
    """Keep what this start is of, and say what is to be known of it."""
    keep_manifest(call.folder, call.manifest.text)
    try:
        keep_start(call.folder, start_of(call.manifest))
    except FolderError as error:  # it is derived, and ends no call
        progress.note(f"this start is not kept: {error}")
    former = said_of_former(call.manifest.head, call.place, call.endpoint, call.folder)
    if former is not None:
        progress.note(former)
    begins = call.settings.retry_failed and not ledger.book.asked
    if begins and (others := others_of_name(call.folder)):
        progress.note(f"no sweep is here to be tried again, and one begins{others}")
    if ledger.torn:
        progress.note(
            f"cut off {number_of(ledger.torn, 'byte')} that a crash left at the ledger's end"
        )


def recover_first(call: Call, options: Options, key: str) -> None:
    """Rebuild the ledger where there is none that knows a run; where nothing is found, begin."""
    if not knows_nothing(call):
        return

    def inform(message: str) -> None:
        if not options.quiet:
            log(message, sys.stderr)

    try:
        Recovery(call=call, say=inform).run(key, options.recover or None)
    except NothingToRecoverError as error:
        inform(f"{error}; the sweep begins here")


class Done(Struct, frozen=True, kw_only=True):
    """The rest of a call once its task group has ended."""

    shutdown: Shutdown
    client: Client
    selection: Selection


async def prepared(
    call: Call,
    ledger: Ledger,
    service: Service,
    progress: Progress,
    received: Sequence[str],
) -> SweepFolder:
    """Write this start into the ledger, and take over the results of other sweeps."""
    settings = call.settings
    sweep = await open_sweep(
        call.folder,
        ledger,
        call.manifest,
        endpoint=call.endpoint,
        label=call.place.label,
        set_aside=settings.set_aside,
        budget=settings.budget,
    )
    with opened_sources(service.reuse, call) as sources:
        for source in sources:
            taken = await take_over(call, ledger, source, received)
            progress.note(taken.said(source))
    if ledger.book.files.missing and settings.download:
        cells = number_of(len(ledger.book.files.missing), "cell")
        progress.note(f"files of {cells} are gone from the folder; they are fetched again")
    return sweep


async def run_call(
    call: Call,
    ledger: Ledger,
    service: Service,
    progress: Progress,
    log: Callable[[str], None],
    received: Sequence[str],
) -> Done:
    """Do all that can be done in this call.

    *received* are the signals that come meanwhile.
    """
    settings = call.settings
    sweep = await prepared(call, ledger, service, progress, received)
    async with (
        connected(service.url, service.key, settings, log=log) as client,
        download_client(connections=settings.downloads) as downloads,
    ):
        if service.choose is None:
            selection = Selection(settings.only, ledger, attempts=settings.attempts)
        else:
            selection = await service.choose(call, ledger)
        gathering = gathering_of(call, ledger, service.outlet)
        services = Services(
            client=client,
            downloads=downloads,
            progress=progress,
            ends=gathering or NoEnds(),
            descriptions=service.descriptions,
        )
        runner = Runner(call.manifest, settings, sweep, ledger, services, selection)
        if service.reuse and received:  # it came amid the taking over: nothing is sent
            runner.shutdown.interrupt(f"stopped by {spelled(received[0])}", drain=False)
            return Done(shutdown=runner.shutdown, client=client, selection=runner.selection)
        async with (
            receiving(service.receiver, runner, call, progress),
            walking(gathering, selection),
            anyio.create_task_group() as tasks,
        ):

            async def watch_signals() -> None:
                await obey(runner.shutdown, received, drain=settings.drain)

            tasks.start_soon(watch_signals, name="signals")
            look = partial(pay_looks, call.folder, call.manifest, settings, services)
            tasks.start_soon(look, name="looks that other labels owe")
            tasks.start_soon(keep_page, call.folder, call.manifest, name="the page")
            shutdown = await runner.run()
            if runner.selection.left:
                shutdown.submit_no_more(runner.selection.left)
            tasks.cancel_scope.cancel()
    return Done(shutdown=shutdown, client=client, selection=runner.selection)


def gathering_of(call: Call, ledger: Ledger, outlet: Outlet | None) -> Gathering | None:
    """Return who gathers results for *outlet*; None where there is none."""
    if outlet is None:
        return None
    return Gathering(call.manifest, call.settings, ledger, call.folder, outlet)


@asynccontextmanager
async def walking(gathering: Gathering | None, selection: Selection) -> AsyncIterator[None]:
    """Have the results of earlier calls gathered beside the call, and wait for the last of them."""
    async with anyio.create_task_group() as tasks:
        if gathering is not None:
            tasks.start_soon(gathering.walk, selection.wants, name="results of earlier calls")
        yield


def _silent(_message: str) -> None:
    pass
