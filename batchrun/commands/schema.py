"""`batchrun schema`: print the manifest's JSON Schema."""

from collections.abc import Sequence

from batchrun.commands.options import Parser
from batchrun.manifest.schema import as_text


def main(argv: Sequence[str]) -> int:
    """Print the schema; return 0."""
    parser().parse_args(argv)
    print(as_text(), end="")
    return 0


def parser() -> Parser:
    """Return the parser of its options."""
    return Parser(
        "schema",
        description="Print the manifest's JSON Schema, for editors: save it, and begin a manifest "
        "with `# yaml-language-server: $schema=FILE`.",
    )
