"""Which sweep a command line means: its endpoint, its folder, and the command that finds both."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchrun.errors import LostLedgerError
from batchrun.manifest.manifest import Manifest
from batchrun.sweep.location import choose_endpoint, output_folder


def find(
    manifest: Manifest, *, endpoint: str | None, outputs: Path | None, label: str | None
) -> tuple[str, Path]:
    """Return the endpoint and the folder; UsageError where the options are no place."""
    chosen = choose_endpoint(endpoint, manifest.endpoint, os.environ.get("RUNFLOW_API_URL"))
    folder = output_folder(
        manifest.name,
        manifest.path,
        endpoint=chosen,
        outputs=outputs or manifest.outputs.directory,
        label=label,
    )
    return chosen, folder


def command_of(
    manifest: str | Path,
    *,
    endpoint: str | None = None,
    outputs: Path | None = None,
    label: str | None = None,
) -> str:
    """Return the command that goes on with a sweep, as one would type it."""
    place = {"--endpoint": endpoint, "--outputs": outputs, "--label": label}
    options = [word for name, each in place.items() if each for word in (name, str(each))]
    return shlex.join(["batchrun", str(manifest), *options])


def recover_of(command: str) -> str:
    """Return what rebuilds the ledger of the sweep that *command* (`command_of`) goes on with."""
    return f"batchrun recover{command.removeprefix('batchrun')}"


def name_recover(error: Exception, command: str) -> None:
    """Let the error of a lost ledger advise the whole *command*: only here the place is known."""
    if isinstance(error, LostLedgerError):
        error.recover = command


@contextmanager
def naming_recover(command: str) -> Iterator[None]:
    """Do so with what is raised inside."""
    try:
        yield
    except LostLedgerError as error:
        name_recover(error, command)
        raise
