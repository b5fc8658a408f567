"""Plays a scenario in virtual time: step after step, each call a process of its own."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio
from virtual_time import VirtualTimeLoop

from . import adapters
from .process import Life, Process, Randoms, Server
from .scenarios import Call, Change, Copy, Lose, Recover, Scenario, Step, Wait
from .tape import Tape


def trace(scenario: Scenario, path: Path) -> str:
    """Return all events of *scenario*, which is played in the empty folder *path*."""
    return "\n".join([f"# {scenario.promise}", *play(scenario, path).lines()]) + "\n"


def play(scenario: Scenario, path: Path, *lives: Life) -> Tape:
    """Play *scenario* and return its events; its first processes have *lives*."""
    return anyio.run(
        _play, scenario, path, lives, backend_options={"loop_factory": VirtualTimeLoop}
    )


async def _play(scenario: Scenario, path: Path, lives: Sequence[Life]) -> Tape:
    service = scenario.made()
    tape = Tape(service.called, in_full=scenario.in_full)
    async with anyio.create_task_group() as tasks:
        stage = _Stage(scenario.text, path, Server(service, tasks), tape, list(lives))
        for step in scenario.steps:
            await stage.take(step)
        tasks.cancel_scope.cancel()
    return tape


class _Stage:
    """One folder, one manifest, one service, and the lives of the processes to come."""

    def __init__(
        self, text: str, path: Path, server: Server, tape: Tape, lives: list[Life]
    ) -> None:
        self.tape = tape
        self._text = text
        self._path = path
        self._folder = adapters.folder_of(path)
        self._server = server
        self._lives = lives
        self._randoms = Randoms()

    async def take(self, step: Step) -> None:
        self.tape.headline(f"\n{step}")
        match step:
            case Call() | Recover():
                await self._live(step)
            case Wait(seconds):
                await anyio.sleep(seconds)
            case Lose(files):
                for file in files:
                    (self._folder / file).unlink()
            case Copy(old, new):
                shutil.copyfile(self._folder / old, self._folder / new)
            case Change(service):
                self._server.change(service)

    async def _live(self, step: Call | Recover) -> None:
        life = self._lives.pop(0) if self._lives else Life()
        process = Process(self.tape, self._folder, self._server, life)
        self.tape.begin()
        ended = "killed"
        with process.watched(self._randoms):
            try:
                codes = await self._run(step, process)
                ended = f"stops with exit code {codes[0]}" if codes else "comes to its end"
            except BaseException:  # what a dying process says of it has no meaning
                if not life.dead:
                    raise
        self.tape.deaf = False
        self.tape.note(ended)

    async def _run(self, step: Call | Recover, process: Process) -> Sequence[int]:
        if isinstance(step, Recover):
            return await adapters.recover(self._path, self._text, process.transport())
        return await adapters.call(
            self._path,
            self._text,
            process.transport(),
            shlex.split(step.words),
            interrupt_after=step.interrupt_after,
            interrupted=lambda: self.tape.note("a signal"),
        )
