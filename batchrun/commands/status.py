"""`batchrun status MANIFEST|FOLDER`: what the ledger says; no network, no lock."""

from collections.abc import Sequence
from pathlib import Path

from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.status_report import show_status
from batchrun.commands.target import subject_of


def main(argv: Sequence[str]) -> int:
    """Print how the sweep stands; 0 whenever that could be read."""
    parser = Parser("status", description="How a sweep stands, by its ledger alone.")
    parser.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    values = vars(parser.parse_args(argv))
    subject = subject_of(values["target"], take_place(values), quiet=values["json"])
    return show_status(subject, as_json=values["json"])
