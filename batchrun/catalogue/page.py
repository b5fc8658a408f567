"""One model: inputs, outputs, label, published price, and a manifest that runs it. Pure.

All of it is said as the description has it. A rule that isn't understood is named, and is no rule.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from batchrun.base.widths import width_of, wrapped
from batchrun.catalogue.table import columns, one_line
from batchrun.runflow.descriptions import DescribedInput, Description
from batchrun.runflow.published_prices import spelled

MOST_VALUES: Final = 12
"""Allowed values that a line shows; `--json` has all."""

_EXAMPLES: Final = {
    "string": "a red chair",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "media": "https://example.com/photo.png",
    "media_list": ["https://example.com/photo.png"],
    "json": {},
}
_BOUNDS: Final = {"string": " characters", "media_list": " files"}
_NO_TEXT: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that YAML takes for another kind of value."""

_PLAIN: Final = re.compile(r"[a-z_][\w./-]*", re.IGNORECASE)


def model_page(model: str, description: Description, width: int | None = None) -> list[str]:
    """Return the lines of the page; its table is wrapped at a terminal's *width*."""
    said = filter(None, (one_line(description.name), one_line(description.says)))
    gives = ", ".join(description.kinds or description.outputs)
    return [
        one_line(model),
        *(f"  {line}" for line in said),
        f"  price: {one_line(description.label or 'none is said')}",
        *([f"  published: {pages}"] if (pages := spelled(model)) else []),
        *([f"  gives: {one_line(gives)}"] if gives else []),
        "",
        *_inputs(description, width),
        *_ignored(description),
        "",
        "a manifest that runs it:",
        "",
        *(f"  {line}" for line in manifest_of(model, description)),
    ]


def _inputs(description: Description, width: int | None) -> list[str]:
    if not description.inputs:
        return ["its inputs are not described"]
    rows = [("input", "type", "required", "default", "takes")]
    for name, given in description.inputs.items():
        default = "-" if given.default is None else one_line(_spelled(given.default))
        required = "yes" if given.required else "no"
        rows.append((one_line(name), given.kind or "any", required, default, _takes(given)))
    lines = columns(rows, width, wraps=True)
    if width is None or max(map(width_of, lines)) <= width:
        return lines
    return [line for row in rows[1:] for line in _stacked(*row, width=width)]


def _stacked(
    name: str, kind: str, required: str, default: str, takes: str, *, width: int
) -> Iterator[str]:
    """Yield the lines of an input for a terminal that is too narrow for a table."""
    words = ["required"] if required == "yes" else []
    words += [f"default {default}"] if default != "-" else []
    yield from wrapped(", ".join([f"{name}: {kind}", *words]), width)
    if takes != "-":
        yield from (f"  {line}" for line in wrapped(takes, width - 2))


def _takes(given: DescribedInput) -> str:
    said = (_allowed(given), _bounds(given), one_line(given.says))
    return "; ".join(filter(None, said)) or "-"


def _allowed(given: DescribedInput) -> str:
    values = given.allowed or ()
    shown = one_line(", ".join(map(_spelled, values[:MOST_VALUES])))
    more = len(values) - MOST_VALUES
    return f"{shown} and {more} more" if more > 0 else shown


def _bounds(given: DescribedInput) -> str:
    unit = _BOUNDS.get(given.kind or "", "")
    match given.low, given.high:
        case None, None:
            return ""
        case low, None:
            return f"at least {low:f}{unit}"
        case None, high:
            return f"at most {high:f}{unit}"
        case low, high:
            return f"{low:f} to {high:f}{unit}"


def _ignored(description: Description) -> Iterator[str]:
    for name, given in description.inputs.items():
        if given.ignored:
            rules = ", ".join(f"`{one_line(each)}`" for each in given.ignored)
            yield f"`{one_line(name)}` has rules that are not understood, and not checked: {rules}"


def manifest_of(model: str, description: Description) -> list[str]:
    """Return the lines of a manifest with one cell of *model*: the inputs that it requires."""
    inputs = description.inputs
    required = [name for name, given in inputs.items() if given.required] or list(inputs)[:1]
    lines = [f"  {_key(name)}: {json.dumps(_example(inputs[name]))}" for name in required]
    return [f"models: [{_key(model)}]", *(["inputs:", *lines] if lines else [])]


def _example(given: DescribedInput) -> Any:
    """Return a value that the input takes, as far as its description says."""
    if given.default is not None:
        return given.default
    if given.allowed:
        return given.allowed[0]
    if given.kind in {"integer", "number"} and given.low is not None:
        return int(given.low) if given.low == int(given.low) else float(given.low)
    return _EXAMPLES.get(given.kind or "string")


def _key(name: str) -> str:
    plain = _PLAIN.fullmatch(name) and name.lower() not in _NO_TEXT
    return name if plain else json.dumps(name)


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_dict(model: str, description: Description, at: datetime) -> dict[str, Any]:
    """Return all of it for JSON; bounds are decimal texts, None where there is none."""
    return {
        "id": model,
        "name": description.name,
        "says": description.says,
        "price": description.label,
        "published": spelled(model),
        "gives": [*description.kinds],
        "outputs": [*description.outputs],
        "at": at.isoformat(timespec="seconds"),
        "inputs": [
            {
                "name": name,
                "type": given.kind,
                "required": given.required,
                "default": given.default,
                "allowed": None if given.allowed is None else [*given.allowed],
                "low": None if given.low is None else f"{given.low:f}",
                "high": None if given.high is None else f"{given.high:f}",
                "says": given.says,
                "not_understood": [*given.ignored],
            }
            for name, given in description.inputs.items()
        ],
    }
