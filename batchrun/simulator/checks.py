"""The mistakes in a run's input, as the API's 422 lists it (pure).

Inputs that the model does not name are let through: what the real service does with them is not
documented, and refusing would make a manifest fail here that works there.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from batchrun.simulator.catalog import Input, Model

Mistake = dict[str, Any]

MEDIA: Final = re.compile(
    r"https?://\S+|data:[\w.+-]+/[\w.+-]+[;,].*|runflow://assets/[\w-]+", re.DOTALL
)
TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "image": (str,),
    "file": (str,),
    "image_list": (list,),
    "json": (dict, list),
}


def mistakes(model: Model, values: Mapping[str, Any], loc: tuple[str | int, ...]) -> list[Mistake]:
    """Return what is wrong with *values*, each with its place below *loc*."""
    found: list[Mistake] = []
    for given in model.inputs:
        value = values.get(given.name)
        where = [*loc, given.name]
        if value is None:
            if given.required:
                found.append({"loc": where, "msg": "field required", "type": "missing"})
            continue
        found += [{"loc": where, "msg": m, "type": "value_error"} for m in _wrong(given, value)]
    if model.either and not any(values.get(name) for name in model.either):
        names = " or ".join(model.either)
        found.append({"loc": [*loc], "msg": f"one of {names} is required", "type": "missing"})
    return found


def _wrong(given: Input, value: Any) -> Iterator[str]:
    if not isinstance(value, TYPES[given.type]) or (
        isinstance(value, bool) and given.type != "boolean"
    ):
        yield f"expected {given.type}, got {type(value).__name__}"
    elif given.enum is not None:
        if value not in (*given.enum, *given.also):
            yield f"expected one of {', '.join(map(str, given.enum))}"
    elif given.type in {"image", "image_list", "file"}:
        yield from _wrong_media(value)
        yield from _out_of_bounds(given, value)
    else:
        yield from _out_of_bounds(given, value)


def _wrong_media(value: Any) -> Iterator[str]:
    for url in value if isinstance(value, list) else [value]:
        if not isinstance(url, str) or not MEDIA.fullmatch(url):
            yield "media URL must use HTTP(S), a data URI or runflow://assets/…"


def _out_of_bounds(given: Input, value: Any) -> Iterator[str]:
    size = value if isinstance(value, int | float) else len(value)
    noun = {"string": " characters", "image_list": " items"}.get(given.type, "")
    if given.low is not None and size < given.low:
        yield f"must be at least {given.low}{noun}"
    if given.high is not None and size > given.high:
        yield f"must be at most {given.high}{noun}"


def amount(value: Any) -> str | None:
    """Read an amount of money, 0 or more, as text; None where it is none."""
    text = str(value) if type(value) in {str, int, float} else ""
    return text if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text, re.ASCII) else None


def assets_in(value: Any) -> Iterator[str]:
    """Yield the ids of all assets that *value* refers to, at any depth."""
    if isinstance(value, str):
        if value.startswith("runflow://assets/"):
            yield value.removeprefix("runflow://assets/")
    elif isinstance(value, list):
        for item in value:
            yield from assets_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from assets_in(item)
