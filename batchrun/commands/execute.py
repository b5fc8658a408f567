"""The work of `batchrun MANIFEST`: hold the ledger, do all that can be done, report."""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
from msgspec import Struct

from batchrun.base.progress import Progress
from batchrun.base.said import log
from batchrun.base.text import number_of
from batchrun.commands import changed_types
from batchrun.commands.before_sending import check_all
from batchrun.commands.call import Call, needed_key
from batchrun.commands.connection import connected, served
from batchrun.commands.final_report import Ending, show
from batchrun.commands.live_page import keep_page
from batchrun.commands.progress_choice import choose
from batchrun.commands.recovering import Recovery, knows_nothing
from batchrun.commands.reusing import opened_sources, take_over
from batchrun.commands.run_options import FOR_ONE_CALL, Options, command_in
from batchrun.commands.signals import SIGNALS
from batchrun.commands.target import (
    name_recover,
    name_settling,
    others_of_name,
    said_of_former,
)
from batchrun.engine.open_sweep import open_sweep
from batchrun.engine.other_labels import note_owed, pay_looks
from batchrun.engine.run import Runner, Services
from batchrun.engine.selection import Selection
from batchrun.engine.shutdown import Shutdown, obey, spelled
from batchrun.errors import FolderError, LostLedgerError, NothingToRecoverError
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.results.result_files import keep_manifest
from batchrun.results.starts import keep_start, start_of
from batchrun.runflow.client import Client
from batchrun.runflow.descriptions import Description
from batchrun.runflow.http.client import download_client
from batchrun.sweep.identity import check_folder

ChooseCells = Callable[[Call, Ledger], Awaitable[Selection]]
"""Says which cells a call is about, once its ledger is open; it may write to it."""


class Service(Struct, frozen=True):
    """Who is asked, with which key, and for which cells; *reuse* is what is taken over first.

    *descriptions* are what it says of models, as far as it is known.
    """

    url: str
    key: str
    descriptions: Mapping[str, Description]
    choose: ChooseCells | None = None
    reuse: tuple[Path, ...] = ()


def execute(
    call: Call,
    options: Options,
    argv: Sequence[str],
    started: float,
    *,
    choose_cells: ChooseCells | None = None,
) -> int:
    """Run or resume the sweep; return the exit code. *started* is when, by the monotonic clock.

    With *choose_cells* the call is about the cells that it returns.
    """
    key = needed_key(call.endpoint)
    if options.recover is not None:
        recover_first(call, options, key)
    sweep = check_folder(call.folder)
    with (
        open_ledger(call.folder, sweep=sweep) as ledger,
        served(call.endpoint, call.folder) as url,
    ):
        call = call.knowing(ledger.book)
        descriptions = check_all(
            call, options, ledger, (url, key), command_in(argv), again=choose_cells is not None
        )
        call = call.sending(descriptions)
        progress = begin(call, options, ledger)
        with SIGNALS.counted() as received:
            log = progress.note if options.verbose else _silent
            service = Service(url, key, descriptions, choose_cells, options.reuse)
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
        return show(
            Ending(
                call=call,
                command=command_in(argv, without=left_out),
                for_all=command_in(argv, without={*left_out, "--only"}),
                ledger=ledger,
                selection=done.selection,
                shutdown=done.shutdown,
                client=done.client,
                seconds=time.monotonic() - started,
            ),
            as_json=options.json,
            quiet=options.quiet,
        )


def begin(call: Call, options: Options, ledger: Ledger) -> Progress:
    """Keep what this start is of, and return who shows the progress."""
    keep_manifest(call.folder, call.manifest.text)
    progress = choose(
        sys.stderr,
        quiet=options.quiet,
        no_progress=options.no_progress,
        environ=os.environ,
    )
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
    return progress


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
    async with (
        connected(service.url, service.key, settings, log=log) as client,
        download_client(connections=settings.downloads) as downloads,
    ):
        services = Services(
            client=client,
            downloads=downloads,
            progress=progress,
            descriptions=service.descriptions,
        )
        selection = None if service.choose is None else await service.choose(call, ledger)
        runner = Runner(call.manifest, settings, sweep, ledger, services, selection)
        if service.reuse and received:  # it came amid the taking over: nothing is sent
            runner.shutdown.interrupt(f"stopped by {spelled(received[0])}", drain=False)
            return Done(shutdown=runner.shutdown, client=client, selection=runner.selection)
        async with anyio.create_task_group() as tasks:

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


def _silent(_message: str) -> None:
    pass
