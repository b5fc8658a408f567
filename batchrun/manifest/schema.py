"""The manifest's JSON Schema, for editors: structure, words and units.

Names, references and files need the whole manifest, so only the loader checks them; what the schema
refuses, the loader refuses too.
"""

import json
from typing import Any, Final

from batchrun.base.ceilings import MOST_DRAWN, MOST_IN_FLIGHT, MOST_REPLICATES, MOST_SPACED
from batchrun.settings import MONEY, counted, described, in_section

_TEXT: Final = {"type": "string", "minLength": 1}
_NAMES: Final = {"type": "array", "items": _TEXT}
_TEMPLATE: Final = {"type": "string", "pattern": r"\$\{"}
_NUMBER: Final = {"type": ["number", "string"]}
_RANGE: Final[dict[str, Any]] = {
    "anyOf": [
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 3,
            "items": _NUMBER,
            "description": "first, last, step: both ends included",
        },
        {
            "type": "object",
            "description": "so many numbers, both ends included",
            "properties": {
                "first": _NUMBER,
                "last": _NUMBER,
                "count": {
                    "anyOf": [{"type": "integer", "minimum": 2, "maximum": MOST_SPACED}, _TEMPLATE]
                },
                "spacing": {
                    "anyOf": [{"enum": ["linear", "log"]}, _TEMPLATE],
                    "description": "by equal distances (linear), or by equal ratios (log)",
                },
            },
            "required": ["first", "last", "count"],
            "additionalProperties": False,
        },
        _TEMPLATE,
    ]
}
_OPERATORS: Final[dict[str, Any]] = {
    "$range": _RANGE,
    "$file": _TEXT | {"description": "a local file, relative to the manifest; uploaded once"},
    "$text": _TEXT | {"description": "the text of a local file, as a value"},
    "$glob": _TEXT | {"description": "an axis of the files that match, sorted"},
    "$lines": _TEXT | {"description": "an axis of a text file's lines"},
    "$omit": {"const": True, "description": "leave the input out"},
    "$value": {"description": "this, as it is: nothing in it is interpreted"},
}


