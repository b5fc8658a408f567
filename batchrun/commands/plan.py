"""`batchrun plan MANIFEST`: what would be done, and what it may cost; sends no run."""

from collections.abc import Sequence

from batchrun.commands.call import prepare_for
from batchrun.commands.options import Parser
from batchrun.commands.preview import plan_of, preview
from batchrun.commands.run_options import parse, parser_of
from batchrun.commands.target import naming_recover


def main(argv: Sequence[str]) -> int:
    """Print what a call with *argv* would do; return the exit code."""
    options = parse(argv, command="plan")
    call = prepare_for(options)
    with naming_recover(call.recover_command):
        return preview(plan_of(call, options, argv), as_json=options.json)


def parser() -> Parser:
    """Return the parser of its options."""
    return parser_of("plan")
