"""What each outcome of a POST comes to, at the first send of an intent and at a resend.

The table of the contract, played whole: one cell, a small service, virtual time. A resend happens
because the first send got lost on its way; nothing was committed.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import HIDDEN, Runflow

from batchrun.base.disk import InlineDisk
from batchrun.base.values import Rate
from batchrun.errors import UnreachableError, most_severe
from batchrun.ledger.history import History, State
from batchrun.ledger.records import Parked, decode

ONE: Final = "models: [google/nano-banana-2]\ninputs: {prompt: a}\n"
SETTLE: Final = 5.0
DAY: Final = 86_400.0
DONE = State.SUCCEEDED


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one word of the service comes to; *posts* counts from this send on."""

    words: Sequence[str]
    state: State
    posts: int
    code: int = 0
    runs: int = 1


ROWS: Final = [
    Row(words=["ok"], state=DONE, posts=1),
    # Nothing happened: the same again, in its turn.
    Row(words=["429", "unreachable"], state=DONE, posts=2),
    # Nobody is let in: dropped, the attempt doesn't count.
    Row(words=["401", "403"], state=State.PENDING, posts=1, code=4, runs=0),
    Row(words=["402"], state=State.PENDING, posts=1, code=5, runs=0),
    # The input is refused, by the API itself.
    Row(words=["400", "404", "413", "422"], state=State.REJECTED, posts=1, runs=0),
    # In doubt, and committed: found.
    Row(words=["lost", "500-after", "half", "no-id", "hang"], state=DONE, posts=1),
    # In doubt, and not committed: looked for, and sent again.
    Row(words=["408", "500", "503", "reset", "html"], state=DONE, posts=2),
    # Somebody has this key; nothing of it is to be seen.
    Row(words=["409"], state=State.DOUBTFUL, posts=1, runs=0),
]
CASES: Final = [pytest.param(word, row, id=word) for row in ROWS for word in row.words]


def only(world: World) -> History:
    [history] = world.book().histories.values()
    return history


def gaps(world: World) -> list[float]:
    times = [at for at, _, _ in world.service.posts]
    return [after - before for before, after in pairwise(times)]


def parked(world: World) -> list[str]:
    """Return the reasons for which anything was parked."""
    lines = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    records = [record for line in lines if isinstance(record := decode(line), Parked)]
    return [record.reason for record in records]


def assert_one_intent(world: World) -> None:
    assert len({(key, body) for _, key, body in world.service.posts}) == 1


@pytest.mark.parametrize(("word", "row"), CASES)
async def test_at_the_first_send(tmp_path: Path, word: str, row: Row) -> None:
    world = World(tmp_path, Runflow(script=[word]), text=ONE)

    stops = await world.call(settle=SETTLE, download=False)

    assert (only(world).state, len(world.service.runs)) == (row.state, row.runs)
    assert most_severe(stops.codes) == row.code
    assert len(world.service.posts) == row.posts
    assert_one_intent(world)
    if word in {"408", "500", "503", "reset", "html"}:
        assert gaps(world)[0] >= SETTLE, "sent again without a look-up that counts"
    if word in {"400", "404", "413", "422", "401", "402", "403"}:
        assert anyio.current_time() < SETTLE, "a first refusal needs no look-up"


@pytest.mark.parametrize(("word", "row"), CASES)
async def test_at_a_resend(tmp_path: Path, word: str, row: Row) -> None:
    world = World(tmp_path, Runflow(script=["reset", word]), text=ONE)

    stops = await world.call(settle=SETTLE, download=False)

    assert (only(world).state, len(world.service.runs)) == (row.state, row.runs)
    assert most_severe(stops.codes) == row.code
    assert len(world.service.posts) == 1 + row.posts
    assert_one_intent(world)
    assert gaps(world)[0] >= SETTLE
    if row.state in {State.REJECTED, State.PENDING}:
        last = world.service.posts[-1][0]
        assert anyio.current_time() >= last + SETTLE, "it spoke for the first send, too"


@pytest.mark.parametrize("word", ["401", "402", "422", "409", "500"])
async def test_a_refused_resend_says_nothing_of_the_first_send(tmp_path: Path, word: str) -> None:
    """The service commits the first send two seconds after it should."""
    service = Runflow(script=["lost", word, word], commit_lag=SETTLE + 2)
    world = World(tmp_path, service, text=ONE)

    await world.call(settle=SETTLE, download=False)

    assert only(world).state is State.SUCCEEDED
    assert only(world).run_id == service.runs[0].id
    assert len(service.runs) == 1


class SlowDisk(InlineDisk):
    """Takes a second for each write."""

    async def write(self, fd: int, data: bytes) -> None:
        await anyio.sleep(1)
        await super().write(fd, data)


