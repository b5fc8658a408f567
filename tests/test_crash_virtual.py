"""Killed at every departure, answer and write, in virtual time, under every answer and fault.

The process is cut off in this one, which takes milliseconds; the proof with SIGKILL is in
test_crash_matrix.py.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from crash.mortal import Mortal, MortalDisk, MortalTransport, Service, Tail, serving
from engine_world import World
from simulated import Runflow

from batchrun.engine.shutdown import Shutdown
from batchrun.ledger.records import Extra, Submitted, decode

pytestmark = pytest.mark.timeout(900)

TEXT = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b]}
outputs: {name: "pictures/${prompt}"}
limits: {concurrency: 2, rate: 100/s, settle: 5s, give_up: 20s}
"""
BATCH_TEXT = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 12]}}
outputs: {download: false}
limits: {concurrency: 12, rate: 100/s, settle: 5s, give_up: 20s}
"""
MOST_CALLS = 6


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of service, and a manifest for it. *late* is how long a POST is on its way, *gap* how
    long after the last kill the next call is made, in seconds. *fickle*, the same input may be
    refused, or not. What is odd in its answers *ceases* after the second call of the repair.
    """

    service: dict[str, Any] = field(default_factory=dict)
    text: str = TEXT
    late: float = 0.0
    gap: float = 0.0
    fickle: bool = False
    ceases: bool = False


ANSWERS = {
    word: Kind(service={"script": ["ok", word]}, fickle=word in {"400", "422", "409"})
    for word in (
        *("ok", "429", "unreachable", "reset", "html", "400", "422", "401", "402", "409"),
        *("408", "500", "503", "lost", "500-after", "half", "no-id", "hang"),
    )
}
LOST = ["lost", "ok", "lost"]
LISTS = {
    "listed late": Kind(service={"list_lag": 4.0}),
    "committed and listed late, answers lost": Kind(
        service={"list_lag": 2.0, "script": LOST}, late=2.0
    ),
    "filter refused": Kind(service={"filters": "no", "script": LOST}),
    "filter ignored": Kind(service={"filters": "ignored", "script": LOST}),
    "filter answers empty": Kind(service={"filters": "empty", "script": LOST}),
    "pages of one": Kind(service={"page_cap": 1, "script": LOST}),
    "key honoured": Kind(service={"honours_key": True, "script": LOST}),
}
EVIDENCE: dict[str, dict[str, Any]] = {
    "references in capitals": {"faults": ["list_refs=upper"]},
    "references cut": {"faults": ["list_refs=cut"]},
    "lists end early": {"faults": ["list_ends=1"]},
    "requests sent twice": {"faults": ["post_twice"]},
    "the answer of another request": {"script": ["ok", "stray", "stray"]},
    "Date ahead of the runs": {"date_ahead": 900.0},
    "no metadata in lists": {"left_out": ["metadata"]},
    "no references in lists": {"left_out": ["client_ref"]},
    "filter refused": {"filters": "no"},
    "filter ignored": {"filters": "ignored"},
    "filter answers empty": {"filters": "empty"},
    "pages of one": {"page_cap": 1},
    "listed late": {"list_lag": 4.0},
}
"""Evidence that is hidden, or twisted, in the service's answers."""


def odd(*names: str, **more: Any) -> Kind | None:
    """Return the kind of service that does all of that; None where one excludes the other."""
    service: dict[str, Any] = {"script": LOST, **more}
    for each in map(EVIDENCE.__getitem__, names):
        for name, value in each.items():
            if name in {"faults", "left_out"}:
                service[name] = [*service.get(name, ()), *value]
            elif name != "script" and name in service:
                return None
            else:
                service[name] = value
    if {"requests sent twice", "listed late"} <= set(names):
        return None  # a call doesn't wait for `settle` to look for what no answer speaks of
    spelled = sum(fault.startswith("list_refs") for fault in service.get("faults", ()))
    return None if spelled > 1 else Kind(service=service, ceases=True)


