"""Which sweep a command line means: its endpoint, its folder, and the command that finds both."""

import os
import shlex
from pathlib import Path

from batchrun.engine.folder import choose_endpoint, output_folder
from batchrun.manifest.manifest import Manifest


def find(
    manifest: Manifest, *, endpoint: str | None, outputs: Path | None, label: str | None
) -> tuple[str, Path]:
    """Return the endpoint and the folder; UsageError where the options are no place."""
    chosen = choose_endpoint(endpoint, manifest.endpoint, os.environ.get("RUNFLOW_API_URL"))
    return chosen, output_folder(manifest, endpoint=chosen, outputs=outputs, label=label)


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