def _section(description: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def _list(items: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": description, **more}


_VALUE: Final[dict[str, Any]] = {
    "properties": _OPERATORS,
    "patternProperties": {r"^\$(?!\{|(range|file|text|glob|lines|omit|value)$)": False},
    "additionalProperties": {"$ref": "#/$defs/value"},
    "dependentSchemas": {operator: {"maxProperties": 1} for operator in _OPERATORS},
    "items": {"$ref": "#/$defs/value"},
}

_VALUES: Final[dict[str, Any]] = {
    "type": "object",
    "not": {"anyOf": [{"required": [word]} for word in ("model", "alias", "cell", "replicate")]},
    "additionalProperties": {
        "allOf": [{"$ref": "#/$defs/value"}, {"not": {"type": "array", "maxItems": 0}}]
    },
}

_MODEL: Final = {
    "anyOf": [
        {"type": "string", "pattern": r"^[^\s/]+(/[^\s/]+)+$"},
        _section(
            "a model, and how its inputs differ from the common ones",
            {
                "id": {"type": "string", "pattern": r"^[^\s/]+(/[^\s/]+)+$"},
                "alias": {"type": "string", "pattern": r"^\w[\w.+ -]*$"},
                "inputs": {"$ref": "#/$defs/values"},
                "omit": _list(_TEXT, "common inputs this model doesn't take"),
                "map": {
                    "type": "object",
                    "description": "input: {common value: this model's value}",
                    "additionalProperties": {"type": "object"},
                },
                "rename": {
                    "type": "object",
                    "description": "common name: this model's name",
                    "additionalProperties": _TEXT,
                },
                "concurrency": counted(MOST_IN_FLIGHT),
                "repeat": counted(MOST_REPLICATES),
                "price": {**MONEY, "description": "USD that one run costs at most"},
                "budget": {**MONEY, "description": "USD that its runs may cost in all"},
            },
            required=["id"],
        ),
    ]
}

_COLUMNS: Final = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/value"}},
}
_DATA: Final = {
    "type": "string",
    "pattern": r"\.([cC][sS][vV]|[tT][sS][vV]|[tT][xX][tT]|[jJ][sS][oO][nN][lL]|ndjson)$",
    "description": "a CSV or JSONL file, or a pattern such as sheets/*.csv",
}
_ROWS: Final[dict[str, Any]] = {
    "anyOf": [
        _DATA,
        _list({"type": "object"}, "rows, each a mapping of names to values", minItems=1),
        _section(
            "a data file, and how its columns are taken",
            {
                "file": {"anyOf": [_DATA, _list(_DATA, "files, end to end", minItems=1)]},
                "send": _NAMES,
                "template": _NAMES,
                "text": _NAMES,
                "number": _NAMES,
                "boolean": _NAMES,
                "files": _NAMES,
                "lists": {
                    "type": "object",
                    "description": "column: what separates the values in one field",
                    "additionalProperties": _TEXT,
                },
                "delimiter": {
                    "description": "what separates the columns of a CSV file",
                    "enum": [",", ";", "|", "\t", "\\t", "comma", "semicolon", "tab"],
                },
            },
            required=["file"],
        ),
    ]
}


def _settings(section: str) -> dict[str, Any]:
    """Return the properties of a section that are settings."""
    return {
        key: {**each.schema, "description": described(each)}
        for key, each in in_section(section).items()
    }


SCHEMA: Final[dict[str, Any]] = _section(
    "A manifest of batchrun: models, inputs, and how to run them.",
    {
        "name": _TEXT | {"description": "the sweep's name; default: the file's"},
        "models": _list({"$ref": "#/$defs/model"}, "what runs", minItems=1),
        "inputs": {"$ref": "#/$defs/values", "description": "what is sent; a list is an axis"},
        "vars": {"$ref": "#/$defs/values", "description": "values for ${...} that are not sent"},
        "zip": {
            "description": "columns that advance together",
            "anyOf": [
                _section("independent zips", {"all": _list({"$ref": "#/$defs/columns"}, "zips")}),
                {"$ref": "#/$defs/columns"},
            ],
        },
        "rows": {
            "description": "one point for each row",
            "anyOf": [
                {"$ref": "#/$defs/rows"},
                _section("independent rows", {"all": _list({"$ref": "#/$defs/rows"}, "rows")}),
            ],
        },
        "exclude": _list({"type": "object", "minProperties": 1}, "points to drop"),
        "include": _list(
            {
                "type": "object",
                "not": {"anyOf": [{"required": [word]} for word in ("inputs", "vars", "repeat")]},
            },
            "further grids beside the product",
        ),
        "repeat": counted(MOST_REPLICATES) | {"description": "replicates of every cell (1)"},
        "sample": _section(
            "so many points of the product",
            {"n": counted(MOST_DRAWN), "seed": {"type": "integer"}},
            required=["n"],
        ),
        "limits": _section(
            "how much at once, how fast, how often, how long, how dear", _settings("limits")
        ),
        "poll": _section("how often runs are asked for", _settings("poll")),
        "callbacks": _section(
            "where the service announces the ends of runs", _settings("callbacks"), required=["url"]
        ),
        "outputs": _section(
            "where finished files go",
            {
                "dir": _TEXT | {"description": "relative to the manifest"},
                **_settings("outputs"),
                "name": _TEXT | {"description": "such as ${alias}/${cell}; without extension"},
            },
        ),
        "metadata": {
            "type": "object",
            "description": "stored on every run",
            "not": {"required": ["batchrun"]},
        },
        "endpoint": {
            "type": "string",
            "description": "https://api.runflow.io, or `simulator`",
            "pattern": r"^(simulator|https://[^@]+|http://(localhost|127\.|\[::1\])[^@]*|\$\{env:.*)$",
        },
    },
    required=["models"],
) | {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "batchrun manifest",
    "patternProperties": {"^x-": {"description": "ignored: a place for anchors"}},
    "$defs": {
        "value": _VALUE,
        "values": _VALUES,
        "model": _MODEL,
        "columns": _COLUMNS,
        "rows": _ROWS,
    },
}


def as_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"