ODD = {name: odd(name) for name in EVIDENCE}
EACH_FIFTH = 5
"""Of the pairs so many are played by default; at night all are, at every boundary."""

PAIRS = {f"{one}; {other}": odd(one, other) for one, other in combinations(EVIDENCE, 2)}

TOO_LATE = {
    "committed after settle": Kind(late=8.0),
    "committed long after settle": Kind(late=60.0),
    "committed after settle, filter refused": Kind(service={"filters": "no"}, late=8.0),
    "committed after settle, filter empty": Kind(service={"filters": "empty"}, late=8.0),
    "committed after settle, pages of one": Kind(service={"page_cap": 1}, late=8.0),
    "committed after settle, called again much later": Kind(late=8.0, gap=7200.0),
    "the same, filter refused": Kind(service={"filters": "no"}, late=8.0, gap=7200.0),
}


def sharing(late: float = 0.0, gap: float = 0.0, **service: Any) -> Kind:
    """Return a kind whose models take batches."""
    service = {"batches": "yes", **service}
    return Kind(service=service, text=BATCH_TEXT, late=late, gap=gap)


BATCHES = {
    "taken": sharing(),
    "metadata on every run": sharing(batches="named", script=["lost"]),
    "refused": sharing(batches="no"),
    **{
        word: sharing(script=[word])
        for word in ("lost", "reset", "500", "500-after", "half", "no-id", "hang", "429", "402")
    },
    "lost, listed late": sharing(script=LOST, list_lag=4.0),
    "lost, filter refused": sharing(script=LOST, filters="no"),
    "lost, filter ignored": sharing(script=LOST, filters="ignored"),
    "lost, filter answers empty": sharing(script=LOST, filters="empty"),
    "lost, pages of five": sharing(script=LOST, page_cap=5),
    "lost, key honoured": sharing(script=LOST, honours_key=True),
}
BATCHES_TOO_LATE = {
    "committed after settle": sharing(late=8.0),
    "committed after settle, filter refused": sharing(late=8.0, filters="no"),
    "committed after settle, called again much later": sharing(late=8.0, gap=7200.0),
}


@dataclass
class Case:
    """One folder, one service, and the lives that are played there."""

    path: Path
    kind: Kind

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        ending = {1: "failed"}
        settings = {"ending": lambda n: ending.get(n, "succeeded"), **self.kind.service}
        settings["script"] = list(settings.get("script", ()))
        self.runflow = Runflow(duration=lambda _: 2.0, **settings)
        self.world = World(self.path, self.runflow, text=self.kind.text)

    def begin(self, service: Service, life: Mortal) -> None:
        """Let what else there is begin with a life; to be overridden."""

    async def live(self, service: Service, life: Mortal) -> Shutdown | None:
        """Return how a call ended, None if it was killed."""
        self.begin(service, life)
        self.world.disk = MortalDisk(life)
        self.world.transport = MortalTransport(service, life)
        stops = None
        try:
            with patch.object(os, "fsync", lambda _: None):  # a process dies here, and no machine
                stops = await self.world.call()
        except BaseException:  # what a dying process says of it has no meaning
            if not life.dead:
                raise
        return None if life.dead else stops

    async def play(self, kills: Sequence[Mortal]) -> None:
        """Live and die, repair until nothing is left to do, and read."""
        async with serving(self.runflow, late=self.kind.late) as service:
            for life in kills:
                await self.live(service, life)
            await anyio.sleep(self.kind.gap)
            for number in range(MOST_CALLS):
                if number == 2:
                    self.cease()
                stops = await self.live(service, Mortal())
                if stops is not None and not stops.codes and not self.world.book().open:
                    break
            self.cease()
            if self.kind.ceases:
                await self.live(service, Mortal())
            before = self.created()
            reader = await self.live(service, Mortal())
            assert reader is not None
            assert reader.codes == [], reader.errors
            assert self.created() == before

    def cease(self) -> None:
        """Let the service answer as it should from now on, if it is of such a kind."""
        if not self.kind.ceases:
            return
        self.runflow.faults, self.runflow.left_out = [], []
        self.runflow.filters, self.runflow.page_cap = "yes", 500
        self.runflow.date_ahead = 0.0

    def created(self) -> int:
        return self.runflow.calls["create"] + self.runflow.calls["create_batch"]

    def judge(self, states: Counter[str], files: set[str]) -> int:
        """Hold what is left to the promises; return how many runs were one too many."""
        spent = Counter((run.cell, run.attempt) for run in self.runflow.runs)
        twice = sum(spent.values()) - len(spent)
        lines = (self.world.folder / "ledger.jsonl").read_bytes().splitlines()
        records = [decode(line) for line in lines]
        known = {record.run_id for record in records if isinstance(record, Submitted)}
        extra = {record.run_id for record in records if isinstance(record, Extra)}
        assert {run.id for run in self.runflow.runs} == known | extra
        assert not known & extra
        assert len(extra) == twice
        assert all(any(run_id in note for note in self.world.listener.notes) for run_id in extra)
        if self.kind.fickle:
            assert self.states().total() == states.total()
        else:
            assert (self.states(), self.files()) == (states, files)
        return twice

    def states(self) -> Counter[str]:
        return Counter(history.state.value for history in self.world.book().histories.values())

    def files(self) -> set[str]:
        folder = self.world.folder / "files"
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}


