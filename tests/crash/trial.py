"""One case: lives that are killed, one that repairs, one that reads what the repair wrote.

The verdict asks the simulator what was paid, the ledger what is known of it, and compares the
results with those of a sweep that nobody disturbed.
"""

import hashlib
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from free_port import free_port

from batchrun.errors import INCOMPLETE, UnreachableError
from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord, Extra, Submitted, decode
from crash.lab import KILLED, Lab, Life

MANIFEST: Final = """\
name: crash
models:
  - id: google/nano-banana-2
    alias: steady
    inputs: {output_format: jpeg}
  - id: google/nano-banana-pro
    alias: flaky
    inputs: {prompt: a flaky chair}
inputs: {prompt: [a red chair, a blue chair, x]}  # the last is too short, and refused
metadata: {simulate: {seconds: 0.05}}
outputs: {name: "${alias}/${prompt}"}
limits: {concurrency: 4, rate: 500/s, settle: 800ms, input_errors: warn}
poll: {interval: 60ms}
"""

BATCHES: Final = """\
name: batches
models: [{id: google/nano-banana-2, alias: steady}]
inputs: {prompt: "a chair no. ${number}"}
vars: {number: {$range: [1, 11]}}
include: [{model: steady, prompt: [a flaky chair, a flaky sofa, a sofa]}]
metadata: {simulate: {seconds: 0.05}}
outputs: {download: false}
limits: {concurrency: 12, rate: 500/s, settle: 800ms, input_errors: warn}
poll: {interval: 60ms}
"""
"""Fourteen cells, two of which fail once: those that wait together are sent as batches."""

HERE: Final = "127.0.0.1:PORT"
"""Where a manifest has callbacks received, if it does; each trial has a port of its own."""

CALLBACKS: Final = f'{MANIFEST}callbacks: {{url: "http://{HERE}/x", listen: "{HERE}"}}\n'

FLEETING: Final = frozenset(
    {"run_id", "duration_ms", "created_at", "completed_at", "cost", "attempts"}
)
"""Columns of the results that are not the same in two sweeps."""

PATIENCE: Final = 120.0
"""Seconds that the service's list may lag behind."""

MOST_REPAIRS: Final = 5

Kill = tuple[str, int]
Spent = Counter[tuple[str, int]]
"""Runs by cell and attempt."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial left: the lives, what the service made, what the folder holds."""

    lives: Sequence[Life]
    runs: Sequence[Any]
    counted: int
    made_by_the_reader: int
    folder: Path

    @property
    def ledger(self) -> Path:
        return next((self.folder / "outputs").rglob("ledger.jsonl"))

    def records(self) -> Iterator[AnyRecord]:
        with self.ledger.open("rb") as lines:
            for line in lines:
                record = decode(line)
                assert record is not None
                yield record

    def spent(self) -> Spent:
        return Counter(tuple(run["made_for"]) for run in self.runs)

    def results(self) -> list[Any]:
        text = (self.ledger.parent / "results.jsonl").read_text("utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        return [{k: v for k, v in row.items() if k not in FLEETING} for row in rows]

    def files(self) -> dict[str, str]:
        """Return the hash of each file below the folder that is an output, or left behind."""
        folder = self.ledger.parent
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file() and (path.suffix == ".part" or "files" in path.parts)
        }


