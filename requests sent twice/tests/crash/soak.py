"""Hundreds of kills by chance: at any boundary or any moment, under faults that come and go.

A round is one sweep of some hundreds of cells at one service: lives with faults, each killed, then
lives without, until nothing is left, and one that reads. Every round is judged as a trial is.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from crash.boundaries import ANY
from crash.lab import KILLED, Lab, Life
from crash.trial import Outcome, Verdict, ask, hear, judge_money, listed, tell

MANIFEST: Final = """\
name: soak
models:
  - {id: google/nano-banana-2, alias: steady, inputs: {output_format: jpeg, aspect_ratio: "1:8"}}
  - id: google/nano-banana-pro
    alias: flaky
    inputs: {output_format: jpeg, aspect_ratio: "1:8", prompt: "a flaky chair no. ${number}"}
  - id: runflow/object-removal/prompt  # takes batches, as the others don't
    alias: shared
    inputs: {image_url: "https://example.com/chair.png"}
  - id: runflow/product-isolation
    alias: shared-and-flaky
    inputs:
      image_url: "https://example.com/chair.png"
      aspect_ratio: "9:16"
      prompt: "a flaky chair no. ${number}"
inputs: {prompt: "a chair no. ${number}"}
vars: {number: {$range: [1, CELLS]}}
metadata: {simulate: {seconds: 0.1}}
outputs: {name: "${alias}/${number}"}
limits: {concurrency: 40, rate: 300/s, settle: SETTLE}
poll: {interval: 60ms}
"""

FAULTS: Final = (
    *("lost_answer:10%", "error_after:10%", "error_after_html:5%", "half_answer:10%"),
    *("no_run_id:10%", "reset_after:10%", "error_before:10%", "error_before_html:5%"),
    *("drop_before:5%", "reset:5%", "throttle:10%"),
    "slow=0.1:10%/auth+list+get+batch+batch_items",  # a POST is slow anyway: it is committed late
    *("page_cap=7", "next_pq", "list_ignores_filter", "list_empty_on_filter"),
    *("list_no_filter:30%", "output_expired:20%", "output_cut:20%", "unknown_status"),
)
"""What may go wrong while lives are killed; taken away before the last ones."""

PROMPT: Final = ("no_idempotency", "commit_late=0.2", "list_lag=0.3")
LATE: Final = ("no_idempotency", "commit_late=0.9")
SETTLE: Final = {PROMPT: "800ms", LATE: "600ms"}
"""A PROMPT service commits and lists within it, a LATE one within twice as long."""

LIVES: Final = 8
"""How many lives without faults may be needed to the end."""


@dataclass(kw_only=True)
class Figures:
    """What a soak came to."""

    rounds: int = 0
    lives: int = 0
    kills: int = 0
    cells: int = 0
    runs: int = 0
    of_batches: int = 0
    paid_twice: int = 0
    extra: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.lives} lives, {self.rounds} sweeps, {self.cells} cells, "
            f"{self.runs} runs ({self.of_batches} of batches): {self.paid_twice} paid twice, "
            f"{self.extra} of them found and recorded, {self.lost} lost, {len(self.wrong)} wrong"
        )


@dataclass(kw_only=True)
class Round:
    """One sweep that is killed *kills* times."""

    lab: Lab
    folder: Path
    dice: Random
    kills: int
    cells: int

    def play(self) -> tuple[Outcome, Verdict]:
        service = self.dice.choice((PROMPT, PROMPT, LATE))
        text = MANIFEST.replace("CELLS", str(self.cells // 4)).replace("SETTLE", SETTLE[service])
        self.folder.mkdir(parents=True)
        (self.folder / "soak.yaml").write_text(text, encoding="utf-8")
        options = self.dice.choice(((), ("--child-metadata",)))
        with self.lab.simulator(self.folder, options=options) as url:
            outcome = self._live_and_die(url, service)
        verdict = Verdict(killed=sum(life.code == KILLED for life in outcome.lives))
        judge_money(verdict, outcome, late=service is LATE)
        verdict.wrong += _unfinished(outcome, self.cells // 4 * 4)
        return outcome, verdict

    def _live_and_die(self, url: str, service: Sequence[str]) -> Outcome:
        lives: list[Life] = []
        while sum(life.code == KILLED for life in lives) < self.kills:
            tell(url, [*service, *self.dice.sample(FAULTS, self.dice.randint(0, 3))])
            lives.append(self._life(url, len(lives), mortal=True))
            if lives[-1].code in {0, 1}:
                break  # nothing is left to be killed at
        tell(url, service)
        for _ in range(LIVES):
            lives.append(self._life(url, len(lives), mortal=False))
            if lives[-1].code in {0, 1}:
                break
        before = ask(url, "/_simulator/stats")["runs"]
        lives.append(self._life(url, len(lives), mortal=False))
        made = ask(url, "/_simulator/stats")["runs"]
        return Outcome(
            lives=lives,
            runs=listed(url, made),
            counted=made,
            made_by_the_reader=made - before,
            folder=self.folder,
        )

    def _life(self, url: str, number: int, *, mortal: bool) -> Life:
        """Live to the end, or to a boundary or a moment by chance."""
        at_boundary = self.dice.random() < 0.6
        passing = round(10 ** self.dice.uniform(0.5, 3.5))
        moment = self.dice.uniform(0.02, 1.5)
        life = self.lab.life(
            self.folder,
            *("soak.yaml", "--endpoint", url, "--json", "--give-up", "20s"),
            name=f"life-{number}",
            kill=(ANY, passing) if mortal and at_boundary else None,
            kill_after=moment if mortal and not at_boundary else None,
        )
        hear(url)
        return life


def _unfinished(outcome: Outcome, cells: int) -> list[str]:
    codes = [life.code for life in outcome.lives]
    summary = outcome.lives[-1].summary
    checks = {
        f"{summary['succeeded']} of {cells} succeeded": summary["succeeded"] != cells,
        f"{summary['unsaved']} unsaved": summary["unsaved"],
        f"{len(outcome.files())} files": len(outcome.files()) != cells,
        f"exit codes {codes}": codes[-2:] != [0, 0],
        f"the reader made {outcome.made_by_the_reader}": outcome.made_by_the_reader,
        "a bug": 70 in codes or any("Traceback" in life.err for life in outcome.lives),
    }
    return [text for text, found in checks.items() if found]


def soak(lab: Lab, folder: Path, *, kills: int, seed: int, cells: int, each: int = 25) -> Figures:
    """Kill *kills* times or a few more, *each* at most in one sweep.

    The same *seed* makes the same choices; where a kill strikes, and what it meets, is chance.
    """
    figures = Figures()
    numbers = itertools.count()

    def play(number: int) -> None:
        here = folder / f"{number:03}"
        dice = Random(f"{seed} {number}")
        sweep = Round(lab=lab, folder=here, dice=dice, kills=each, cells=cells)
        outcome, verdict = sweep.play()
        figures.rounds += 1
        figures.lives += len(outcome.lives)
        figures.kills += verdict.killed
        figures.cells += cells
        figures.runs += outcome.counted
        figures.of_batches += sum(run["batch_id"] is not None for run in outcome.runs)
        figures.paid_twice += verdict.paid_twice
        figures.extra += verdict.extra
        figures.lost += verdict.lost
        figures.wrong += [f"{here}: {each}" for each in verdict.wrong]

    def work(_: int) -> None:
        while figures.kills < kills:
            play(next(numbers))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    return figures
