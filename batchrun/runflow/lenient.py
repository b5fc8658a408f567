"""Single values of API bodies, read tolerantly: what can't be understood is None. Pure.

A listing has hundreds of runs with a dozen values each, so the shapes that are documented come
first, and cheaply.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_NUMBERS: Final = (str, int, float)
_SPELLINGS: Final = {"canceled": "cancelled", "": "unknown"}


def text(value: Any) -> str | None:
    """Return a text that isn't empty; a whole number counts as its digits."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def status(value: Any) -> str:
    """Return our word for a status: `cancelled` for either spelling, `unknown` for none."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return _SPELLINGS.get(word, word)


def money(value: Any) -> Decimal | None:
    """Return an exact amount."""
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def whole(value: Any) -> int | None:
    """Return a number of 64 bits, rounded towards nought."""
    if type(value) is int:
        return value if abs(value) < 2**63 else None
    number = money(value)
    # Not int(Decimal("1e999999")): that would take all the memory there is.
    return int(number) if number is not None and abs(number) < 2**63 else None


def moment(value: Any) -> datetime | None:
    """Return a time in UTC; one without a zone is taken to be in it."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        if read.tzinfo is UTC:
            return read
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def failure(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return code and message of a failure: the fields of its own, else the fields of `error`."""
    code, message = text(body.get("failure_code")), text(body.get("failure_message"))
    error = body.get("error")
    if error is not None:
        error = error if isinstance(error, dict) else {"message": error}
        code = code or text(error.get("code"))
        message = message or text(error.get("message"))
    return code, message
