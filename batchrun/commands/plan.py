"""`batchrun plan MANIFEST`: what would be done, and what it may cost; sends no run."""

from collections.abc import Sequence

from batchrun.commands.call import prepare, recover_command
from batchrun.commands.preview import preview
from batchrun.commands.run_options import parse
from batchrun.commands.target import naming_recover


def main(argv: Sequence[str]) -> int:
    """Print what a call with *argv* would do; return the exit code."""
    words = ["--dry-run", *argv]
    call = prepare(parse(words, command="plan"))
    with naming_recover(recover_command(call)):
        return preview(call, words)
