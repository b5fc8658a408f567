"""The faults that are on, as they are asked for, and when they strike (pure).

A fault strikes calls: the n-th call that it could strike is struck or not by a hash of seed, fault
and n, so one seed and one order of calls give the same faults. Faults of the stage "run" strike
runs instead, by a hash of the run's id, and keep striking them until the fault is taken away.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from batchrun.simulator.fault_kinds import KINDS, ROUTES, UNTOUCHED, WORDS, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault as asked for. *calls* are the calls it may strike, first and last, from 1.

    With a *model* it strikes only calls that name it, or runs of it.
    """

    name: str
    routes: frozenset[str]
    value: str | None = None
    share: float = 1.0
    calls: tuple[tuple[int, float], ...] = ((1, float("inf")),)
    model: str | None = None

    def covers(self, route: str, model: str | None = None) -> bool:
        if self.model not in {None, model}:
            return False
        return route in self.routes or ("any" in self.routes and route not in UNTOUCHED)

    def as_json(self) -> dict[str, Any]:
        calls = [[first, None if last == float("inf") else last] for first, last in self.calls]
        return {
            "name": self.name,
            "value": self.value,
            "share": self.share,
            "calls": calls,
            "routes": sorted(self.routes),
            "model": self.model,
        }


SPELLING: Final = re.compile(
    r"(?P<name>\w+)(?:=(?P<value>[\w.]+))?(?::(?P<share>[\d.]+%?))?"
    r"(?:@(?P<calls>[\d,+-]+))?(?:/(?P<routes>\w+(?:\+\w+)*))?(?:~(?P<model>[\w./-]+))?"
)
EXPECTED: Final = "expected a fault such as lost_answer, list_lag=5, throttle:10% or error_after@3"


def parse_fault(text: str) -> Fault:
    """Read `NAME[=VALUE][:SHARE][@CALLS][/ROUTE+ROUTE][~MODEL]`.

    ValueError says what was expected.
    """
    match = SPELLING.fullmatch(text)
    if match is None:
        raise ValueError(EXPECTED)
    routes = match["routes"].split("+") if match["routes"] else None
    return make_fault(
        match["name"],
        value=match["value"],
        share=_share(match["share"] or "1"),
        calls=_calls(match["calls"] or "1+"),
        routes=routes,
        model=match["model"],
    )


def fault_from_json(body: Any) -> Fault:
    """Read a fault as text or as an object; ValueError says what was expected."""
    if isinstance(body, str):
        return parse_fault(body)
    known = {"name", "value", "share", "calls", "routes", "model"}
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or body.keys() - known:
        raise ValueError("expected a fault as text, or {name, value, share, calls, routes, model}")
    value, model = body.get("value"), body.get("model")
    if not isinstance(model, str | None):
        said = f"expected a model's id, such as google/nano-banana-2, not {model!r}"
        raise ValueError(said)  # noqa: TRY004  (of JSON)
    calls = body.get("calls", "1+")
    return make_fault(
        body["name"],
        value=None if value is None else str(value),
        share=_share(str(body.get("share", 1))),
        calls=_pairs(calls) if isinstance(calls, list) else _calls(str(calls)),
        routes=body.get("routes"),
        model=model,
    )


def make_fault(
    name: str,
    *,
    value: str | None = None,
    share: float = 1.0,
    calls: tuple[tuple[int, float], ...] = ((1, float("inf")),),
    routes: Iterable[str] | None = None,
    model: str | None = None,
) -> Fault:
    """Return the fault with what its kind says where nothing is given."""
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"unknown fault `{name}`; known are {', '.join(sorted(KINDS))}")
    _check_value(name, value)
    asked = kind.routes if routes is None else frozenset(routes)
    if unknown := asked - ROUTES:
        known = ", ".join(sorted(ROUTES))
        raise ValueError(f"unknown route `{min(unknown)}`; known are {known}")
    return Fault(
        name=name,
        routes=asked,
        value=value or kind.value,
        share=share,
        calls=calls,
        model=model,
    )


def _check_value(name: str, value: str | None) -> None:
    if value is None or name in {"unknown_status", "spelling", "leave_out"}:
        return
    if name in WORDS:
        if value not in WORDS[name]:
            raise ValueError(f"expected {', '.join(WORDS[name])} after `{name}=`")
        return
    if name != "throttle" and KINDS[name].value is None:
        raise ValueError(f"the fault `{name}` takes no value")
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError(f"expected a number after `{name}=`")


def _share(text: str) -> float:
    number = text.removesuffix("%")
    try:
        share = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError("expected a share such as 0.1 or 10%") from None
    if not 0 <= share <= 1:
        raise ValueError("expected a share between 0 and 1, or 0% and 100%")
    return share


def _calls(text: str) -> tuple[tuple[int, float], ...]:
    ranges: list[tuple[int, float]] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", part)
        if match is None:
            raise ValueError("expected calls such as 3, 2,5, 4+ or 1-10")
        last = float("inf") if match[2] else float(match[3] or match[1])
        ranges.append((int(match[1]), last))
    return tuple(ranges)


def _pairs(calls: list[Any]) -> tuple[tuple[int, float], ...]:
    try:
        return tuple(
            (call, call) if isinstance(call, int) else (int(call[0]), float(call[1] or "inf"))
            for call in calls
        )
    except (TypeError, ValueError, IndexError):
        raise ValueError("expected calls as [3, 5] or [[1, 10], [20, null]]") from None


def chance(*parts: object) -> float:
    """Return a number in [0, 1) that depends on *parts* alone."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


@dataclass(slots=True)
class Switchboard:
    """The faults that are on, and how many calls each has seen."""

    seed: int
    faults: list[Fault] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)

    def add(self, faults: Iterable[Fault]) -> None:
        self.faults.extend(faults)

    def clear(self) -> None:
        self.faults.clear()
        self.seen.clear()

    def strike(self, name: str, route: str, model: str | None = None) -> Fault | None:
        """Count a call of *route* for each fault called *name*; return the one that strikes.

        *model* is the model that the call names, if any.
        """
        struck = None
        for index, fault in enumerate(self.faults):
            if fault.name != name or not fault.covers(route, model):
                continue
            number = self.seen[index] = self.seen.get(index, 0) + 1
            if struck is None and self._hits(fault, number, str(number)):
                struck = fault
        if struck is not None:
            self.struck[name] = self.struck.get(name, 0) + 1
        return struck

    def strike_any(self, stage: Stage, route: str, model: str | None = None) -> Fault | None:
        """Return the first fault of *stage* that strikes this call of *route*."""
        names = dict.fromkeys(f.name for f in self.faults if KINDS[f.name].stage == stage)
        struck = [fault for name in names if (fault := self.strike(name, route, model))]
        return struck[0] if struck else None

    def holds(
        self, name: str, *, route: str, run_id: str, number: int, model: str | None = None
    ) -> Fault | None:
        """Return the fault called *name* if it holds for this run, each time it is asked."""
        found = self.all_holding(name, route=route, run_id=run_id, number=number, model=model)
        return next(found, None)

    def all_holding(
        self, name: str, *, route: str, run_id: str, number: int, model: str | None = None
    ) -> Iterator[Fault]:
        """Yield each fault called *name* that holds for this run, which is of *model*."""
        for fault in self.faults:
            if fault.name != name or not fault.covers(route, model):
                continue
            if self._hits(fault, number, run_id):
                yield fault

    def _hits(self, fault: Fault, number: int, mark: str) -> bool:
        if not any(first <= number <= last for first, last in fault.calls):
            return False
        return fault.share >= 1 or chance(self.seed, fault.name, mark) < fault.share