def tails(boundary: str) -> tuple[Tail, ...]:
    return ("kept", "half") if boundary == "write" else ("kept",)


Cut = tuple[int, Tail]


async def matrix(
    path: Path, kind: Kind, *, every: int, make: type[Case] = Case
) -> Iterator[list[Mortal]]:
    """Return the kills: each boundary of an undisturbed call, and where it dies of a POST that
    it had sent, each third one of the call that repairs, too.
    """
    first = Mortal()
    standard = make(path / "standard", kind)
    async with serving(standard.runflow, late=kind.late) as service:
        await standard.live(service, first)
    singles: list[Cut] = [
        (number, tail) for number, name in enumerate(first.passed) for tail in tails(name)
    ]
    sent = first.passed.index("POST sent")
    pairs: list[tuple[Cut, ...]] = [((sent, "kept"), second) for second in singles[::3]]
    cases = [*((each,) for each in singles), *pairs]
    return ([Mortal(at, tail) for at, tail in kills] for kills in cases[::every])


async def play_all(
    path: Path, kind: Kind, *, every: int = 1, make: type[Case] = Case
) -> tuple[int, int]:
    """Play each of *every* cases of the matrix, on trio fewer; return how many these were, and
    the runs that were one too many.
    """
    undisturbed = make(path / "undisturbed", kind)
    await undisturbed.play([])
    wanted = undisturbed.states(), undisturbed.files()
    played = extra = 0
    for kills in await matrix(path, kind, every=every, make=make):
        case = make(path / f"{played:04}", kind)
        marks = [replace(life, passed=[]) for life in kills]
        try:
            await case.play(kills)
            extra += case.judge(*wanted)
        except BaseException as error:
            error.add_note(f"{case.path}: killed at {marks}")
            raise
        played += 1
    return played, extra


FULLY = {"ok", "lost", "reset", "filter refused", "committed and listed late, answers lost"}
FULLY |= {"taken", "lost, filter refused"}
FULLY |= {"committed after settle", "committed after settle, filter empty"}


def stride(kind: str, backend: str) -> int:
    """Return how thinly a kind's matrix is played by default: the kinds are much alike.

    At night `test_the_whole_matrix` plays all of each.
    """
    if backend == "trio":
        return 20
    return 5 if kind in FULLY else 12


