"""`batchrun plan MANIFEST`: what would be done, and what it may cost; sends no run."""

from collections.abc import Sequence

from batchrun.commands.call import prepare
from batchrun.commands.preview import Plan, preview
from batchrun.commands.run_options import SHOWING, command_in, parse
from batchrun.commands.target import naming_recover


def main(argv: Sequence[str]) -> int:
    """Print what a call with *argv* would do; return the exit code."""
    options = parse(argv, command="plan")
    call = prepare(options.manifest, options.place, chosen=options.chosen, only=options.only)
    with naming_recover(call.recover_command):
        plan = Plan(call=call, command=command_in(argv, without=SHOWING), reuse=options.reuse)
        return preview(plan, as_json=options.json)
