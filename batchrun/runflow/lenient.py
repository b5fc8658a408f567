"""Single values of API bodies, read tolerantly: what can't be understood is None. Pure.

A listing has hundreds of runs with a dozen values each, so the shapes that are documented come
first, and cheaply.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from batchrun.runflow import inline
from batchrun.runflow.statuses import reason_of

_NUMBERS: Final = (str, int, float)


def text(value: Any) -> str | None:
    """Return a text that isn't empty; a whole number counts as its digits."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


DIGITS_OF_64_BITS: Final = 18
DIGITS: Final = 9
PLACES: Final = 20
"""Digits before and behind the point beyond which a number is no price: sums of it have no end."""


def money(value: Any) -> Decimal | None:
    """Return an exact amount of USD; None for what is no amount that a run can cost."""
    amount = _number(value)
    if amount is None or not amount:
        return amount if amount is None else Decimal(0)
    # By its digits alone: decimal arithmetic with 1e9999999 is an Overflow.
    exponent = amount.as_tuple().exponent
    small = amount.adjusted() < DIGITS and isinstance(exponent, int) and exponent >= -PLACES
    return amount if small else None


def _number(value: Any) -> Decimal | None:
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):  # of an integer with thousands of digits
        return None
    return amount if amount.is_finite() else None


def whole(value: Any) -> int | None:
    """Return a number of 64 bits, rounded towards nought."""
    if type(value) is int:
        return value if abs(value) < 2**63 else None
    number = _number(value)
    # Not int(Decimal("1e999999")): that would take all the memory there is.
    if number is None or number.adjusted() > DIGITS_OF_64_BITS or abs(number) >= 2**63:
        return None
    return int(number)


def failure(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return code and message of a failure: the fields of its own, else the fields of `error`.

    Where neither says anything, the status may: `timed_out`.
    """
    code, message = text(body.get("failure_code")), text(body.get("failure_message"))
    error = body.get("error")
    if error is not None:
        error = error if isinstance(error, dict) else {"message": error}
        code = code or text(error.get("code"))
        message = message or text(error.get("message"))
    if code is None and message is None:
        message = reason_of(body)
    return code and inline.message(code), message and inline.message(message)
