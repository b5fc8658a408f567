"""Where a sweep lives. It names the folder, and doesn't look at it.

The folder never depends on the current directory, the spelling of a path, or the locale, so that
cron and a shell find the same ledger; and each endpoint has its own, so that trying a sweep out
never counts as having done it.
"""

import os
import re
import unicodedata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from batchrun.base.endpoint import DEFAULT_ENDPOINT, SIMULATOR, parse_endpoint
from batchrun.base.text import is_text
from batchrun.errors import UsageError

LEDGER: Final = "ledger.jsonl"
INDEX: Final = "index.sqlite"
LOGS: Final = "logs"
"""The folder of the logs that are kept; `engine/kept_logs.py` says what is in it."""

CATALOGUE: Final = "@catalogue.json"
"""Beside the folders of sweeps. No name of a sweep begins so, and a host's ends with its port."""

LONGEST: Final = 255
"""Bytes that the name of a folder has at most."""

_UNSAFE: Final = re.compile(r"[^\w.,=+@ -]+")


def choose_endpoint(given: str | None, manifest: str | None, environment: str | None) -> str:
    """Return the endpoint: the command line's, the manifest's, `RUNFLOW_API_URL`'s, the default.

    Raises UsageError for what is no endpoint; a password in it is not repeated.
    """
    places = {"--endpoint": given, "`endpoint`": manifest, "RUNFLOW_API_URL": environment}
    for place, endpoint in places.items():
        if endpoint:
            try:
                return parse_endpoint(endpoint)
            except ValueError as error:
                raise UsageError(f"{place} is no endpoint: {error}") from None
    return DEFAULT_ENDPOINT


def output_folder(
    name: str,
    manifest: Path,
    *,
    endpoint: str,
    outputs: Path | None = None,
    label: str | None = None,
) -> Path:
    """Return the absolute folder of the sweep *name* that the file *manifest* describes.

    *outputs* is a place for the folders of many sweeps.
    """
    base = outputs or default_base(manifest)
    said = None if label is None else _segment(label, "label")
    return _below(base, endpoint, _segment(name, "name"), said)


def former_folder(
    name: str,
    manifest: Path,
    *,
    endpoint: str,
    outputs: Path | None = None,
    label: str | None = None,
) -> Path:
    """Return the folder as batchrun 0.1 named it: by the path as spelled, and the name as typed."""
    base = outputs or _base_beside(manifest.absolute().parent)
    return _below(base, endpoint, name, label)


def _below(base: Path, endpoint: str, name: str, label: str | None) -> Path:
    host = endpoint_folder(endpoint)
    folder = base.absolute() / (host or "") / name
    return folder if label is None else folder / f"@{label}"


def default_base(manifest: Path) -> Path:
    """Return `outputs/` beside the manifest, or beside its folder if that is `manifests`."""
    return _base_beside(folder_of(manifest))


def _base_beside(folder: Path) -> Path:
    return (folder.parent if folder.name == "manifests" else folder) / "outputs"


def folder_of(manifest: Path) -> Path:
    """Return the folder in which a manifest is named: the same by `..` and by a link to it.

    A manifest that is a link itself stays where it is named: mounted configuration is links.
    """
    return manifest.absolute().parent.resolve()


def endpoint_folder(endpoint: str) -> str | None:
    """Return the folder for all sweeps at *endpoint*, None for the default one."""
    if endpoint == DEFAULT_ENDPOINT:
        return None
    if endpoint == SIMULATOR:
        return f"@{SIMULATOR}"
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"@{_UNSAFE.sub('_', parts.hostname or '')}-{port}"


def name_folder(folder: Path) -> Path:
    """Return the folder of a sweep's name: its own, or the one above where it has a label."""
    return folder.parent if folder.name.startswith("@") else folder


def catalogue_beside(folder: Path, label: str | None) -> Path:
    """Return the file that keeps descriptions of models, beside the sweep in *folder*."""
    return (folder if label is None else folder.parent).parent / CATALOGUE


def catalogue_below(base: Path, endpoint: str) -> Path:
    """Return the same file for *endpoint*, below a place for the folders of many sweeps."""
    return base.absolute() / (endpoint_folder(endpoint) or "") / CATALOGUE


def _segment(text: str, what: str) -> str:
    # One text is one folder, however it was typed, and whatever the locale calls its bytes.
    data = unicodedata.normalize("NFC", text).encode("utf-8", "replace")
    if (why := _why_no_segment(text, len(data), LONGEST - (what == "label"))) is not None:
        raise UsageError(
            f"the {what} {text[:LONGEST]!r} cannot be the name of a folder: {why}; "
            "letters, digits, spaces and `-_.,=` may stand in it, such as in `2026-11-28`"
        )
    return os.fsdecode(data)


def _why_no_segment(text: str, size: int, most: int) -> str | None:
    """Return what of *text*, of *size* bytes, a folder can't be called; None where it can."""
    ways = {
        "`/` may not stand in it": "/" in text,
        "a null may not stand in it": "\0" in text,
        "it is no text in UTF-8": not is_text(text),
        "it may not begin with `@`": text.startswith("@"),
        "it is empty, or only dots": not text.strip(". "),
        f"it has {size:,} bytes, and {most} is the most": size > most,
    }
    return next((why for why, is_so in ways.items() if is_so), None)
