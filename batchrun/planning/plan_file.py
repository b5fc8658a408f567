"""A plan that was kept: `plan -o FILE` writes it, `--plan FILE` does just that, or nothing.

A kept plan has moved where another set of cells would begin, or where they are now expected to cost
more than was high. Then the call is refused and nothing is sent (section 9 of the contract).
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from errno import EISDIR
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import number_of, usd
from batchrun.errors import FolderError, UsageError
from batchrun.planning.to_do import ToDo

FORMAT: Final = 1
_SUBJECT: Final = ("name", "label", "endpoint", "outputs")


class KeptPlan(Struct, frozen=True, kw_only=True):
    """A plan that was read: *subject* is the sweep that it is of, *keys* stands for its cells.

    *high* is USD, None where a price was not known.
    """

    path: Path
    subject: Mapping[str, str | None]
    cells: int
    keys: str
    high: Decimal | None

    def check(self, subject: Mapping[str, str | None], to_do: ToDo) -> None:
        """Return where the plan still holds for what is *to_do*; raise UsageError.

        Where nothing is left to do, it holds: a repeated call must do no harm.
        """
        for name, was in self.subject.items():
            if was != subject.get(name):
                now = subject.get(name)
                raise self._moved(f"it is of another sweep: its {name} is {was!r}, not {now!r}")
        assert to_do.keys is not None
        if to_do.number and self.keys != to_do.keys.digest:
            now = number_of(to_do.number, "cell")
            same = "other cells" if to_do.number == self.cells else f"{now}, not {self.cells},"
            raise self._moved(
                f"manifest, ledger or options are not what they were: {same} would begin"
            )
        expected = to_do.cost().expected
        if self.high is not None and expected > self.high:
            raise self._moved(
                f"prices have changed since: {usd(expected)} USD are expected, and at most "
                f"{usd(self.high)} were"
            )

    def _moved(self, why: str) -> UsageError:
        return UsageError(f"the plan {self.path} has moved: {why}; nothing was sent; plan again")


def _amount(text: str) -> Decimal:
    """Return an amount in USD; ValueError or InvalidOperation where *text* is none."""
    amount = Decimal(text)
    if not amount.is_finite():
        raise ValueError(text)
    return amount


def keep(path: Path, plan: Mapping[str, Any]) -> None:
    """Write a plan, as `--json` has it; FolderError where it can't be written."""
    text = json.dumps({"batchrun_plan": FORMAT, **plan}, indent=1)
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        beside = path.with_name(f"{path.name}.part")
        beside.write_text(f"{text}\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise FolderError(f"cannot write the plan {path}: {error.strerror or error}") from error


def read(path: Path) -> KeptPlan:
    """Return the plan that was kept at *path*; UsageError where there is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError):
        body = None
    try:
        if body["batchrun_plan"] != FORMAT:
            raise UsageError(f"the plan {path} is of another version of batchrun: plan again")
        plan, cost = body["plan"], body["plan"]["cost"]
        high = None if cost["unknown"] else cost["high"]
        return KeptPlan(
            path=path,
            subject={name: body[name] for name in _SUBJECT},
            cells=plan["to_do"],
            keys=plan["keys"],
            high=None if high is None else _amount(high),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise UsageError(f"{path} is no plan: `batchrun plan MANIFEST -o FILE` makes one") from None
