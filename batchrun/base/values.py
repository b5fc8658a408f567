"""Small parsers of the manifest's and the command line's values. Pure: they know no places.

Each returns a value or raises ValueError("expected ..."), which completes the sentence
"`limits.rate` is `10 per sec`; ...".
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from batchrun.base.ceilings import FASTEST, LONGEST_DAYS, MOST_USD
from batchrun.base.text import escaped

_PER: Final = {"s": 1, "min": 60, "h": 3600}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SLIPS: Final = {"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m"}


MOST_ITEMS: Final = 100
"""Items of one batch: the API takes no more (runflow-api.md, section 8)."""


class HiddenValueError(ValueError):
    """A value that is wrong, and that is not to be shown: it may hold a password."""


class Rate(Struct, frozen=True):
    """So many calls in so much time, as it was written."""

    calls: Decimal
    unit: str = "s"

    @property
    def per_second(self) -> float:
        return float(self.calls / _PER[self.unit])

    def __str__(self) -> str:
        return f"{self.calls}/{self.unit}"


class FailOn(Struct, frozen=True):
    """How many cells may end badly before the exit code says so; exactly one field is set."""

    more_than: int | None = None
    share: Decimal | None = None

    def allows(self, bad: int, cells: int) -> bool:
        """Say whether *bad* of *cells* is still no reason to exit with 1."""
        if self.more_than is not None:
            return bad <= self.more_than
        return self.share is None or bad * 100 <= self.share * cells


class InputErrors(StrEnum):
    """What happens to cells whose input their model's description rules out."""

    REFUSE = "refuse"
    WARN = "warn"


class KeepLogs(StrEnum):
    """Whose logs are kept in the folder."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


def parse_rate(value: object) -> Rate:
    """Parse "10/s", "600/min" or "0.5/s"."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)/(s|min|h)", value if type(value) is str else "")
    if match is None or not Decimal(match[1]):
        raise ValueError("expected a rate such as 10/s or 600/min")
    rate = Rate(Decimal(match[1]), match[2])
    if not 1 / 3600 <= rate.per_second <= FASTEST:
        raise ValueError(f"expected a rate from 1/h to {FASTEST}/s")
    return rate


def parse_wait(value: object) -> float:
    """Parse "15m", "500ms" or "0s" into seconds: a time that may be none at all."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([a-z]*)", value if type(value) is str else "")
    if match is None or match[2] not in _SECONDS:
        unit = _SLIPS.get(match[2]) if match else None
        number = value if type(value) in {int, float} else match[1] if match else None
        hint = f"; did you mean `{number}{unit or 's'}`?" if unit or _bare(value) else ""
        raise ValueError(f"expected a time such as 500ms, 30s, 15m or 1h{hint}")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST_DAYS * _SECONDS["d"]:
        raise ValueError(f"expected a time of at most {LONGEST_DAYS}d")
    return seconds


def parse_seconds(value: object) -> float:
    """Parse "15m", "30s", "1.5h" or "500ms" into seconds, more than none."""
    seconds = parse_wait(value)
    if not seconds:
        raise ValueError("expected a time longer than nothing")
    return seconds


def _bare(value: object) -> bool:
    return type(value) in {int, float} or (type(value) is str and value.isdecimal())


def parse_money(value: object) -> Decimal:
    """Parse 5, 5.00 or "5.00" into US dollars."""
    hint = ""
    if type(value) in {int, float, str}:
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            hint = "; the currency is always USD" if re.search(r"[$€£]|[A-Z]", str(value)) else ""
        else:
            if amount.is_finite() and amount > MOST_USD:
                hint = f", at most {MOST_USD:,}"
            elif amount.is_finite() and amount >= 0 and abs(amount.adjusted()) < 15:
                return amount
    raise ValueError(f"expected an amount in USD such as 5.00{hint}")


def up_to(most: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from 1 to *most*; text of digits counts, for the command
    line's sake.
    """

    def parse(value: object) -> int:
        number = _whole(value)
        if number is None or number < 1:
            raise ValueError("expected a whole number of 1 or more")
        if number > most:
            raise ValueError(f"expected at most {most:,}")
        return number

    return parse


def parse_batch_size(value: object) -> int:
    """Parse how many items a batch may have; one cell alone is sent as a run, and no batch."""
    number = _whole(value)
    if number is None or not 1 <= number <= MOST_ITEMS:
        raise ValueError(f"expected a whole number from 1 (no batches) to {MOST_ITEMS}")
    return number


def _whole(value: object) -> int | None:
    if type(value) is str and re.fullmatch(r"[0-9]{1,4000}", value):
        return int(value)
    return value if type(value) is int else None


def parse_input_errors(value: object) -> InputErrors:
    """Parse refuse or warn."""
    if value not in [*InputErrors]:
        raise ValueError("expected refuse or warn")
    return InputErrors(str(value))


def parse_keep_logs(value: object) -> KeepLogs:
    """Parse none, failed or all."""
    if value not in [*KeepLogs]:
        raise ValueError("expected none, failed or all")
    return KeepLogs(str(value))


def parse_fail_on(value: object) -> FailOn:
    """Parse any (no cell may fail), none (all may), a number, or a share such as 5%."""
    text = str(value)
    if text in {"any", "none"}:
        return FailOn(more_than=0) if text == "any" else FailOn()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return FailOn(more_than=int(text))
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%", text)
    if match is None or Decimal(match[1]) > 100:
        raise ValueError("expected any, none, a number of cells or a share such as 5%")
    return FailOn(share=Decimal(match[1]))


def parse_id(value: object) -> str:
    """Parse the id of a sweep, as messages and `sweep.json` have it."""
    if not isinstance(value, str) or re.fullmatch(r"[0-9A-Za-z_-]{4,64}", value) is None:
        raise ValueError("expected the id of a sweep, as batchrun says it")
    return value


def parse_ids(value: object) -> tuple[str, ...]:
    """Parse "ID" or "ID,ID"."""
    return tuple(map(parse_id, value.split(","))) if isinstance(value, str) else (parse_id(value),)


def parse_flag(value: object) -> bool:
    """Parse true or false."""
    if type(value) is not bool:
        hint = f"; `{value}` is text in YAML 1.2" if value in {"yes", "no", "on", "off"} else ""
        raise ValueError(f"expected true or false{hint}")
    return value


def parse_text(value: object) -> str:
    """Parse text that is not empty."""
    if type(value) is not str or not value.strip():
        raise ValueError("expected text")
    return value


def spell(value: Any, limit: int = 60) -> str:
    """Spell a value for a message: printable, and short enough to be read."""
    text = value if type(value) is str else json.dumps(value, ensure_ascii=False, default=str)
    text = escaped(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
