"""Every boundary, once or at every passing of it: one trial each, many at once.

Most of a trial is waiting (for `settle`, for looks), so a dozen of them share two cores well.
"""

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crash.boundaries import ANY
from crash.lab import Lab, Life
from crash.trial import MANIFEST, Kill, Outcome, Trial, Verdict, judge

CREATES: Final = frozenset({"create", "create_batch"})
FOREVER: Final = 3600


@dataclass(kw_only=True)
class Figures:
    """What a matrix came to."""

    trials: int = 0
    killed: int = 0
    extra: int = 0
    paid_twice: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict, where: str) -> None:
        self.trials += 1
        self.killed += verdict.killed
        self.extra += verdict.extra
        self.paid_twice += verdict.paid_twice
        self.lost += verdict.lost
        self.wrong += [f"{where}: {each}" for each in verdict.wrong]

    def __str__(self) -> str:
        return (
            f"{self.trials} trials, {self.killed} kills, {self.extra} extra, "
            f"{self.paid_twice} paid twice, {self.lost} lost, {len(self.wrong)} wrong"
        )


@dataclass(frozen=True, kw_only=True)
class Service:
    """One kind of service, and what a sweep is that nobody disturbed: what trials are held to.

    *late*, it may commit later than `settle`. *held*, it commits the POST that a life dies over
    only when that has come again: the life waits for its answer until it dies, however slowly.
    *odd* faults cease in the end; an undisturbed sweep has none of them.
    """

    lab: Lab
    folder: Path
    faults: Sequence[str]
    options: Sequence[str] = ()
    manifest: str = MANIFEST
    late: bool = False
    held: bool = False
    at_once: int = 12
    recover: bool = False
    odd: Sequence[str] = ()

    def undisturbed(self) -> Outcome:
        return self.trial("undisturbed", ()).play(self.lab)

    def trial(self, name: str, kills: Sequence[Kill]) -> Trial:
        return Trial(
            folder=self.folder / name,
            kills=kills,
            faults=[*(_held(kills) if self.held else ()), *self.faults],
            options=self.options,
            manifest=self.manifest,
            recover=self.recover and bool(kills),
            odd=self.odd if kills else (),
        )

    def play(self, kills: Sequence[Sequence[Kill]], standard: Outcome) -> Figures:
        """Play a trial for each of *kills*, and judge it by *standard*."""
        figures = Figures()

        def play(number: int) -> None:
            trial = self.trial(f"{number:04}", kills[number])
            verdict = judge(trial.play(self.lab), standard, late=self.late)
            figures.add(verdict, f"{trial.folder}, killed at {trial.kills}")

        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(play, range(len(kills))))
        return figures


def _held(kills: Sequence[Kill]) -> Iterator[str]:
    """Yield the faults that hold each POST at whose sending a life is killed.

    When *n* have been sent, *n* of them arrive, in whatever order; the last to do so is held.
    """
    for boundary, passing in kills:
        route, _, moment = boundary.partition(" ")
        if route in CREATES and moment == "sent":
            yield f"commit_on_resend={FOREVER}@{passing}/{route}"


def sample(kills: Sequence[Kill], most: int) -> list[Kill]:
    """Return *most* of *kills*, evenly: what belongs to one boundary stands together in them."""
    return [kills[number * len(kills) // most] for number in range(min(most, len(kills)))]


def passings(life: Life) -> list[Kill]:
    """Return all that a life passed: the whole matrix of kills in it."""
    passed = life.passed
    return [(name, n) for name in passed if name != ANY for n in range(1, passed[name] + 1)]


def once_each(life: Life) -> list[Kill]:
    """Return one passing of each boundary, the first; and each write that is cut in the middle.

    The passings of one boundary are the same code: all of them are played at night, and in virtual
    time.
    """
    return [kill for kill in passings(life) if kill[1] == 1 or kill[0].endswith("write half")]


def part(kills: Sequence[Kill], number: int, parts: int) -> list[Kill]:
    """Return those of *kills* that one of so many tests plays, so that workers share them.

    It goes by the names: how often a boundary is passed may differ from life to life.
    """
    return [kill for kill in kills if zlib.crc32(repr(kill).encode()) % parts == number]
