"""The life of one cell, for the commands that ask for it: which sweep, and which cell of it."""

import os
from pathlib import Path

from batchrun.base.no_file import DASH
from batchrun.commands.target import (
    Place,
    Subject,
    command_of,
    locate,
    opened,
    resuming,
    subject_of,
)
from batchrun.errors import LedgerError
from batchrun.ledger.cell_lines import OtherSweepError, life_of
from batchrun.ledger.life import Life
from batchrun.manifest.load import load_head, read_text
from batchrun.sweep.identity import check_folder, read_identity
from batchrun.sweep.location import LEDGER


def folder_subject(target: Path, place: Place, *, quiet: bool = False) -> Subject:
    """Return the sweep's folder, and of its manifest no more than it takes to find that."""
    if str(target) == DASH:
        return subject_of(target, place, quiet=quiet)
    if target.is_dir():
        identity = read_identity(target)
        if identity is None or identity.manifest is None:
            return subject_of(target, place, quiet=quiet)
        return Subject(folder=target, manifest=None, command=resuming(identity, None, target))
    head = load_head(read_text(target), target, os.environ)
    if head is None:
        return subject_of(target, place, quiet=quiet)
    command = command_of(target, place)
    return Subject(folder=locate(head, place)[1], manifest=None, command=command)


def life_in(subject: Subject, text: str) -> Life:
    """Return the life of the cell that *text* means; UsageError where that is none, or several."""
    path = subject.folder / LEDGER
    sweep = check_folder(subject.folder)
    if not path.exists():
        with opened(subject):  # says how to begin
            pass
    try:
        return life_of(subject.folder, text, sweep=sweep)
    except (ValueError, OtherSweepError) as error:
        with opened(subject):  # says whose it is, or names the broken line
            pass
        raise LedgerError(f"cannot index the ledger {path}: {error}") from error
    except OSError as error:
        raise LedgerError(f"cannot read the ledger {path}: {error.strerror or error}") from error
