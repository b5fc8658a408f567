"""The probable cost of a run, from the price label of its model. Pure.

Labels read `$0.08/image`, `$0.3034/s`, `$0.12/request` (runflow-api.md, section 11). The service
has no endpoint that quotes a price, so this is an estimate; the run's `cost` is the truth.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_LABEL: Final = re.compile(r"\$\s*(\d+(?:\.\d+)?)\s*/\s*(\w+)")
_ONE: Final = frozenset({"request", "run", "call"})
_COUNTED: Final = {"image": "num_images", "s": "duration", "sec": "duration", "second": "duration"}


def estimate(label: str | None, inputs: Mapping[str, Any]) -> Decimal | None:
    """Return USD for one run with *inputs*, or None where the label gives no price."""
    match = _LABEL.search(label or "")
    if match is None:
        return None
    price, unit = Decimal(match[1]), match[2].lower().removesuffix("s") or "s"
    if unit in _ONE:
        return price
    if unit not in _COUNTED:
        return None
    count = _count(inputs.get(_COUNTED[unit]), default=1 if unit == "image" else None)
    return None if count is None else price * count


def _count(value: Any, *, default: int | None) -> Decimal | None:
    """Return how many units an input asks for; durations may be text."""
    if value is None:
        return None if default is None else Decimal(default)
    try:
        count = Decimal(str(value))
    except InvalidOperation:
        return None  # such as a duration of "auto"
    return count if count.is_finite() and count > 0 else None