@dataclass(frozen=True, kw_only=True)
class Trial:
    """*kills* end one life each; *faults* are the service's, all the time, and so are *options*.
    *odd* ones cease before the life that repairs; one more life is spent under them before.

    With *recover* the ledger is deleted after the first life, and the lives up to the one that
    repairs are of `batchrun recover`.
    """

    folder: Path
    kills: Sequence[Kill] = ()
    faults: Sequence[str] = ()
    options: Sequence[str] = ()
    manifest: str = MANIFEST
    recover: bool = False
    odd: Sequence[str] = ()

    def play(self, lab: Lab) -> Outcome:
        """Live until nothing is left to do, and once more."""
        self.folder.mkdir(parents=True)
        manifest = self.manifest.replace(HERE, f"127.0.0.1:{free_port()}")
        (self.folder / "crash.yaml").write_text(manifest, encoding="utf-8")
        faults = [*self.faults, *self.odd]
        with lab.simulator(self.folder, *faults, options=self.options) as url:
            lives = list(self._lives(lab, url))
            if self.odd:
                lives.append(self._live(lab, url, "life-under-odd-faults", None))
                tell(url, self.faults)
            lives += self._repairs(lab, url)
            before = ask(url, "/_simulator/stats")["runs"]
            lives.append(self._live(lab, url, "reader", None))
            tell(url, ())
            after = ask(url, "/_simulator/stats")["runs"]
            return Outcome(
                lives=lives,
                runs=listed(url, after),
                counted=after,
                made_by_the_reader=after - before,
                folder=self.folder,
            )

    def _lives(self, lab: Lab, url: str) -> Iterator[Life]:
        """Yield the lives that are killed, and the one that recovers after them."""
        first, *others = [*self.kills, *([None] if self.recover else [])] or [None]
        if self.kills:
            yield self._live(lab, url, "life-0", first)
        if self.recover:
            next((self.folder / "outputs").rglob("ledger.jsonl")).unlink()
        command = ["recover"] if self.recover else []
        for number, kill in enumerate(others, start=1):
            yield self._live(lab, url, f"life-{number}", kill, *command)

    def _repairs(self, lab: Lab, url: str) -> Iterator[Life]:
        """Yield the life that repairs.

        A service that fails each send by chance may use up all sends that one call has for an
        intent. Such a call parks it and goes on the next time, so there it may take a few.
        """
        by_chance = any(fault.startswith("error_before:") for fault in self.faults)
        for number in range(MOST_REPAIRS if by_chance else 1):
            life = self._live(lab, url, f"repair-{number}", None)
            yield life
            if life.code not in {INCOMPLETE, UnreachableError.exit_code}:
                return

    def _live(self, lab: Lab, url: str, name: str, kill: Kill | None, *command: str) -> Life:
        words = (*command, "crash.yaml", "--endpoint", url, "--json")
        life = lab.life(self.folder, *words, name=name, kill=kill)
        hear(url)
        return life


@dataclass(kw_only=True)
class Verdict:
    """What is wrong with an outcome, beside one that nobody disturbed; and the figures."""

    wrong: list[str] = field(default_factory=list)
    killed: int = 0
    extra: int = 0
    paid_twice: int = 0
    lost: int = 0


def judge(outcome: Outcome, undisturbed: Outcome, *, late: bool = False) -> Verdict:
    """Hold *outcome* to the promises; *late*, the service may have committed after `settle`."""
    verdict = Verdict(killed=sum(life.code == KILLED for life in outcome.lives))
    try:
        judge_money(verdict, outcome, late=late)
        _judge_attempts(verdict, outcome, undisturbed, late=late)
        _judge_ending(verdict, outcome, undisturbed)
    except (OSError, ValueError) as error:  # the ledger or the results, missing or broken
        said = [(life.code, life.err) for life in outcome.lives]
        verdict.wrong.append(f"{error}: {said}")
    return verdict


def judge_money(verdict: Verdict, outcome: Outcome, *, late: bool) -> None:
    """Look for runs that were paid twice or lost; *late*, those paid twice must be recorded."""
    spent, records = outcome.spent(), list(outcome.records())
    made = {run["id"] for run in outcome.runs}
    known = {record.run_id for record in records if isinstance(record, Submitted)}
    extra = {record.run_id for record in records if isinstance(record, Extra)}
    said = "".join(life.err for life in outcome.lives)
    verdict.extra = len(extra)
    verdict.paid_twice = sum(spent.values()) - len(spent)
    verdict.lost = len(made - known - extra)
    cost = sum(float(run["cost"] or 0) for run in outcome.runs)
    checks = {
        f"paid twice: {spent}": verdict.paid_twice and not late,
        f"{verdict.paid_twice} paid twice, extra {extra}": verdict.paid_twice != len(extra),
        f"made {outcome.counted}, listed {len(made)}": outcome.counted != len(made),
        f"runs that the ledger doesn't know: {made - known - extra}": verdict.lost,
        f"runs that the service doesn't know: {known | extra - made}": (known | extra) - made,
        f"both submitted and extra: {known & extra}": known & extra,
        "an extra run that was not said": any(each not in said for each in extra),
        f"cost {cost}, said {outcome.lives[-1].out}": abs(_cost(outcome) - cost) > 1e-6,
        "a ledger with open cells": _folded(outcome).open,
    }
    verdict.wrong += [text for text, found in checks.items() if found]


