"""Models and files that the account isn't let begin: said however a call ends."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import World
from simulated import Runflow, refused

from batchrun.engine.admission import Admission
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import NotPermittedError, OutOfCreditError, UnreachableError, most_severe
from batchrun.settings import Settings

FORBIDDEN, UNPAID, GONE = (
    NotPermittedError("no"),
    OutOfCreditError("poor"),
    UnreachableError("gone"),
)
NEVER = float("inf")
TWO = """\
models: [a/one, b/two]
inputs: {prompt: {$range: [1, 10]}}
limits: {concurrency: 4, rate: 100/s, settle: 2s, give_up: 20s}
"""


@dataclass(kw_only=True)
class Barred(Runflow):
    """Refuses runs of `a/one` by *refusal*; after *until* seconds nothing is answered at all."""

    refusal: tuple[int, str, str] = (402, "insufficient_credit", "Balance too low")
    until: float = NEVER

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if anyio.current_time() > self.until:
            raise httpx.ConnectError("down", request=request)
        if request.method == "POST" and "/a/one/" in request.url.path:
            return refused(*self.refusal)
        return await super().serve(request, word)


@dataclass
class Interrupted(World):
    """A signal comes after five seconds, where *signal* is one."""

    signal: str = ""

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async def come() -> None:
            await anyio.sleep(5)
            if self.signal == "kill":
                runner.shutdown.kill(130, "killed")
            elif self.signal:
                runner.shutdown.interrupt("stopped", drain=self.signal == "drain")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come)
            stops = await super().run(runner, settings)
            tasks.cancel_scope.cancel()
        return stops


@pytest.mark.parametrize("answer", [(402, "credit", "Too low"), (403, "PERMISSION_DENIED", "No")])
@pytest.mark.parametrize(
    ("changes", "until", "signal", "code"),
    [
        ({"max_duration": 5.0}, NEVER, "", 3),
        ({"limit": 3}, NEVER, "", 3),
        ({"budget": Decimal("0.30")}, NEVER, "", 6),
        ({}, 15.0, "", 8),
        ({}, NEVER, "detach", 3),
        ({}, NEVER, "drain", 3),
        ({}, NEVER, "kill", 130),
    ],
    ids=["time", "limit", "budget", "gone", "detach", "drain", "kill"],
)
async def test_a_model_that_is_stopped_is_named_however_the_call_ends(
    tmp_path: Path,
    changes: dict[str, Any],
    until: float,
    signal: str,
    code: int,
    answer: tuple[int, str, str],
) -> None:
    world = Interrupted(tmp_path, Barred(refusal=answer, until=until), TWO, signal=signal)

    stops = await world.call(**changes)

    own = 5 if answer[0] == 402 else 4
    assert {own, code} <= set(stops.codes)
    [named] = [error for error in stops.errors if error.exit_code == own]
    assert str(named).startswith("a/one: ")
    assert f"HTTP {answer[0]}" in str(named)
    assert most_severe(stops.codes) == (130 if code == 130 else own)


@pytest.mark.parametrize("text", [TWO, TWO.replace(", b/two", "")])
async def test_what_has_ended_the_submitting_is_said_once(tmp_path: Path, text: str) -> None:
    class All(Barred):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if request.method == "POST":
                return refused(*self.refusal)
            return await super().serve(request, word)

    stops = await World(tmp_path, All(), text).call()

    assert len(stops.errors) == 1


def test_only_cells_that_were_counted_are_spoken_of() -> None:
    admission = Admission({"a/one", "b/two"})

    assert admission.refused("a/one", UNPAID) is None
    admission.leave("a/one", "one")

    assert [*map(str, admission.at_end(counted=False))] == ["a/one: poor"]
    assert [*map(str, admission.at_end(counted=True))] == [
        "a/one: poor; 1 cell of one is left undone"
    ]


@pytest.mark.parametrize("error", [FORBIDDEN, UNPAID, GONE])
def test_files_that_may_not_be_put_stop_no_model(
    error: NotPermittedError | OutOfCreditError | UnreachableError,
) -> None:
    admission = Admission({"a/one"})

    admission.stop_files(error)
    admission.stop_files(UnreachableError("later"))
    admission.leave_without_files("one")
    admission.leave_without_files("one")

    assert not admission.is_stopped("a/one")
    assert not admission.takes_files
    assert Admission({"a/one"}).takes_files
    [said] = admission.at_end(counted=True)
    assert type(said) is type(error)
    assert str(said) == f"no file is uploaded: {error}; 2 cells of one are left undone"
