"""`batchrun recover MANIFEST`: rebuild a lost, broken or old ledger from the API."""

import sys
from collections.abc import Sequence
from pathlib import Path

from batchrun.base.said import log
from batchrun.base.values import parse_id
from batchrun.commands.call import needed_key, prepare
from batchrun.commands.options import Parser, add_place, take_place, value
from batchrun.commands.recovering import Recovery
from batchrun.commands.run_options import add_settings
from batchrun.commands.status_report import show_status
from batchrun.commands.target import Subject, command_of
from batchrun.settings import LIMITS


def main(argv: Sequence[str]) -> int:
    """Rebuild the ledger that *argv* names, and show how the sweep stands."""
    options = vars(parser().parse_args(argv))
    place, path = take_place(options), options["manifest"]
    given = {name: options[name] for name in ("rate", "settle") if options[name] is not None}
    call = prepare(path, place, chosen=given, quiet=options["quiet"], as_json=options["json"])
    say_it = _silent if options["quiet"] else _say
    Recovery(call=call, say=say_it).run(needed_key(call.endpoint), options["sweep"])
    subject = Subject(folder=call.folder, manifest=call.manifest, command=command_of(path, place))
    return show_status(subject, as_json=options["json"])


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("recover", description="Rebuild a lost, broken or old ledger from the API.")
    made.add_argument("manifest", type=Path, metavar="MANIFEST")
    add_place(made)
    made.add_argument(
        *("--recover", "--sweep"),
        dest="sweep",
        type=value(parse_id),
        metavar="ID",
        help="which sweep, where several of this name were begun elsewhere",
    )
    wanted = [each for each in LIMITS if each.name in {"rate", "settle"}]
    add_settings(made.add_argument_group("limits, in place of the manifest's"), wanted)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    made.add_argument("--quiet", action="store_true", help="only the result")
    return made


def _say(message: str) -> None:
    log(message, sys.stderr)


def _silent(_message: str) -> None:
    pass
