"""Models as the service describes them. Pure; read tolerantly: what isn't understood is no rule.

No public source shows a real `validator_code`, `validator_attrs` or `variable_type_code`
(runflow-api.md, section 16). So the attributes are read by their names and shapes alone: a list of
plain values is taken for the values that an input allows, a number under a name that begins with
`min` or `max` for a bound. A list is only as good as its name: `enum` lists what is allowed, but
`range`, `formats` or `examples` may list something else, and so rules nothing out.
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

_BOUND: Final = re.compile(
    r"(?P<end>min|max)(?:imum)?(?:_?(?P<of>length|items|value))?", re.IGNORECASE
)
_ALLOWED: Final = re.compile(
    r"(?:allowed|valid|accepted|permitted|possible|enum|select)?"
    r"_?(?:values?|options?|choices?|enums?|items?|list)|allowed|valid|enum|in|one_?of",
    re.IGNORECASE,
)
"""Names that say of a list that it holds all that an input allows."""

_BOUNDED: Final[Mapping[str | None, frozenset[str]]] = {
    "string": frozenset({"", "length"}),
    "integer": frozenset({"", "value"}),
    "number": frozenset({"", "value"}),
    "media_list": frozenset({"", "items", "length"}),
    "json": frozenset({"", "items", "length"}),
}
"""What the bounds of each kind may speak of; "" is what doesn't say. Of any other kind: all."""


class DescribedInput(Struct, frozen=True, kw_only=True):
    """One input of a model, as far as its description is understood.

    *kind* is one of `string`, `integer`, `number`, `boolean`, `media`, `media_list`, `json`; None:
    of any type. *allowed* are the only values that it takes, None: any; *is_list_named* is whether
    one list's name says so. *low* and *high* bound a number, the characters of a text, or the items
    of a list; *unit* is `value`, `length` or `items`, "" where the description doesn't say which.
    *default* is None where none is said. *says* is prose. *ignored* names what of its rules isn't
    understood.
    """

    kind: str | None = None
    required: bool = False
    default: Any = None
    allowed: tuple[Any, ...] | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    unit: str = ""
    is_list_named: bool = True
    says: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def listed(self) -> frozenset[str]:
        """The texts among the allowed values."""
        return frozenset(each for each in self.allowed or () if isinstance(each, str))


class Description(Struct, frozen=True, kw_only=True):
    """What a model is called, its price *label*, and its inputs by name, in their order.

    *says* is prose. *outputs* are the names of what it gives, *kinds* their types in the service's
    words, each once. *is_whole* is False where an input has no name that can be read.
    """

    name: str = ""
    says: str = ""
    label: str | None = None
    inputs: Mapping[str, DescribedInput] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    is_whole: bool = True

    @property
    def lists_values(self) -> bool:
        """Whether it says of any input which values it allows: else it says so of none."""
        return any(each.allowed is not None for each in self.inputs.values())


def parse_description(body: Mapping[str, Any]) -> Description:
    """Return what the model object *body* says, without what can't be understood."""
    outputs = tuple(_named(body.get("outputs")))
    entries, inputs = body.get("inputs"), _in_order(body.get("inputs"))
    kinds = (_text(each.get("variable_type_code")) for _, each in outputs)
    return Description(
        name=_text(body.get("name")),
        says=_text(body.get("description")),
        label=_text(body.get("pricing_note")) or None,
        inputs={name: _input(each) for name, each in inputs},
        outputs=tuple(name for name, _ in outputs),
        kinds=tuple(dict.fromkeys(filter(None, kinds))),
        is_whole=not isinstance(entries, list) or len(inputs) == len(entries),
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
    rules = {str(name): value for name, value in rules.items() if value is not None}
    kind = _KINDS.get(_text(body.get("variable_type_code")).lower())
    lists = [name for name, value in rules.items() if _is_list_of_values(value)]
    named = [name for name in lists if _ALLOWED.fullmatch(name)]
    listed = next(iter([*named, *lists]), None) if kind not in {"media", "media_list"} else None
    bounds = _bounds(kind, rules)
    ignored = [name for name in rules if name != listed and name not in bounds.names]
    code = body.get("validator_code")
    if isinstance(code, str) and code and listed is None and not bounds.names and not ignored:
        ignored.append(code)
    return DescribedInput(
        kind=kind,
        required=body.get("is_required") is True,
        default=body.get("default_value"),
        allowed=None if listed is None else tuple(rules[listed]),
        low=bounds.low,
        high=bounds.high,
        unit=bounds.unit,
        is_list_named=listed is None or len(named) == 1,
        says=_text(body.get("description")),
        ignored=tuple(ignored),
    )


class _Bounds(Struct, frozen=True, kw_only=True):
    """The bounds of an input, and the *names* that they stand under."""

    low: Decimal | None = None
    high: Decimal | None = None
    unit: str = ""
    names: tuple[str, ...] = ()


def _bounds(kind: str | None, rules: Mapping[str, Any]) -> _Bounds:
    """Return the bounds that a value of that *kind* can have; none where they exclude all."""
    ends: dict[str, Decimal] = {}
    units: dict[str, None] = {}
    names = []
    for name, value in rules.items():
        bound, number = _BOUND.fullmatch(name), _number(value)
        if bound is None or number is None:
            continue
        unit = (bound["of"] or "").lower()
        if unit in _BOUNDED.get(kind, {unit}):
            ends[bound["end"].lower()] = number
            units[unit] = None
            names.append(name)
    low, high = ends.get("min"), ends.get("max")
    if low is not None and high is not None and low > high:
        return _Bounds()
    unit = next(iter(units)) if len(units) == 1 else ""
    return _Bounds(low=low, high=high, unit=unit, names=tuple(names))


def _is_list_of_values(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, _PLAIN) for x in value)


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
