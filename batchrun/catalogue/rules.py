"""What one value is by the description of its input. Pure.

A description rules out only what it says in words that are understood. A value that it names, as
one of the allowed ones or as the default, is right whatever else it says. Where the prose of an
input names a value that its list lacks, or says that the list is open, the list is too narrow:
openai/gpt-image-1.5 lists three sizes, and its text allows `auto`, too (runflow-api.md, section
16). So that is a warning. So is a list whose name doesn't say that it is of what is allowed.

A duration is text, `5` or `8s`: bounds that don't say what they are of may be of its number.

No document says what bounds of a single file or address are: they are no rule. What bounds of JSON
are is clear for a list alone.
"""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from batchrun.base.local_file import LocalFile
from batchrun.base.text import listed
from batchrun.base.values import spell
from batchrun.catalogue.near_values import NUMBER, is_number, nearest_of, number_in
from batchrun.manifest.expressions.template import kind
from batchrun.runflow.descriptions import DescribedInput

_MEDIA: Final = re.compile(r"(?:https?|runflow)://.|data:.", re.IGNORECASE | re.DOTALL)
"""The beginning of what a media input takes as text (runflow-api.md, section 4)."""

_BEGINS: Final = re.compile(r"\d{1,18}(?:\.\d{1,18})?")
"""A text that begins with a number, such as `5` or `8s`: bounds may be of that number."""

_OPEN: Final = re.compile(
    r"\b(?:or any|any other|any value|also|custom|e\.?g\b|for example|for instance|such as|etc"
    r"|including)\b|\b(?:w|width)\s*[x\u00d7*]\s*(?:h|height)\b",
    re.IGNORECASE,
)
"""Words by which a text says that a list isn't all there is."""

MOST_NAMED: Final = 12
"""Allowed values that a message names."""


class Kind(StrEnum):
    """What is wrong with an input."""

    UNKNOWN = "unknown input"
    MISSING = "missing"
    TYPE = "wrong type"
    NOT_ALLOWED = "not allowed"
    RANGE = "out of range"
    MEDIA = "bad media"


class Wrong(Struct, frozen=True, kw_only=True):
    """What is wrong with a value. *said* goes on after the model's name: "doesn't take `16:10`".

    *hint* says what to do, "" for nothing. *column* is the option of `rows` that mends it where the
    value comes from a data file, "" for none. *certain* is False where the description may say too
    little: a warning.
    """

    kind: Kind
    said: str
    hint: str = ""
    column: str = ""
    certain: bool = True


def wrong_with(described: DescribedInput, value: Any) -> Wrong | None:
    """Return what the description of an input says against *value*, None where that is nothing."""
    if value is None:
        needed = described.required and described.default is None
        return Wrong(kind=Kind.MISSING, said="needs it, and null is sent") if needed else None
    if any(_same(value, each) for each in described.allowed or ()):
        return None
    if _is_spelled(described, value):
        return None
    if described.default is not None and _same(value, described.default):
        return None
    return (
        _wrong_type(described.kind, value)
        or _not_allowed(described, value)
        or _out_of_bounds(described, value)
    )


def has_rule(described: DescribedInput) -> bool:
    """Say whether `wrong_with` may find anything."""
    typed = described.kind not in {None, "json"}
    bounded = described.low is not None or described.high is not None
    return described.required or typed or bounded or described.allowed is not None


