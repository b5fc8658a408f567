"""What one call is about: manifest, settings, folder, key. `run` and `plan` share it."""

import os
from pathlib import Path

from msgspec import Struct

from batchrun.commands.connection import needed_key
from batchrun.commands.run_options import Options, settings_of
from batchrun.commands.target import command_of, locate, recover_of
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.settings import Settings


class Call(Struct, frozen=True, kw_only=True):
    """What one call is about."""

    options: Options
    manifest: Manifest
    settings: Settings
    endpoint: str
    folder: Path
    key: str


def recover_command(call: Call) -> str:
    """Return the command that rebuilds this sweep's ledger."""
    options = call.options
    return recover_of(
        command_of(
            options.manifest,
            endpoint=options.endpoint,
            outputs=options.outputs,
            label=options.label,
        )
    )


def prepare(options: Options) -> Call:
    """Return what is to be done; ManifestError or UsageError where it can't be."""
    manifest = load_manifest(options.manifest, os.environ)
    endpoint, folder = locate(
        manifest, endpoint=options.endpoint, outputs=options.outputs, label=options.label
    )
    return Call(
        options=options,
        manifest=manifest,
        settings=settings_of(options, manifest),
        endpoint=endpoint,
        folder=folder,
        key="" if options.dry_run else needed_key(endpoint),
    )