@pytest.mark.parametrize("answer", ANSWERS)
async def test_whatever_a_post_is_answered(
    tmp_path: Path, answer: str, anyio_backend_name: str
) -> None:
    every = stride(answer, anyio_backend_name)

    played, extra = await play_all(tmp_path, ANSWERS[answer], every=every)

    assert played > 2
    assert extra == 0


@pytest.mark.parametrize("fault", LISTS)
async def test_whatever_the_list_shows(tmp_path: Path, fault: str, anyio_backend_name: str) -> None:
    every = stride(fault, anyio_backend_name)

    played, extra = await play_all(tmp_path, LISTS[fault], every=every)

    assert played > 2
    assert extra == 0


@pytest.mark.parametrize("fault", TOO_LATE)
async def test_what_is_committed_too_late_is_found_recorded_and_said(
    tmp_path: Path, fault: str, anyio_backend_name: str
) -> None:
    every = stride(fault, anyio_backend_name)

    played, extra = await play_all(tmp_path, TOO_LATE[fault], every=every)

    assert played > 2
    assert extra or every > 1


@pytest.mark.parametrize(
    "name", [*ODD, *[name for name, kind in PAIRS.items() if kind][::EACH_FIFTH]]
)
async def test_whatever_evidence_is_hidden_or_twisted(
    tmp_path: Path, name: str, anyio_backend_name: str
) -> None:
    """One by one, and each with each other: nothing is paid twice but what was sent twice."""
    kind = (ODD | PAIRS)[name]
    assert kind is not None

    played, extra = await play_all(tmp_path, kind, every=50 if anyio_backend_name == "trio" else 25)

    assert played > 1
    if "requests sent twice" in name:
        assert extra
    elif "lists end early" not in name:  # with more that is hidden, it can't be told from no run
        assert extra == 0


@pytest.mark.parametrize("kind", BATCHES)
async def test_whatever_becomes_of_a_batch(
    tmp_path: Path, kind: str, anyio_backend_name: str
) -> None:
    played, extra = await play_all(tmp_path, BATCHES[kind], every=stride(kind, anyio_backend_name))

    assert played > 1
    assert extra == 0


@pytest.mark.parametrize("kind", BATCHES_TOO_LATE)
async def test_a_batch_committed_too_late_is_found_recorded_and_said(
    tmp_path: Path, kind: str, anyio_backend_name: str
) -> None:
    every = stride(kind, anyio_backend_name)

    played, extra = await play_all(tmp_path, BATCHES_TOO_LATE[kind], every=every)

    assert played > 2
    assert extra or every > 1


@pytest.mark.parametrize("kills", [(1,), (1, 2), (1, 3), (2, 1, 2), (2, 2, 2)])
async def test_however_often_a_send_was_the_last_thing_done(
    tmp_path: Path, kills: tuple[int, ...]
) -> None:
    kind = Kind(late=8.0)
    case = Case(tmp_path / "case", kind)

    await case.play([Mortal(("POST sent", number)) for number in kills])

    assert case.judge(Counter(succeeded=2), {"pictures/a.png", "pictures/b.png"}) > 0


async def test_a_second_run_of_the_first_request_is_found_although_its_wave_was_never_listed(
    tmp_path: Path,
) -> None:
    """Killed at the moments between the end of the opening's run and the list of its wave."""
    kind = odd("requests sent twice", "the answer of another request")
    assert kind is not None

    for at in range(38, 54):
        case = Case(tmp_path / str(at), kind)
        await case.play([Mortal(at)])
        assert case.judge(Counter(succeeded=2), {"pictures/a.png", "pictures/b.png"}) > 0


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize(
    "kind",
    [
        *(ANSWERS | LISTS | TOO_LATE).values(),
        *(BATCHES | BATCHES_TOO_LATE).values(),
        *(kind for kind in (ODD | PAIRS).values() if kind),
    ],
)
async def test_the_whole_matrix(tmp_path: Path, kind: Kind) -> None:
    played, _ = await play_all(tmp_path, kind)

    assert played > 20
