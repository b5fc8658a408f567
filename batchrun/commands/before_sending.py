"""What must hold before a call writes or sends anything; its ledger is held already.

In this order: no column has another type than paid cells had; nothing is paid again that another
folder has; each model is one of the service's;
its description takes the inputs; a plan that was kept still holds; what is tried again was agreed
to.
"""

import sys
from collections.abc import Mapping, Sequence

from batchrun.base.said import log
from batchrun.commands.beside import refuse
from batchrun.commands.call import Call
from batchrun.commands.changed_types import check_types
from batchrun.commands.checking_inputs import input_problems, obey
from batchrun.commands.knowing_models import Known, know_models, models_to_send
from batchrun.commands.preview import check_plan
from batchrun.commands.retrying import confirm_retry
from batchrun.commands.reuse_sources import opened_sources
from batchrun.commands.reusing import check_reused, no_reuse, survey
from batchrun.commands.run_options import Options
from batchrun.engine.selection import Selection
from batchrun.errors import ManifestError
from batchrun.ledger.book import Book
from batchrun.ledger.file import Ledger
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.missing_files import forget_missing
from batchrun.runflow.descriptions import Description
from batchrun.sweep.location import LEDGER


def check_all(
    call: Call,
    options: Options,
    ledger: Ledger,
    service: tuple[str, str],
    command: str,
    *,
    again: bool,
) -> Mapping[str, Description]:
    """Return the models' descriptions, as far as they are known; *command* is this call.

    *service* is its URL and the key. *again*: the chosen cells are made again, however they stand.
    Raises what each check below raises.
    """
    check_types(call, ledger, command, quiet=options.quiet)
    book, settings = ledger.book, call.settings
    taken = check_beside(call, options, book, service, command)
    selection = Selection(settings.only, ledger, attempts=settings.attempts)
    sent = models_to_send(call, book, selection, taken, again=again)
    known = check_models(call, options, book, service, sent)
    call = call.sending(known.descriptions)
    wrong = input_problems(call, book, selection, taken, known.descriptions, again=again)
    obey(wrong, call, quiet=options.quiet)
    if options.plan is not None:
        check_plan(options.plan, call, book, selection, known, taken)
    if not again:
        confirm_retry(call, options, ledger, known)
    return known.descriptions


def check_beside(
    call: Call, options: Options, book: Book, service: tuple[str, str], command: str
) -> KeyIndex:
    """Return the cells that will be taken over; *command* is this call.

    It returns where nothing is paid a second time that another folder has. Raises MadeBesideError,
    LedgerError where what was taken over once isn't in the ledger, and what `no_reuse` returns: all
    of it before anything is written.
    """
    with opened_sources(options.reuse, call) as sources:
        if sources:
            forget_missing(book, call.folder / LEDGER)
        taking = survey(call, book, sources)
        check_reused(call, book, command, taking)
        error = no_reuse(call, book, taking, command)
        if error is not None:
            raise error
        refuse(call, book, service, command, taking)
        return taking.keys


def check_models(
    call: Call, options: Options, book: Book, service: tuple[str, str], models: Sequence[str]
) -> Known:
    """Return what is known of the *models* that cells are sent to.

    Raises ManifestError where one is none of the service's: before anything is written or sent.
    """
    known = know_models(call, book, models, service)
    if known.problems:
        raise ManifestError(known.problems)
    for warning in () if options.quiet else known.warnings:
        log(warning, sys.stderr)
    return known
