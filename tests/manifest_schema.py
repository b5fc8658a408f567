"""What the JSON Schema has against a manifest."""

from pathlib import Path
from typing import Any

import jsonschema

from batchrun.manifest.schema import SCHEMA
from batchrun.manifest.yaml.composer import parse_document
from batchrun.manifest.yaml.section import plain_value

_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def value_of(path: Path) -> Any:
    """Return a manifest as plain values; None where it is not YAML."""
    node = parse_document(path.read_bytes(), path.name, [])
    return None if node is None else plain_value(node)


def complaints(value: Any) -> list[str]:
    return [error.message for error in _VALIDATOR.iter_errors(value)]
