"""The receiver of callbacks of a call: its secret, its address, and what it lacks."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from batchrun.base.endpoint import SIMULATOR
from batchrun.base.progress import Progress
from batchrun.base.text import number_of
from batchrun.commands.call import Call
from batchrun.commands.connection import SIMULATED_SECRET
from batchrun.errors import UsageError
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.sources import unvalued
from batchrun.runflow.callbacks import parse_secrets
from batchrun.settings import Settings

if TYPE_CHECKING:  # its packages are an extra
    from batchrun.engine.run import Runner
    from batchrun.receiver.server import Receiver

SECRET: Final = "RUNFLOW_WEBHOOK_SECRET"  # noqa: S105  (its name)

MISSED: Final = 5
"""Runs without a callback from which on it is said that none came."""

INSTALL: Final = "pip install 'batchrun[callbacks]'"


@contextmanager
def receiver_of(settings: Settings, endpoint: str) -> "Iterator[Receiver | None]":
    """Yield the receiver that *settings* ask for, bound; None where they ask for none.

    Raises UsageError, before anything is sent, where it lacks a secret, a package or its address.
    """
    if settings.callback_url is None:
        yield None
        return
    secrets = needed_secrets(endpoint)
    try:
        from batchrun.receiver.server import receiver_on
    except ImportError as error:
        raise UsageError(
            f"callbacks need their extra ({error.name} is missing): `{INSTALL}`, in a clone "
            "`pip install '.[callbacks]'`; or take `callbacks` out of the manifest"
        ) from None
    with receiver_on(settings.callback_listen, secrets) as receiver:
        yield receiver


def needed_secrets(endpoint: str) -> tuple[str, ...]:
    """Return the secrets that callbacks may be signed with, or raise UsageError.

    The embedded simulator has one of its own.
    """
    if endpoint == SIMULATOR:
        return (SIMULATED_SECRET,)
    value = os.environ.get(SECRET, "")
    if not value.strip():
        raise UsageError(
            f"no secret for callbacks: put the one that Runflow showed (whsec_…) into {SECRET}, "
            "or take `callbacks` out of the manifest; nothing was sent"
        )
    try:
        return parse_secrets(value)
    except ValueError as error:
        raise UsageError(f"{SECRET} {error}; nothing was sent") from None


@asynccontextmanager
async def receiving(
    receiver: "Receiver | None", runner: "Runner", call: Call, progress: Progress
) -> AsyncIterator[None]:
    """Have *runner* hear what callbacks announce, as long as that lasts; say where, and how it was.

    Without a *receiver* nothing is done.
    """
    if receiver is None:
        yield
        return
    progress.note(said_of(receiver, call.manifest, call.settings))
    async with receiver.serving(runner.hear):
        yield
    said = complaint(receiver, runner.missed_callbacks)
    runner.shutdown.notes += [] if said is None else [said]


def said_of(receiver: "Receiver", manifest: Manifest, settings: Settings) -> str:
    """Return the line that says at the start where callbacks are received."""
    url = unvalued(settings.callback_url or "", manifest.sources.variables)
    return f"callbacks to {url} are received on {receiver.said}"


def complaint(receiver: "Receiver", missed: int) -> str | None:
    """Return what to say at the end where no callback came that counts; None where one did.

    *missed* runs ended whose callbacks were to come.
    """
    if receiver.received or missed < MISSED:
        return None
    runs = number_of(missed, "run")
    if receiver.refused:
        return (
            f"{number_of(receiver.refused, 'callback')} came, and none signed by the secret in "
            f"{SECRET}: is it that of this organisation? {runs} were asked for instead"
        )
    return (
        f"no callback came for {runs}, which were asked for instead: does `callbacks.url` lead to "
        f"{receiver.said}?"
    )
