"""Two walks of cells' values, and what only one of them has. Pure.

Of a million distinct values only their digests are held, and the first few that differ.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.local_file import LocalFile
from batchrun.base.text import escaped
from batchrun.ledger.key_index import SIZE, KeyIndex
from batchrun.manifest.cell_key import canonical
from batchrun.manifest.cells import plain

SHOWN: Final = 3
"""Values of an axis that are shown."""

WIDTH: Final = 60
"""Characters of a value that are shown; of two that differ, those around the difference."""

BEFORE: Final = 15
"""Characters before the difference."""

_REFERENCE: Final = re.compile(r"\$\{[^{}]{1,40}\}")

Values = Mapping[str, Any]
Cells = Callable[[], Iterable[Values]]
"""A walk of cells' values, each time from the first one."""


class Change(Struct, frozen=True, kw_only=True):
    """The values of one axis that are gone, and those that came; some of each, and how many.

    *place* is where the first of those that came stands.
    """

    axis: str
    was: Sequence[str] = ()
    now: Sequence[str] = ()
    dropped: int = 0
    added: int = 0
    place: str | None = None


class Template(Struct, frozen=True):
    """The value of a template: its own text, whatever it comes to. *place* is where it stands."""

    text: str
    place: str | None


class File(Struct, frozen=True):
    """A file of which only the content is known."""

    sha256: str


class _Sets:
    """The distinct values of each name, by their digests."""

    def __init__(self) -> None:
        self._known: dict[str, KeyIndex] = {}
        self._last: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> bool:
        """Take a value in; say whether it is new."""
        if name in self._last and _same(self._last[name], value):
            return False
        self._last[name] = value
        return self._of(name).place(digest(value))[1]

    def has(self, name: str, value: Any) -> bool:
        return digest(value).hex() in self._of(name)

    def _of(self, name: str) -> KeyIndex:
        return self._known.get(name) or self._known.setdefault(name, KeyIndex())


class _Found(Struct):
    """The values of one name that only one side has: the first ones, and how many."""

    shown: list[Any] = field(default_factory=list)
    number: int = 0

    def add(self, value: Any) -> None:
        self.number += 1
        if len(self.shown) < SHOWN:
            self.shown.append(value)


def compare(old: Cells, new: Cells, place: Callable[[str, Any], str | None]) -> Sequence[Change]:
    """Return the values that only one of two walks has, by name in the order of their coming."""
    before, after = _Sets(), _Sets()
    for name, value in _pairs(old):
        before.add(name, value)
    added: defaultdict[str, _Found] = defaultdict(_Found)
    for name, value in _pairs(new):
        if after.add(name, value) and not before.has(name, value):
            added[name].add(value)
    seen, dropped = _Sets(), defaultdict[str, _Found](_Found)
    for name, value in _pairs(old):
        if seen.add(name, value) and not after.has(name, value):
            dropped[name].add(value)
    return [
        _change(name, dropped[name], added[name], place)
        for name in dict.fromkeys([*dropped, *added])
    ]


def _pairs(cells: Cells) -> Iterator[tuple[str, Any]]:
    return chain.from_iterable(values.items() for values in cells())


def _change(
    name: str, dropped: _Found, added: _Found, place: Callable[[str, Any], str | None]
) -> Change:
    was, now = [*map(_spelled, dropped.shown)], [*map(_spelled, added.shown)]
    start = _difference(was, now) if dropped.number == added.number == 1 else 0
    return Change(
        axis=name,
        was=[_shortened(each, start) for each in was],
        now=[_shortened(each, start) for each in now],
        dropped=dropped.number,
        added=added.number,
        place=place(name, added.shown[0]) if added.shown else None,
    )


def _difference(was: Sequence[str], now: Sequence[str]) -> int:
    """Return the number of the first character at which the first values differ."""
    pairs = zip(was[0], now[0], strict=False)
    shortest = min(len(was[0]), len(now[0]))
    return next((at for at, (one, other) in enumerate(pairs) if one != other), shortest)


def _shortened(text: str, start: int) -> str:
    if len(text) <= WIDTH:
        return text
    begin = max(0, min(start - BEFORE, len(text) - WIDTH))
    end = begin + WIDTH
    for reference in _REFERENCE.finditer(text):  # a half of one is other text
        if reference.start() < begin < reference.end():
            begin = reference.start()
        if reference.start() < end < reference.end():
            end = reference.end()
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"


def _spelled(value: Any) -> str:
    if isinstance(value, File):
        return f"a file with the sha256 {value.sha256[:12]}…"
    if isinstance(value, LocalFile):
        return value.written
    if isinstance(value, Template):
        return _spelled(value.text)
    return escaped(json.dumps(plain(value), ensure_ascii=False, default=str))


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) is str and one == other)


def digest(value: Any) -> bytes:
    text = json.dumps(_canonical(value), ensure_ascii=False, sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def _canonical(value: Any) -> Any:
    """Return a value in the spelling of cell keys; a file is its content, however it is known."""
    if isinstance(value, File):
        return {"$file": value.sha256}
    if isinstance(value, Template):
        return value.text
    if isinstance(value, Mapping):
        return {
            f"${name}" if name.startswith("$") else name: _canonical(below)
            for name, below in value.items()
        }
    if isinstance(value, list | tuple):
        return [_canonical(below) for below in value]
    return canonical(value)