@dataclass(kw_only=True)
class Reader(Runflow):
    """Notes the keys of requests that no line of the ledger has when they leave."""

    ledger: Path
    unwritten: list[str] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("Idempotency-Key", "")
        if key.encode() not in self.ledger.read_bytes():
            self.unwritten.append(key)
        return await super().answer(request)


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_no_request_leaves_before_its_intent_is_durable(tmp_path: Path, batches: str) -> None:
    service = Reader(ledger=tmp_path / "sweep" / "ledger.jsonl", batches=batches)
    world = World(tmp_path, service, text=MANY, disk=SlowDisk())

    await world.call(download=False, concurrency=20)

    assert set(service.paid().values()) == {1}
    assert service.unwritten == []


async def test_other_bytes_than_those_of_the_intent_are_never_sent(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["reset"]), text=ONE)
    await world.call(settle=SETTLE, download=False, max_duration=1.0)
    ledger = world.folder / "ledger.jsonl"
    digest, other = (rb'"body_sha256":"%s"' % each for each in (rb"\w+", b"0" * 64))
    ledger.write_bytes(re.sub(digest, other, ledger.read_bytes()))

    with anyio.fail_after(600.0):  # the call ends by itself
        await world.call(settle=SETTLE, download=False)

    assert len(world.service.posts) == 1
    assert parked(world) == ["the request cannot be rebuilt byte for byte"]


@pytest.mark.parametrize("page", ["shown", "hidden"])
@pytest.mark.parametrize("filters", ["yes", "no", "ignored", "empty"])
@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_before_any_run_is_known_no_filter_is_believed(
    tmp_path: Path, filters: str, word: str, page: str
) -> None:
    """An empty list says nothing if the filter has never shown anything: the runs are walked."""
    service = Runflow(script=[word], filters=filters, **(HIDDEN if page == "hidden" else {}))
    world = World(tmp_path, service, text=ONE)

    await world.call(settle=SETTLE, download=False)

    assert only(world).state is State.SUCCEEDED
    assert len(world.service.runs) == 1
    assert len(world.service.posts) == (1 if word == "lost" else 2)


@pytest.mark.parametrize("filters", ["yes", "no", "empty"])
@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_after_a_day_a_doubt_is_still_resolved(
    tmp_path: Path, filters: str, word: str
) -> None:
    world = Begun(tmp_path, Runflow(script=["ok", word], filters=filters))
    before_a_look_tells = 1.0 if filters != "no" else 0.8
    await world.call(settle=SETTLE, download=False, concurrency=2, max_duration=before_a_look_tells)
    assert State.DOUBTFUL in {h.state for h in world.book().histories.values()}
    await anyio.sleep(DAY)
    taken_up = anyio.current_time()

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert {h.state for h in world.book().histories.values()} == {State.SUCCEEDED}
    assert set(world.service.paid().values()) == {1}
    again = [at for at, key, _ in world.service.posts if key == world.service.posts[1][1]][1:]
    assert len(again) == (word == "reset")
    assert all(at >= taken_up + SETTLE for at in again), "the intent's own time was believed"


@pytest.mark.parametrize("filters", ["yes", "no", "empty"])
@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_a_filter_is_not_believed_for_a_run_of_another_wave(
    tmp_path: Path, filters: str, word: str
) -> None:
    """The doubt is alone in its wave, of which no run is known that the list would have to show."""
    world = Begun(tmp_path, Runflow(script=[word], filters=filters, **HIDDEN), text=ONE)
    await world.call(settle=SETTLE, download=False, max_duration=0.8)
    assert only(world).state is State.DOUBTFUL
    await anyio.sleep(DAY)

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert only(world).state is State.SUCCEEDED
    assert len(world.service.runs) == 1


@pytest.mark.parametrize("filters", ["yes", "no"])
async def test_a_post_that_the_limiter_held_for_long_is_looked_up_from_when_it_left(
    tmp_path: Path, filters: str
) -> None:
    """Six intents at once, one departure in two minutes: the last leaves long after its line."""
    service = Runflow(script=["ok", "lost", "reset", "lost", "reset", "lost"], filters=filters)
    world = World(tmp_path, service)
    service.latency = 1.0

    stops = await world.call(
        settle=SETTLE, download=False, concurrency=6, rate=Rate(Decimal("0.5"), "min")
    )

    assert stops.codes == []
    assert {h.state for h in world.book().histories.values()} == {State.SUCCEEDED}
    assert set(service.paid().values()) == {1}
    assert len(service.posts) == 8


# Where nothing can be known.


def crowded(**service: Any) -> Runflow:
    """Return an organisation that makes so many runs of its own that no walk gets anywhere."""
    return Runflow(page_cap=1, filters="no", faults=["crowd=50"], **service)


@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_what_cannot_be_told_is_parked_with_the_reason_and_what_to_do(
    tmp_path: Path, word: str
) -> None:
    world = World(tmp_path, crowded(script=[word]), text=ONE)

    await world.call(settle=SETTLE, download=False)
    first = only(world)
    looks = world.service.calls["list"]
    await world.call(settle=SETTLE, download=False)

    assert (first.state, first.parked) == (State.DOUBTFUL, True)
    assert world.service.calls["list"] > looks, "parked again without a look"
    assert len(world.service.posts) == 1
    reasons = parked(world)
    assert len(reasons) == 2
    assert all("neither be filtered nor walked" in reason for reason in reasons)
    assert all("--resubmit-in-doubt" in reason for reason in reasons)
    said = [note for note in world.listener.notes if "--resubmit-in-doubt" in note]
    assert len(said) == 2, "each call says why, once"


