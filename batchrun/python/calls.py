"""The functions of batchrun for Python programs."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar, Unpack

import sniffio
from msgspec import Struct

from batchrun.commands.call import Call, call_on
from batchrun.commands.execute import Surroundings, carried_out, listener
from batchrun.commands.final_report import concluded, said
from batchrun.commands.preview import Plan as Preview
from batchrun.commands.preview import foresee
from batchrun.commands.questions import broken_off_by
from batchrun.commands.run_options import command_in
from batchrun.commands.target import naming_recover
from batchrun.errors import UsageError
from batchrun.python.keywords import Asked, Keywords, asked_for
from batchrun.python.loading import Manifest, Source, loaded, unchanged
from batchrun.python.reading import LedgerView
from batchrun.python.running import Running, new_thread
from batchrun.python.streaming import Stream
from batchrun.python.values import End, Plan, end_of, plan_of
from batchrun.results.gathering import Outlet
from batchrun.results.progress_lines import Silent

T = TypeVar("T")


def load(source: Source, *, base: str | os.PathLike[str] | None = None) -> Manifest:
    """Return the manifest at a path, or the one that a mapping is.

    Data files, lines and globs are read too, and local files hashed; nothing is sent. Paths in a
    mapping are relative to *base*, or to the current folder; a mapping needs a `name`. Raises
    ManifestError, whose `problems` are all that is wrong.
    """
    return loaded(source, base)


def plan(
    source: Source, *, base: str | os.PathLike[str] | None = None, **keywords: Unpack[Keywords]
) -> Plan:
    """Return what a call with the same arguments would do, and what it may cost; no run is sent.

    Raises ManifestError, UsageError, and LedgerError where the sweep's ledger can't be read. May be
    called inside an event loop, which waits meanwhile.
    """
    asked, call = prepared(source, base, keywords)
    command = command_in(asked.words)
    preview = Preview(call=call, command=command, reuse=asked.options.reuse)

    def work() -> Plan:
        with naming_recover(call.recover_command):
            return plan_of(call, foresee(preview))

    return in_a_thread(work)


def run(
    source: Source, *, base: str | os.PathLike[str] | None = None, **keywords: Unpack[Keywords]
) -> End:
    """Run a manifest, or go on with it, and return what the call came to.

    What failed is no error here: `exit_code` of what is returned says how it ended, as the command
    line's does. Raised is what keeps a call from beginning: ManifestError, UsageError,
    LedgerLockedError, and other errors of `batchrun.errors`. Ctrl-C stops the call as it stops the
    command, and raises KeyboardInterrupt once the ledger is whole.

    Raises UsageError inside an event loop: there it is `run_async`, or `stream`.
    """
    if in_event_loop():
        raise UsageError(
            "`batchrun.run` can't be called in an event loop, which would stand still; write "
            "`await batchrun.run_async(...)`, or `async for result in batchrun.stream(...)`"
        )
    running = begun(source, base, keywords, results=False)
    running.until_its_end()
    return running.outcome()


async def run_async(
    source: Source, *, base: str | os.PathLike[str] | None = None, **keywords: Unpack[Keywords]
) -> End:
    """Do what `run` does, under asyncio or trio. A cancellation leaves the call as Ctrl-C does."""
    async with Stream(begun(source, base, keywords, results=False)) as results:
        async for _ in results:
            pass
    return results.end


def stream(
    source: Source, *, base: str | os.PathLike[str] | None = None, **keywords: Unpack[Keywords]
) -> Stream:
    """Run a manifest, or go on with it; return its results, to be had one by one as they are saved.

    See Stream for their order, and for what a loop leaves that is left early. A mistake in the
    manifest or the options is raised here, what `run` raises beside it by the loop.
    """
    return Stream(begun(source, base, keywords, results=True))


def read_ledger(folder: str | os.PathLike[str]) -> LedgerView:
    """Return the ledger of the sweep in *folder*, read as it is now: no network, no lock.

    Raises UsageError where there is no sweep, LedgerError where its ledger can't be read.
    """
    return LedgerView(Path(folder))


class Notes(Silent):
    """Keeps what is to be known of a call, and shows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


class Work(Struct, frozen=True):
    """The work of one call."""

    call: Call
    asked: Asked
    results: bool

    def __call__(self, running: Running) -> End:
        """Do all that can be done in the call, and return what that came to."""
        options, notes = self.asked.options, Notes()
        outlet = Outlet(running.put, running.is_full, running.is_closed)
        surroundings = Surroundings(
            asked_to_stop=lambda: nullcontext(running.asked_to_stop),
            progress=notes if options.quiet else listener(options),
            outlet=outlet if self.results else None,
        )
        carrying_out = carried_out(
            self.call,
            options,
            self.asked.words,
            time.monotonic(),
            surroundings=surroundings,
        )
        with (
            broken_off_by(running.asked_to_stop),
            naming_recover(self.call.recover_command),
            carrying_out as ending,
        ):
            summary, totals = concluded(ending)
            return end_of(ending, summary, totals, (*notes.said, *said(ending, totals)))


def begun(source: Source, base: Any, keywords: Any, *, results: bool) -> Running:
    """Return the call, ready to begin; with its *results* where these are wanted one by one."""
    asked, call = prepared(source, base, keywords)
    return Running(Work(call, asked, results), call.folder)


def prepared(source: Source, base: Any, keywords: Any) -> tuple[Asked, Call]:
    """Return what a call is about; ManifestError or UsageError where it can't be."""
    manifest = unchanged(loaded(source, base))
    asked = asked_for(manifest.path, keywords)
    options = asked.options
    call = call_on(
        manifest, options.place, chosen=options.chosen, only=options.only, quiet=options.quiet
    )
    return asked, call


def in_event_loop() -> bool:
    """Say whether an event loop runs in this thread."""
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    try:  # of asyncio it would know by the context alone, which goes along into threads
        return sniffio.current_async_library() == "trio"
    except sniffio.AsyncLibraryNotFoundError:
        return False


def in_a_thread(work: Callable[[], T]) -> T:
    """Return what *work* returns, which has event loops of its own; wait for it."""
    found: list[T] = []
    errors: list[BaseException] = []

    def run_it() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001  (raised below)
            errors.append(error)

    thread = new_thread(run_it, name="batchrun plan")
    thread.start()
    thread.join()
    for raised in errors:
        raise raised
    return found[0]