def _judge_attempts(
    verdict: Verdict, outcome: Outcome, undisturbed: Outcome, *, late: bool
) -> None:
    attempts, wanted = set(outcome.spent()), set(undisturbed.spent())
    if late:  # a late run may change how its cell's next one ends
        attempts, wanted = ({(cell, 0) for cell, _ in each} for each in (attempts, wanted))
    if attempts != wanted:
        verdict.wrong.append(f"attempts {attempts}")


def _cost(outcome: Outcome) -> float:
    return float(outcome.lives[-1].summary["cost"])


def _judge_ending(verdict: Verdict, outcome: Outcome, undisturbed: Outcome) -> None:
    codes = [life.code for life in outcome.lives]
    wanted = undisturbed.lives[-1].code
    complaints = [life.err for life in outcome.lives if "Traceback" in life.err]
    checks = {
        f"exit codes {codes}": codes[-2:] != [wanted, wanted],
        f"the reader made {outcome.made_by_the_reader} runs": outcome.made_by_the_reader,
        f"results {outcome.results()}": outcome.results() != undisturbed.results(),
        f"files {outcome.files()}": outcome.files() != undisturbed.files(),
        f"a traceback: {complaints}": complaints,
    }
    verdict.wrong += [text for text, found in checks.items() if found]


def _folded(outcome: Outcome) -> Book:
    book = Book()
    for record in outcome.records():
        book.add(record, 0)
    return book


def listed(url: str, made: int) -> Sequence[Any]:
    """Return the runs with what each was *made_for*: a cell's key, and the attempt's number."""
    runs, batches = _listed(url, made), {}
    for run in runs:
        tag, batch_id = (run["metadata"] or {}).get("batchrun", {}), run["batch_id"]
        if batch_id is None:
            run["made_for"] = [tag["cell"], tag["attempt"]]
        else:
            if batch_id not in batches:
                batches[batch_id] = _made_for(ask(url, f"/v1/batches/{batch_id}"))
            run["made_for"] = batches[batch_id][run["id"]]
    return runs


def _made_for(batch: Any) -> dict[str, Any]:
    cells = batch["metadata"]["batchrun"]["cells"]
    return {item["run_id"]: cells[item["sequence_index"]] for item in batch["items"]}


def _listed(url: str, made: int) -> Sequence[Any]:
    """Return the runs as the service lists them, which may be some time after they were made."""
    deadline = time.monotonic() + PATIENCE
    while True:
        page = ask(url, "/v1/runs?limit=500")
        runs: list[Any] = page["items"]
        while page.get("next"):
            page = ask(url, f"/v1/runs?limit=500&pq={page['next']}")
            runs += page["items"]
        if len(runs) >= made or time.monotonic() > deadline:
            return runs
        time.sleep(0.02)


def hear(url: str) -> None:
    """Return once the service has read all that the life that has ended had sent to it.

    It reads its connections in their order, and this one is the last. On a busy machine it might
    else read a request only together with what the next life asks, `settle` later.
    """
    ask(url, "/_simulator/stats")


def ask(url: str, path: str) -> Any:
    request = urllib.request.Request(url + path, headers={"Authorization": "Bearer rf_live_crash"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def tell(url: str, faults: Sequence[str]) -> None:
    """Put *faults* in the place of those that the service has."""
    place = f"{url}/_simulator/faults"
    for method, body in (("DELETE", None), ("POST", json.dumps([*faults]).encode())):
        with urllib.request.urlopen(
            urllib.request.Request(place, data=body, method=method), timeout=60
        ):
            pass