@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_to_send_again_what_is_in_doubt_is_the_users_decision(
    tmp_path: Path, word: str
) -> None:
    world = World(tmp_path, crowded(script=[word], honours_key=True), text=ONE)
    await world.call(settle=SETTLE, download=False)

    await world.call(settle=SETTLE, download=False, resubmit_in_doubt=True)

    assert only(world).state is State.SUCCEEDED
    assert len(world.service.posts) == 2
    assert_one_intent(world)
    assert len(world.service.runs) == 1, "the key is the second belt"


async def test_what_could_not_be_told_is_found_once_it_can(tmp_path: Path) -> None:
    service = crowded(script=["lost"])
    world = World(tmp_path, service, text=ONE)
    await world.call(settle=SETTLE, download=False)
    service.faults, service.page_cap = [], 500

    await world.call(settle=SETTLE, download=False)

    assert only(world).state is State.SUCCEEDED
    assert len(service.posts) == 1


async def test_a_conflict_is_parked_with_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["409"]), text=ONE)

    await world.call(settle=SETTLE, download=False)

    [reason] = parked(world)
    assert "409" in reason
    assert "--resubmit-in-doubt" in reason


async def test_a_conflict_with_a_run_that_shows_is_that_run(tmp_path: Path) -> None:
    """The first answer is lost, the look-up too early, the resend told that it is there."""
    service = Runflow(script=["lost", "409"], list_lag=SETTLE + 3)
    world = World(tmp_path, service, text=ONE)

    await world.call(settle=SETTLE, download=False)

    assert only(world).state is State.SUCCEEDED
    assert len(service.runs) == 1


async def test_an_intent_is_sent_five_times_at_most(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["reset"] * 100), text=ONE)

    await world.call(settle=SETTLE, download=False, give_up=1e6)

    assert len(world.service.posts) == 5
    assert only(world).parked
    assert "5 sends" in parked(world)[0]


# Where every POST is answered badly.

MANY: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 4, rate: 10/s}
"""


@pytest.mark.parametrize("settle", [5.0, 30.0, 600.0])
async def test_where_something_else_answers_every_post_the_call_ends_with_8(
    tmp_path: Path, settle: float
) -> None:
    """However few sends `settle` leaves room for."""
    world = World(tmp_path, Runflow(script=["html"] * 500), text=MANY)

    stops = await world.call(settle=settle, download=False)

    assert most_severe(stops.codes) == UnreachableError.exit_code
    assert "not the Runflow API" in str(stops.errors[0])
    assert anyio.current_time() < 70.0
    assert world.service.runs == []


async def test_a_limit_that_is_used_up_hides_no_service_that_is_not_itself(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["html"] * 500), text=MANY)

    stops = await world.call(settle=SETTLE, download=False, limit=1)

    assert most_severe(stops.codes) == UnreachableError.exit_code


@pytest.mark.parametrize("word", ["500", "reset"])
async def test_where_no_post_is_ever_answered_the_call_ends_with_8(
    tmp_path: Path, word: str
) -> None:
    world = World(tmp_path, Runflow(script=[word] * 500), text=MANY)

    stops = await world.call(settle=30.0, download=False)

    assert most_severe(stops.codes) == UnreachableError.exit_code
    assert "no clear answer" in str(stops.errors[0])
    assert world.service.runs == []


async def test_one_cell_that_is_never_answered_among_others_that_are_stays_in_doubt(
    tmp_path: Path,
) -> None:
    @dataclass(kw_only=True)
    class Picky(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.content and json.loads(request.content)["input"] == {"prompt": 7}:
                return httpx.Response(500, text="oops")
            return await super().serve(request, word)

    world = World(tmp_path, Picky(), text=MANY)

    stops = await world.call(settle=SETTLE, download=False)

    assert UnreachableError.exit_code not in stops.codes
    assert Counter(h.state for h in world.book().histories.values()) == {
        State.SUCCEEDED: 19,
        State.DOUBTFUL: 1,
    }


async def test_a_strange_answer_to_a_run_that_was_made_halts_nothing_for_good(
    tmp_path: Path,
) -> None:
    @dataclass(kw_only=True)
    class Strange(Runflow):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            answer = await super().serve(request, word)
            first = request.method == "POST" and len(self.runs) == 1
            return httpx.Response(302) if first else answer

    world = World(tmp_path, Strange(), text=MANY)

    stops = await world.call(settle=SETTLE, download=False, concurrency=1)

    assert stops.codes == []
    assert set(world.service.paid().values()) == {1}
    assert len(world.service.runs) == 20
