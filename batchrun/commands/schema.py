"""`batchrun schema`: print the manifest's JSON Schema."""

import json
from collections.abc import Sequence

from batchrun.commands.options import Parser
from batchrun.manifest.schema import SCHEMA


def main(argv: Sequence[str]) -> int:
    """Print the schema; return 0."""
    parser = Parser(
        "schema",
        description="Print the manifest's JSON Schema, for editors: save it, and begin a manifest "
        "with `# yaml-language-server: $schema=FILE`.",
    )
    parser.parse_args(argv)
    print(json.dumps(SCHEMA, indent=2, ensure_ascii=False))
    return 0
