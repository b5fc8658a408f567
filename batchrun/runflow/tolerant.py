"""Single values of API bodies, read tolerantly: what can't be understood is None. Pure."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def text(value: Any) -> str | None:
    """Return a text that isn't empty; a whole number counts as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def status(value: Any) -> str:
    """Return our word for a status: `cancelled` for either spelling, `unknown` for none."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return {"canceled": "cancelled", "": "unknown"}.get(word, word)


def money(value: Any) -> Decimal | None:
    """Return an exact amount."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def whole(value: Any) -> int | None:
    """Return a number of 64 bits, rounded towards nought."""
    number = money(value)
    # Not int(Decimal("1e999999")): that would take all the memory there is.
    return int(number) if number is not None and abs(number) < 2**63 else None


def moment(value: Any) -> datetime | None:
    """Return a time in UTC; one without a zone is taken to be in it."""
    if not isinstance(value, str):
        return None
    try:
        told = datetime.fromisoformat(value.strip())
        return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
