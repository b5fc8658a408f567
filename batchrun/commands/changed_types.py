"""Columns of CSV files whose type has changed: said by a call, and refused where it costs.

The check comes before anything is written or sent. A call that goes on writes the types of now into
its `sweep` line. Paid cells of other types count until each of them is made anew.
"""

import sys

from batchrun.base.said import say
from batchrun.commands.call import Call
from batchrun.errors import ManifestError, TypesChangedError
from batchrun.ledger.reader import Readable
from batchrun.planning.type_changes import TypeChanges, lines, type_changes, ways


def check_types(call: Call, ledger: Readable, command: str, *, quiet: bool) -> None:
    """Say which columns have changed their type; *command* is this call.

    Raises TypesChangedError where paid cells drop out, and the call doesn't say that it knows.
    """
    found = type_changes(call.manifest, ledger)
    if found is None:
        return
    if are_refused(found, call):
        raise TypesChangedError("\n".join(lines(found)), [*ways(found, command)])
    for each in () if quiet else lines(found):
        say(each, sys.stderr)


def are_refused(found: TypeChanges | None, call: Call) -> bool:
    """Say whether the call sends nothing for what has changed."""
    return found is not None and found.lost.cells > 0 and not call.settings.new_types


def goes_on(call: Call, ledger: Readable) -> bool:
    """Say whether the next call is refused, too, without the `--new-types` that this one has."""
    if not call.settings.new_types:
        return False
    try:
        found = type_changes(call.manifest, ledger)
    except ManifestError:  # of a data file that has changed another word is said
        return False
    return found is not None and found.lost.cells > 0
