"""`batchrun MANIFEST`: run it, or go on with it.

Modules that talk to the service are imported late: a call with nothing to do goes without.
"""

import time
from collections.abc import Sequence

from batchrun.commands import nothing_to_do
from batchrun.commands.call import prepare_for
from batchrun.commands.error_boundary import import_command
from batchrun.commands.options import Parser
from batchrun.commands.run_options import parse, parser_of
from batchrun.commands.target import naming_recover


def main(argv: Sequence[str]) -> int:
    """Run or resume the manifest that *argv* names; return the exit code."""
    started = time.monotonic()
    options = parse(argv)
    known = None if options.plan else nothing_to_do.repeated(options, argv, started)
    if known is not None:
        return known
    call = prepare_for(options)
    with naming_recover(call.recover_command):
        if options.dry_run:
            from batchrun.commands.preview import plan_of, preview

            return preview(plan_of(call, options, argv), as_json=options.json)
        code: int = import_command("execute").execute(call, options, argv, started)
        return code


def parser() -> Parser:
    """Return the parser of its options."""
    return parser_of("run")