def _same(one: Any, other: Any) -> bool:
    """Say whether two values are sent alike: 1 and 1.0 are, true and 1 are not."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _is_spelled(described: DescribedInput, value: Any) -> bool:
    """Say whether a value of the right type is in the list as text, or as a number.

    An input that is a whole number and allows `"1"` takes 1: no document says how a list spells
    what it allows.
    """
    if described.kind is None or not isinstance(value, str | int | float):
        return False
    if _wrong_type(described.kind, value) is not None:
        return False
    written = spell(value)
    return any(spell(each) == written for each in described.allowed or ())


# Types.


def _wrong_type(wanted: str | None, value: Any) -> Wrong | None:
    match wanted:
        case "string":
            return None if isinstance(value, str | LocalFile) else _no_text(value)
        case "integer" | "number":
            return _no_number(value, whole=wanted == "integer")
        case "boolean":
            return None if isinstance(value, bool) else _no_boolean(value)
        case "media":
            return _no_media(value)
        case "media_list":
            return _no_media_list(value)
        case _:
            return None


def _other_type(takes: str, value: Any, hint: str = "", column: str = "") -> Wrong:
    found = kind(value)
    shown = found if isinstance(value, list | dict) else f"`{spell(value)}`, {found}"
    return Wrong(kind=Kind.TYPE, said=f"takes {takes}, not {shown}", hint=hint, column=column)


def _no_text(value: Any) -> Wrong:
    if isinstance(value, list | dict):
        return _other_type("text", value)
    return _other_type("text", value, f'write `"{spell(value)}"`', "text")


def _no_number(value: Any, *, whole: bool) -> Wrong | None:
    takes = "a whole number" if whole else "a number"
    if is_number(value):
        fits = not whole or isinstance(value, int) or value.is_integer()
        return None if fits else Wrong(kind=Kind.TYPE, said=f"takes {takes}, not `{spell(value)}`")
    plain = value.strip(" ") if isinstance(value, str) else ""
    quoted = NUMBER.fullmatch(plain) and (not whole or float(plain).is_integer())
    return _unquoted(takes, value, plain, "number") if quoted else _other_type(takes, value)


def _no_boolean(value: Any) -> Wrong:
    word = value.lower() if isinstance(value, str) else ""
    quoted = word in {"true", "false"}
    takes = "true or false"
    return _unquoted(takes, value, word, "boolean") if quoted else _other_type(takes, value)


def _unquoted(takes: str, value: Any, word: str, column: str) -> Wrong:
    return _other_type(takes, value, f"write `{word}` without quotes", column)


def _no_media(value: Any) -> Wrong | None:
    if isinstance(value, LocalFile):
        return None
    if isinstance(value, str):
        return None if _MEDIA.match(value) else _no_address(value)
    return _other_type("one address or file", value)


def _no_address(value: str) -> Wrong:
    said = f"takes an address, a data URI, an asset or a file, not `{spell(value)}`"
    return Wrong(
        kind=Kind.MEDIA,
        said=said,
        hint=f"a local file is `{{$file: {spell(value)}}}`",
        column="files",
    )


def _no_media_list(value: Any) -> Wrong | None:
    takes = "a list of addresses or files"
    if not isinstance(value, list | tuple):
        return _other_type(takes, value, "put it in a list, and that in another: `[[…]]`")
    for each in value:
        if isinstance(each, str | LocalFile):
            if wrong := _no_media(each):
                return wrong
        else:
            said = f"takes {takes}, not {kind(each)} in it"
            return Wrong(kind=Kind.TYPE, said=said)
    return None


# Allowed values.


def _not_allowed(described: DescribedInput, value: Any) -> Wrong | None:
    allowed = described.allowed
    if allowed is None or not isinstance(value, str | int | float):
        return None
    near = nearest_of(value, allowed)
    meant = f"; did you mean `{_as_written(near, value)}`?" if near is not None else ""
    return Wrong(
        kind=Kind.NOT_ALLOWED,
        said=f"doesn't take `{spell(value)}`",
        hint=f"it takes {_named(allowed)}{meant}",
        certain=described.is_list_named
        and not (_OPEN.search(described.says) or _names(described.says, value)),
    )


def _as_written(near: Any, value: Any) -> str:
    """Spell the allowed value that was meant; in quotes where these are all that was missing."""
    text = spell(near)
    quoted = isinstance(near, str) and not isinstance(value, str) and number_in(near) is not None
    return f'"{text}"' if quoted else text


def _named(allowed: tuple[Any, ...]) -> str:
    return listed((f"`{spell(each, 30)}`" for each in allowed), most=MOST_NAMED)


def _names(says: str, value: Any) -> bool:
    """Say whether a text has *value* as a word of its own."""
    word = re.escape(str(value))
    return re.search(rf"(?<![\w:.]){word}(?![\w:]|\.\w)", says, re.IGNORECASE) is not None


# Bounds.


def _out_of_bounds(described: DescribedInput, value: Any) -> Wrong | None:
    low, high = described.low, described.high
    if low is None and high is None:
        return None
    size = _size(described, value)
    if size is None or _is_within(described, size):
        return None
    begins = _BEGINS.match(value) if isinstance(value, str) and not described.unit else None
    if begins is not None and _is_within(described, Decimal(begins[0])):
        return None
    noun, what = "", f"`{spell(value)}`"
    if isinstance(value, list | tuple):
        noun, what = " items", f"{size}"
    elif isinstance(value, str):
        noun, what = " characters", f"the {size} of {what}"
    return Wrong(
        kind=Kind.RANGE,
        said=f"takes {_bounds(low, high)}{noun}, not {what}",
        certain=begins is None,
    )


def _is_within(described: DescribedInput, size: int | Decimal) -> bool:
    low, high = described.low, described.high
    return (low is None or size >= low) and (high is None or size <= high)


def _size(described: DescribedInput, value: Any) -> int | Decimal | None:
    """Return the size that bounds speak of: a number's own, else characters or items.

    None where no document says what bounds are of. A float is what it is written as: as a binary
    number 0.1 is a little more than the bound 0.1.
    """
    wanted, unit = described.kind, described.unit
    if isinstance(value, list | tuple):
        return len(value) if unit != "value" else None
    if isinstance(value, str):
        return len(value) if wanted in {None, "string"} and unit in {"", "length"} else None
    if not is_number(value) or wanted not in {None, "integer", "number"}:
        return None
    if unit not in {"", "value"}:
        return None
    return value if isinstance(value, int) else Decimal(str(value))


def _bounds(low: Decimal | None, high: Decimal | None) -> str:
    if low is None or high is None:
        return f"at most {high:f}" if low is None else f"at least {low:f}"
    return f"exactly {low:f}" if low == high else f"{low:f} to {high:f}"
