"""What a trace is made of: one line for each event, with the virtual moment in seconds.

Names that are random, or a hash, are replaced. Cells, keys and sweeps are numbered in the order in
which they first appear, runs and batches in the order in which the service made them. A wave keeps
its number. A cursor is called by the run behind which its page begins. Moments of the service and
of the ledger are seconds since the beginning (`T+1.050`). Of a SHA-256 the first eight digits are
shown. Where the fields that a list is asked for aren't shown in full, their digest is.

Of a ledger's line all fields are shown but these: `at` where it is the moment of the write,
`body_sha256`, which depends on random names, and `version`, which changes with each release.

One thing is put in order: requests that their caller gives up at one moment. Their tasks are
cancelled in the order of a set, so the lines stand in the order in which the requests left.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import anyio
import httpx
from simulated import BEGINNING

from batchrun.simulator.paging import position
from batchrun.simulator.shapes import PIXEL_URL

Called = Callable[[str], str | None]
"""What a run or a batch is called that has this id, None where the service has made none."""

_HEX: Final = r"(?<![0-9a-f]){}(?![0-9a-f])"
_NAMES: Final = re.compile(
    "|".join(
        (
            f"(?P<pixel>{re.escape(PIXEL_URL)})",
            r"(?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00))",
            r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
            "(?P<sha>" + _HEX.format("[0-9a-f]{64}") + ")",
            "(?P<cell>" + _HEX.format("[0-9a-f]{32}") + ")",
            "(?P<sweep>" + _HEX.format("[0-9a-f]{20}") + ")",
            "(?P<short>" + _HEX.format("[0-9a-f]{12}") + ")",
        )
    )
)
_FIELDS: Final = re.compile(r"(?<=[?&]fields=)[^& ]+")
_CURSOR: Final = re.compile(r"(?<=pq=)[\w-]+")
_UNSHOWN: Final = frozenset({"type", "at", "body_sha256", "version"})


class Names:
    """Gives each random name one that is the same in every run."""

    def __init__(self, made: Called) -> None:
        self._made = made
        self._known: dict[str, dict[str, str]] = {}

    def plain(self, text: str) -> str:
        """Return *text* without anything random."""
        return _NAMES.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        kind, text = str(found.lastgroup), found[0]
        match kind:
            case "pixel":
                return "PIXEL"
            case "date":
                return f"T+{seconds(datetime.fromisoformat(text)):.3f}"
            case "uuid":
                return self._of_uuid(text)
            case "sha":
                return f"{text[:8]}…"
            case "short":
                cells = self._known.get("cell", {}).items()
                return next((name for cell, name in cells if cell.startswith(text)), text)
            case _:
                return self._numbered(kind, text)

    def _of_uuid(self, text: str) -> str:
        return self._made(text) or self._numbered("key", text)

    def _numbered(self, kind: str, text: str) -> str:
        known = self._known.setdefault(kind, {})
        return known.setdefault(text, f"{kind}-{len(known) + 1}")


class Tape:
    """The events so far. *deaf*, it hears no more: the process that it listens to is dead.

    *made* says what a run or a batch of the service is called. *in_full*, the tape shows which
    fields a list is asked for.
    """

    def __init__(self, made: Called, *, in_full: bool = False) -> None:
        self.deaf = False
        self._in_full = in_full
        self._names = Names(made)
        self._events: list[tuple[float, int, str]] = []
        self._requests = 0

    def headline(self, text: str) -> None:
        self._events.append((anyio.current_time(), 0, text))

    def begin(self) -> None:
        """A process begins, and counts its requests from 1."""
        self.deaf, self._requests = False, 0

    def note(self, text: str, *, given_up: int = 0) -> None:
        """Add an event. *given_up* is the number of a request that its caller gives up."""
        if not self.deaf:
            moment = anyio.current_time()
            self._events.append((moment, given_up, f"{moment:9.3f}  {self._names.plain(text)}"))

    def ledger(self, data: bytes) -> None:
        """Add the lines of a write; *data* may end amid one."""
        for line in data.splitlines(keepends=True):
            self.note(_ledger_line(line) if line.endswith(b"\n") else "ledger  half a line")

    def request(self, request: httpx.Request) -> int:
        """Add a request that leaves; return its number."""
        self._requests += 1
        text = _request(request)
        if not self._in_full:
            text = _FIELDS.sub(_digest, text)
        text = _CURSOR.sub(lambda found: _place(found[0]), text)
        self.note(f"#{self._requests} {text}")
        return self._requests

    def answer(self, number: int, response: httpx.Response) -> None:
        self.note(f"#{number} {response.status_code} {_answer(response)}".rstrip())

    def error(self, number: int, error: Exception) -> None:
        self.note(f"#{number} {type(error).__name__}")

    def given_up(self, number: int) -> None:
        self.note(f"#{number} given up", given_up=number)

    def lines(self) -> list[str]:
        """Return the events as text, in their order."""
        lines: list[str] = []
        for _, events in groupby(self._events, key=_bundle):
            lines += [text for _, _, text in sorted(events, key=itemgetter(1))]
        return lines


def _bundle(event: tuple[float, int, str]) -> tuple[float, bool]:
    """Return what neighbours have in common whose order means nothing, or may stay as it is."""
    moment, given_up, _ = event
    return moment, given_up > 0


def seconds(moment: datetime) -> float:
    return (moment - BEGINNING).total_seconds()


def _ledger_line(line: bytes) -> str:
    fields = json.loads(line)
    at = seconds(datetime.fromisoformat(fields["at"]))
    shown = {name: value for name, value in fields.items() if name not in _UNSHOWN}
    if abs(at - anyio.current_time()) > 1e-6:  # it has microseconds
        shown["at"] = fields["at"]
    return f"ledger  {fields['type']} {_spelled(shown)}"


def _spelled(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\S+", value):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _request(request: httpx.Request) -> str:
    url, words = request.url, [request.method]
    query = "&".join(f"{name}={value}" for name, value in url.params.multi_items())
    words.append(f"{url.path}?{query}" if query else url.path)
    if (key := request.headers.get("Idempotency-Key")) is not None:
        words.append(key)
    if request.content:
        words.append(request.content.decode())
    return " ".join(words)


def _digest(fields: re.Match[str]) -> str:
    return f"({sha256(fields[0].encode()).hexdigest()[:8]}…)"


def _answer(response: httpx.Response) -> str:
    try:
        body = json.loads(response.content)
    except ValueError:
        return json.dumps(response.text)
    if isinstance(body, dict) and isinstance(items := body.get("items"), list):
        return _whole_batch(body, items) if "id" in body else _page(body, items)
    if isinstance(body, dict) and "status_code" in body and "id" in body:
        return _run(body)
    if isinstance(body, dict) and "org_id" in body:
        return f"organisation {body['org_id']}"
    return json.dumps(body, separators=(",", ":"))


def _page(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> str:
    following = "" if body.get("next") is None else f" next={_place(body['next'])}"
    return f"[{', '.join(_counted(map(_run, items)))}]{following}"


def _place(cursor: str) -> str:
    """Return the run behind which a page of the simulator begins."""
    found = position(cursor)
    return cursor if found is None else f"run-{found[1]}"


def _counted(texts: Iterable[str]) -> Iterator[str]:
    for text, group in groupby(texts):
        number = len(list(group))
        yield text if number == 1 else f"{number} x {text}"


def _whole_batch(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> str:
    told = (f"{item['sequence_index']}:{item['run_id']} {item['status_code']}" for item in items)
    return f"{body['id']} {body['status_code']} [{', '.join(told)}]"


def _run(body: Mapping[str, Any]) -> str:
    lacks = [name for name in ("client_ref", "metadata", "batch_id") if name not in body]
    without = f" without {' and '.join(lacks)}" if lacks else ""
    return f"{body['id']} {body['status_code']}{without}"
