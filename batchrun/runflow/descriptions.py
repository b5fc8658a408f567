"""Models as the service describes them. Pure; read tolerantly: what isn't understood is no rule.

No public source shows a real `validator_code`, `validator_attrs` or `variable_type_code`
(runflow-api.md, section 16). So the attributes are read by their names and shapes alone: a list of
plain values is taken for the values that an input allows, a number under a name that begins with
`min` or `max` for a bound.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, field

_PLAIN: Final = (str, int, float, bool)

_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("string", "str", "text"), "string"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("number", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("image", "video", "audio", "file", "url"), "media"),
    **dict.fromkeys(("image_list", "video_list", "audio_list", "file_list"), "media_list"),
    **dict.fromkeys(("json", "object", "dict"), "json"),
}
"""Our word for each word that was seen for a type, or that stands to reason; others are no rule."""

_BOUND: Final = re.compile(r"(?P<end>min|max)(?:imum)?(?:_?(?:length|items|value))?", re.IGNORECASE)


class DescribedInput(Struct, frozen=True, kw_only=True):
    """One input of a model, as far as its description is understood.

    *kind* is one of `string`, `integer`, `number`, `boolean`, `media`, `media_list`, `json`; None:
    of any type. *allowed* are the only values that it takes, None: any. *low* and *high* bound a
    number, the characters of a text, or the items of a list. *default* is None where none is said.
    *says* is prose. *ignored* names what of its rules isn't understood.
    """

    kind: str | None = None
    required: bool = False
    default: Any = None
    allowed: tuple[Any, ...] | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    says: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def listed(self) -> frozenset[str]:
        """The texts among the allowed values."""
        return frozenset(each for each in self.allowed or () if isinstance(each, str))


class Description(Struct, frozen=True, kw_only=True):
    """What a model is called, its price *label*, and its inputs by name, in their order.

    *says* is prose. *outputs* are the names of what it gives, *kinds* their types in the service's
    words, each once.
    """

    name: str = ""
    says: str = ""
    label: str | None = None
    inputs: Mapping[str, DescribedInput] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def lists_values(self) -> bool:
        """Whether it says of any input which values it allows: else it says so of none."""
        return any(each.allowed is not None for each in self.inputs.values())


def parse_description(body: Mapping[str, Any]) -> Description:
    """Return what the model object *body* says, without what can't be understood."""
    outputs = tuple(_named(body.get("outputs")))
    kinds = (_text(each.get("variable_type_code")) for _, each in outputs)
    return Description(
        name=_text(body.get("name")),
        says=_text(body.get("description")),
        label=_text(body.get("pricing_note")) or None,
        inputs={name: _input(each) for name, each in _in_order(body.get("inputs"))},
        outputs=tuple(name for name, _ in outputs),
        kinds=tuple(dict.fromkeys(filter(None, kinds))),
    )


def _named(entries: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects among *entries* that have a name."""
    for each in entries if isinstance(entries, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("name"), str):
            yield each["name"], each


def _in_order(entries: object) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the inputs as their `sort_order` has them, or as they came where one has none."""
    named = [*_named(entries)]
    if any(type(each.get("sort_order")) is not int for _, each in named):
        return named
    return sorted(named, key=lambda entry: int(entry[1]["sort_order"]))


def _input(body: Mapping[str, Any]) -> DescribedInput:
    attributes = body.get("validator_attrs")
    rules = attributes if isinstance(attributes, Mapping) else {}
    allowed, bounds, ignored = None, {}, []
    for name, value in rules.items():
        bound = _BOUND.fullmatch(str(name))
        if value is None:
            continue
        if allowed is None and _is_list_of_values(value):
            allowed = tuple(value)
        elif bound is not None and (number := _number(value)) is not None:
            bounds[bound["end"].lower()] = number
        else:
            ignored.append(str(name))
    code = body.get("validator_code")
    if isinstance(code, str) and code and allowed is None and not bounds and not ignored:
        ignored.append(code)
    return DescribedInput(
        kind=_KINDS.get(_text(body.get("variable_type_code")).lower()),
        required=body.get("is_required") is True,
        default=body.get("default_value"),
        allowed=allowed,
        low=bounds.get("min"),
        high=bounds.get("max"),
        says=_text(body.get("description")),
        ignored=tuple(ignored),
    )


def _is_list_of_values(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, _PLAIN) for x in value)


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
